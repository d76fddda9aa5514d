"""The special cases of the theory as identities: one proximal solver, and what it becomes.

EqT and the transformer, EqT and deep equilibria; diffusion stands in test_ddim_identity.py,
test-time training in test_ttt.py and test_delta.py. All in float64.
"""

import pytest
import torch

from closedloop.methods.energies.residual import held, literal
from closedloop.methods.eqt import EqT
from closedloop.methods.eqt_config import EqTConfig
from closedloop.methods.layers.injected import injected, soften
from closedloop.methods.layers.trunk import Trunk, TrunkConfig
from closedloop.methods.method import Sizes, build
from closedloop.methods.solvers.fixed_point import iterate, search
from closedloop.methods.solvers.proximal import Proximal
from closedloop.methods.transformer import Transformer
from closedloop.tasks.parity import Parity

SIZES, SMALL = Sizes(2, 2, 6), {"width": 8, "depth": 1, "heads": 2}


@pytest.fixture
def inputs() -> torch.Tensor:
    return Parity().sample(3, 6, 0, "test").to("cpu").inputs


# ---- EqT and the transformer -----------------------------------------------------------------


def distances(inputs: torch.Tensor, gammas: list[float]) -> list[float]:
    """How far 8 iterations move EqT's logits from those of the transformer it grew from, by γ.

    The step is α = γ/10, so that all of them come equally near their equilibrium.
    """
    transformer = build(Transformer, Transformer.Config(**SMALL), SIZES, 3)
    found = []
    for gamma in gammas:
        config = EqTConfig(**SMALL, gamma=gamma, step_size=gamma / 10)
        model = build(EqT, config, SIZES, 4)
        model.warm_start(transformer.state_dict())
        with torch.no_grad():
            moved = model.double().answer(inputs, 8).logits
            rest = transformer.double().answer(inputs, 0).logits
        found.append(float((moved - rest).norm() / rest.norm()))
    return found


def test_a_vanishing_gamma_gives_the_transformer_at_first_order(inputs) -> None:
    """h* − f = −γ ∇L(h*): ten times less γ, ten times less distance."""
    coarse, fine, finest = distances(inputs, [1e-3, 1e-4, 1e-5])
    assert coarse / fine == pytest.approx(10, rel=0.02)  # second order in γ: under a hundredth
    assert fine / finest == pytest.approx(10, rel=0.02)
    assert 0 < finest < 1e-4


# ---- EqT and deep equilibria -----------------------------------------------------------------


@pytest.fixture
def model(inputs):
    """A contracting f(z; x) = LN(block(z + e)) over whole rows, and its start e, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = Trunk(TrunkConfig(**SMALL), SIZES).double()
    soften(trunk, 0.5)
    embedded = trunk.embed(inputs).detach()
    return injected(trunk, embedded), embedded


def residual(f, state: torch.Tensor) -> float:
    with torch.no_grad():
        return float((f(state) - state).norm() / state.norm())


def test_the_energy_of_the_residual_has_torchdeq_s_fixed_point_as_its_minimum(model) -> None:
    """L = ½||h − f(h)||², γ → ∞: proximal descent and Broyden's method end at the same state."""
    f, start = model
    expected = search(f, start, "broyden", 60).state
    assert residual(f, expected) < 1e-12
    *_, last = Proximal(torch.inf, [0.5]).solve(literal(f), start, 400)
    # descent shrinks the error by 1 − 0.5 λ a step, λ ≥ 0.1 the least eigenvalue of (I−J)ᵀ(I−J)
    torch.testing.assert_close(last.state, expected, rtol=1e-7, atol=1e-7)


def test_the_two_paths_differ_by_the_transposed_factor(model) -> None:
    """∇½||h − f(h)||² = (I − J)ᵀ (h − f(h)), and the DEQ's own step is h − f(h)."""
    f, start = model
    row = start[:1]

    def of_row(state: torch.Tensor) -> torch.Tensor:
        return f(state.expand_as(start))[:1]

    jacobian = torch.autograd.functional.jacobian(of_row, row).reshape(row.numel(), -1)
    away = (row - of_row(row)).flatten().detach()
    factor = torch.eye(row.numel(), dtype=torch.float64) - jacobian
    steps = list(Proximal(torch.inf, [1.0]).solve(literal(of_row), row, 1))
    moved = (steps[0].state - steps[1].state).flatten()
    torch.testing.assert_close(moved, factor.T @ away, rtol=1e-10, atol=1e-12)  # rounding
    cosine = float(torch.cosine_similarity(moved, away, 0))
    assert 0.5 < cosine < 0.999  # related, and not the same direction


def test_holding_f_fixed_makes_the_same_solver_walk_the_deq_s_own_path(model) -> None:
    """Descent of ½||h − stop(f(h))||² at step τ is torchdeq's damped iteration, state by state."""
    f, start = model
    for count, step in enumerate(Proximal(torch.inf, [0.8]).solve(held(f), start, 30)):
        expected = iterate(f, start, count, 0.8)
        torch.testing.assert_close(step.state, expected, rtol=0, atol=1e-12)  # rounding


def test_the_literal_energy_takes_the_longer_way(model) -> None:
    """From one start to one minimum: what the factor (I − J)ᵀ does to the rate, in figures."""
    f, start = model
    goal = search(f, start, "broyden", 60).state
    gaps = {}
    for name, energy in (("held", held(f)), ("literal", literal(f))):
        *_, last = Proximal(torch.inf, [0.8]).solve(energy, start, 12)
        gaps[name] = float((last.state - goal).norm() / (start - goal).norm())
    assert gaps["held"] < 0.1 * gaps["literal"]
