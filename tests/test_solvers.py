"""Solvers: the proximal point in closed form, rates, halting, and both gradients."""

import pytest
import torch

from closedloop.methods.eqt import EqT
from closedloop.methods.eqt_config import EqTConfig
from closedloop.methods.method import Progress, Sizes, build
from closedloop.methods.solvers.implicit import conjugate_gradient, equilibrium
from closedloop.methods.solvers.proximal import Halting, Proximal
from closedloop.tasks.parity import Parity

ROWS, LENGTH, WIDTH = 2, 3, 4


def quadratic(curvature: torch.Tensor, centre: torch.Tensor):
    """½ (h − c)ᵀ A (h − c) per position."""
    return lambda h: 0.5 * torch.einsum("btd,de,bte->bt", h - centre, curvature, h - centre)


@pytest.fixture
def problem():
    """A with eigenvalues in [0.1, 10], a centre, and a proposal, float64."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)).Q
    values = torch.tensor([0.1, 1.0, 4.0, 10.0], dtype=torch.float64)
    centre = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    proposal = torch.randn(ROWS, LENGTH, WIDTH, generator=generator, dtype=torch.float64)
    return basis @ torch.diag(values) @ basis.T, centre, proposal


def exact(curvature, centre, proposal, gamma):
    """(A + I/γ)⁻¹ (A c + f/γ), the proximal point of a quadratic."""
    system = curvature + torch.eye(WIDTH, dtype=torch.float64) / gamma
    return torch.linalg.solve(system, (curvature @ centre + proposal / gamma).unsqueeze(-1))[..., 0]


def test_descent_ends_at_the_proximal_point(problem) -> None:
    curvature, centre, proposal = problem
    solver = Proximal(1.0, [0.1], smoothness=10.0)
    *_, last = solver.solve(quadratic(curvature, centre), proposal, 300)
    # 0.89³⁰⁰ ≈ 7e-16 of the first distance
    torch.testing.assert_close(last.state, exact(curvature, centre, proposal, 1.0))


def test_the_rate_is_the_corrected_one_of_theorem_2(problem) -> None:
    """max(|1 − αm|, |1 − αM|) = 0.89 with m = μ + 1/γ, M = L + 1/γ, not the paper's 0.8."""
    curvature, centre, proposal = problem
    goal = exact(curvature, centre, proposal, 1.0)
    solver = Proximal(1.0, [0.1], smoothness=10.0)
    gaps = [
        float((iterate.state - goal).norm())
        for iterate in solver.solve(quadratic(curvature, centre), proposal, 60)
    ]
    ratios = [after / before for before, after in zip(gaps[:-1], gaps[1:], strict=True)]
    assert max(ratios) <= 0.89 + 1e-9
    assert ratios[-1] == pytest.approx(0.89, abs=1e-3)


def test_energy_never_rises_and_change_is_relative(problem) -> None:
    curvature, centre, proposal = problem
    potential = quadratic(curvature, centre)
    iterates = list(Proximal(1.0, [0.1]).solve(potential, proposal, 20, watch=True))
    phi = [
        float(potential(i.state).sum() + (i.state - proposal).square().sum() / 2) for i in iterates
    ]
    assert all(after <= before + 1e-12 for before, after in zip(phi[:-1], phi[1:], strict=True))
    moved = (iterates[1].state - proposal).norm(dim=-1) / proposal.norm(dim=-1)
    torch.testing.assert_close(iterates[1].change, moved)
    torch.testing.assert_close(iterates[-1].energy, potential(iterates[-1].state))


def test_small_gamma_trusts_the_proposal_and_large_gamma_the_energy(problem) -> None:
    curvature, centre, proposal = problem
    potential = quadratic(curvature, centre)
    *_, near = Proximal(1e-6, [1e-6]).solve(potential, proposal, 50)
    # the proximal point is within γ ||∇L|| of the proposal
    torch.testing.assert_close(near.state, proposal, rtol=0, atol=1e-4)
    *_, free = Proximal(torch.inf, [0.19], smoothness=10.0).solve(potential, proposal, 3000)
    # the slowest mode shrinks by 1 − 0.19 · 0.1 a step: e⁻⁵⁷
    torch.testing.assert_close(free.state, centre.expand_as(proposal))


@pytest.mark.parametrize(
    "gamma, size", [(0.0, 0.1), (-1.0, 0.1), (1.0, 0.0), (1.0, 2.1), (1.0, 0.2)]
)
def test_settings_that_cannot_converge_are_refused(gamma: float, size: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Proximal(gamma, [size], smoothness=10.0)


def test_halted_positions_are_left_untouched(problem) -> None:
    curvature, centre, proposal = problem
    budget = torch.tensor([[0, 2, 5], [5, 1, 3]])
    solver = Proximal(1.0, [0.1], Halting(budget=budget))
    iterates = list(solver.solve(quadratic(curvature, centre), proposal, 6, watch=True))
    free = list(Proximal(1.0, [0.1]).solve(quadratic(curvature, centre), proposal, 6))
    for row in range(ROWS):
        for t in range(LENGTH):
            stop = int(budget[row, t])
            assert torch.equal(iterates[-1].state[row, t], free[stop].state[row, t])
    assert torch.equal(sum(i.active.long() for i in iterates), budget)


def test_a_tolerance_stops_each_position_by_itself(problem) -> None:
    curvature, centre, proposal = problem
    solver = Proximal(1.0, [0.1], Halting(tolerance=0.05))
    together = list(solver.solve(quadratic(curvature, centre), proposal, 40))[-1].state
    for row in range(ROWS):
        part = proposal[row : row + 1]
        alone = list(solver.solve(quadratic(curvature, centre), part, 40))[-1].state
        assert torch.equal(alone[0], together[row])


def test_an_energy_threshold_stops_below_it(problem) -> None:
    curvature, centre, proposal = problem
    potential = quadratic(curvature, centre)
    solver = Proximal(torch.inf, [0.05], Halting(energy=0.5), smoothness=10.0)
    *_, last = solver.solve(potential, proposal, 2000)
    assert bool((potential(last.state) < 0.5).all())
    started_below = potential(proposal) < 0.5
    assert torch.equal(last.state[started_below], proposal[started_below])


def test_conjugate_gradient_solves_every_system_by_itself() -> None:
    generator = torch.Generator().manual_seed(1)
    factor = torch.randn(5, 6, 6, generator=generator, dtype=torch.float64)
    systems = factor @ factor.mT + torch.eye(6, dtype=torch.float64)
    right = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    right[2] = 0
    found = conjugate_gradient(lambda v: torch.einsum("bde,be->bd", systems, v), right, 50)
    torch.testing.assert_close(found, torch.linalg.solve(systems, right))


def test_implicit_and_closed_form_gradients_agree_on_a_quadratic(problem) -> None:
    curvature, centre, proposal = problem
    leaves = [value.clone().requires_grad_() for value in (curvature, centre, proposal)]
    symmetric = (leaves[0] + leaves[0].T) / 2
    weights = torch.linspace(1, 2, WIDTH, dtype=torch.float64)
    reference = torch.autograd.grad((exact(symmetric, *leaves[1:], 1.0) * weights).sum(), leaves)
    symmetric = (leaves[0] + leaves[0].T) / 2
    potential = quadratic(symmetric, leaves[1])
    state = exact(curvature, centre, proposal, 1.0)
    solved = equilibrium(potential, leaves[2], state, 1.0, 50)
    found = torch.autograd.grad((solved * weights).sum(), leaves)
    for one, other in zip(found, reference, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("placement", ["last", "each", "shared"])
def test_implicit_and_unrolled_training_agree_where_both_converge(placement: str) -> None:
    """200 steps contract by (1 − α/γ)²⁰⁰ = 3e-10 and more; so do their gradients."""
    grads = []
    batch = Parity().sample(4, 6, 0, "train").to("cpu")
    for gradient in ("unrolled", "implicit"):
        config = EqTConfig(
            width=8,
            depth=2,
            heads=2,
            placement=placement,
            iterations=200,
            gamma=0.5,
            step_size=0.1,
            confidence=0.0,  # its argmax has a kink
            gradient=gradient,
            cg_iterations=50,
        )
        model = build(EqT, config, Sizes(2, 2, 6), 1).double()
        model.loss(batch, Progress(0, 1, 0)).total.backward()
        grads.append({name: weight.grad for name, weight in model.named_parameters()})
    for name, unrolled in grads[0].items():
        torch.testing.assert_close(grads[1][name], unrolled, rtol=1e-5, atol=1e-8)
