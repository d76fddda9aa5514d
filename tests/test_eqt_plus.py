"""EqT-plus: its energy, its step, what its readings pass on, and that it learns to use them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from closedloop.methods.energies.coupled import CoupledEnergy
from closedloop.methods.eqt_plus import EqTPlus
from closedloop.methods.method import Progress, Sizes, build
from closedloop.methods.refiner import ClosedForm
from closedloop.methods.solvers.proximal import Proximal
from closedloop.methods.transformer import Transformer
from closedloop.tasks.parity import Parity

SIZES = Sizes(2, 2, 16)


def model(seed: int = 0, **options: Any) -> EqTPlus:
    """A small one in float64."""
    config = EqTPlus.Config(**{"width": 16, "depth": 1, "heads": 2, **options})
    found = build(EqTPlus, config, SIZES, seed)
    assert isinstance(found, EqTPlus)
    return found.double()


def inputs(rows: int = 3, length: int = 10) -> Tensor:
    """Rows of bits."""
    return torch.randint(0, 2, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("convex", [False, True])
def test_the_closed_form_slope_is_autograd_s(convex: bool) -> None:
    torch.manual_seed(0)
    energy = CoupledEnergy(6, 12, convex).double()
    state, condition = torch.randn(5, 6).double().requires_grad_(), torch.randn(5, 12).double()
    (expected,) = torch.autograd.grad(energy(state, condition).sum(), state)
    size = torch.tensor(0.25, dtype=torch.float64)
    step = ClosedForm(energy, None, size, torch.inf).step(state, state, condition)
    torch.testing.assert_close((state - step) / size, expected, rtol=1e-12, atol=1e-12)  # float64


@pytest.mark.parametrize("convex", [False, True])
def test_no_curvature_is_above_the_stated_smoothness(convex: bool) -> None:
    torch.manual_seed(0)
    energy = CoupledEnergy(6, 12, convex).double()
    for condition in torch.randn(20, 12).double():
        state = torch.randn(6).double()
        hessian = torch.autograd.functional.hessian(lambda h, c=condition: energy(h, c), state)
        curvatures = torch.linalg.eigvalsh(hessian)
        assert curvatures.abs().max() <= energy.smoothness() * (1 + 1e-12)
        assert not convex or curvatures.min() >= -1e-12


@pytest.mark.parametrize("gamma", [1.0, 0.0])
def test_a_position_s_course_is_the_plain_solver_s(gamma: float) -> None:
    """Held conditions make it Algorithm 1 on Φ(h) = E(h; c) + ||h − f||²/2γ."""
    net = model(gamma=gamma)
    course, refiner = net.course(inputs(), 5), net.refiners[0]
    solver = Proximal(gamma or torch.inf, [refiner.log_step.exp().item()])
    condition = course.conditions[-1]
    plain = solver.solve(lambda h: refiner.energy(h, condition), course.states[0], 5)
    for found, expected in zip(course.states, plain, strict=True):
        torch.testing.assert_close(found, expected.state, rtol=1e-11, atol=1e-11)  # rounding


def test_the_energy_with_its_pull_falls_below_the_critical_step() -> None:
    """α < 2/M: descent lemma, at every position and step."""
    net, gamma = model(gamma=2.0), 2.0
    refiner = net.refiners[0]
    bound = 2 / (refiner.energy.smoothness() + 1 / gamma)
    refiner.log_step.data.fill_(bound).mul_(0.9).log_()
    course = net.course(inputs(), 20)
    condition, proposal = course.conditions[-1], course.states[0]
    heights = [
        refiner.energy(h, condition) + (h - proposal).square().sum(-1) / (2 * gamma)
        for h in course.states
    ]
    falls = torch.stack(heights).diff(dim=0)
    assert bool((falls <= 1e-12).all()) and bool((falls[0] < 0).all())


def test_zero_iterations_are_the_transformer_bit_for_bit() -> None:
    net = model()
    plain = build(Transformer, Transformer.Config(width=16, depth=1, heads=2), SIZES, 0).double()
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if k.startswith("trunk.")})
    with torch.no_grad():
        expected = plain.answer(inputs(), 0).logits
        assert torch.equal(net.answer(inputs(), 0).logits, expected)


def test_both_readings_come_to_rest_at_the_same_states() -> None:
    """Gauss–Seidel and Jacobi solve the same equations: h_t = argmin Φ_t(· ; h_<t) for all t."""
    torch.manual_seed(0)
    committed = model(convex=True, gamma=1.0, attention=True)
    refiner = committed.refiners[0]
    refiner.log_step.data.fill_(1 / (refiner.energy.smoothness() + 1)).log_()
    current = model(convex=True, gamma=1.0, attention=True, reading="current")
    current.load_state_dict(committed.state_dict())
    with torch.no_grad():
        one = committed.course(inputs(), 300).states[-1]
        other = current.course(inputs(), 3000).states[-1]
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)  # what is left of the descent


@pytest.mark.parametrize("attention", [False, True])
def test_information_travels_one_read_an_iteration_where_states_are_current(
    attention: bool,
) -> None:
    """The last state after k iterations hears of input T − 1 − k and, by attention, of all."""
    net = model(reading="current", attention=attention)
    row, length = inputs(1, 8), 8
    for iterations in (1, 3):
        for place in range(length):
            changed = row.clone()
            changed[0, place] ^= 1
            with torch.no_grad():
                hold = torch.zeros(1, length, 16).double()  # no proposal carries it
                seen = [
                    net.refiners[0](hold, net.context(x), iterations).states[-1][0, -1]
                    for x in (row, changed)
                ]
            reached = place >= length - iterations
            reached |= attention and iterations > 1
            assert torch.equal(*seen) != reached, (iterations, place)


def test_committed_states_carry_the_first_input_to_the_last_position_in_one_iteration() -> None:
    net, row = model(), inputs(1, 8)
    changed = row.clone()
    changed[0, 0] ^= 1
    with torch.no_grad():
        hold = torch.zeros(1, 8, 16).double()
        pair = [net.refiners[0](hold, net.context(x), 1).states[-1][0, -1] for x in (row, changed)]
    assert not torch.equal(*pair)


def test_without_a_reading_a_position_hears_of_its_own_input_alone() -> None:
    net, row = model(reading="none"), inputs(1, 8)
    changed = row.clone()
    changed[0, :-1] ^= 1
    with torch.no_grad():
        hold = torch.zeros(1, 8, 16).double()
        pair = [net.refiners[0](hold, net.context(x), 4).states[-1][0, -1] for x in (row, changed)]
    assert torch.equal(*pair)


def test_it_learns_what_its_open_loop_does_not() -> None:
    """Parity of 24 bits: in 120 updates 95 % of tokens at K = 2 and 8, 80 % at K = 0 at most."""
    config = EqTPlus.Config(width=32, depth=1, heads=2)
    net = build(EqTPlus, config, Sizes(2, 2, 24), 0)
    rows = Parity().sample(120 * 32, 24, 0, "train").to("cpu")
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
    for step in range(120):
        optimizer.zero_grad()
        batch = rows.rows(slice(32 * step, 32 * step + 32))
        net.loss(batch, Progress(step, 120, 0)).total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        falling.step()
    test = Parity().sample(128, 24, 0, "test").to("cpu")
    with torch.no_grad():
        right = {
            budget: float(
                (net.answer(test.inputs, budget).logits.argmax(-1) == test.targets).float().mean()
            )
            for budget in (0, 2, 8)
        }
    assert right[0] < 0.8 and right[2] > 0.95 and right[8] > 0.95, right


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"reading": "commited"}, "no reading 'commited'"),
        ({"step_size": 9.0}, "step_size in"),
        ({"convex": True, "write": "free"}, "write = slope with convex"),
        ({"terms": "paper"}, "another reading"),
        ({"reading": "none", "attention": True}, "a reading with attention"),
        ({"rest_weight": -1.0}, "rest_weight ≥ 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EqTPlus.Config(**options)
