"""The courses and probes that a refinement is told against."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from closedloop.methods.eqt import EqT
from closedloop.methods.method import Sizes, Step, build
from closedloop.methods.solvers.courses import curvatures, raised_share, random_course
from closedloop.tasks.parity import Parity


def small(**options) -> EqT:
    found = build(EqT, EqT.Config(width=8, depth=1, heads=2, **options), Sizes(2, 2, 10), 0)
    assert isinstance(found, EqT)
    return found.double().eval()


def last(steps) -> Step:
    *_, found = steps
    return found


def test_a_random_course_moves_exactly_as_far_from_the_proposal_as_the_own_one() -> None:
    inputs = torch.randint(0, 2, (3, 10), generator=torch.Generator().manual_seed(0))
    own = torch.randn(4, 3, 10, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = [state for state, _ in random_course(inputs, own)]
    assert torch.equal(found[0], own[0])
    for state, mine in zip(found, own, strict=True):
        moved, expected = (state - own[0]).norm(dim=-1), (mine - own[0]).norm(dim=-1)
        torch.testing.assert_close(moved, expected, rtol=1e-12, atol=1e-12)  # rounding
    direction = (found[1] - own[0]) / (found[1] - own[0]).norm(dim=-1, keepdim=True)
    mine = (own[1] - own[0]) / (own[1] - own[0]).norm(dim=-1, keepdim=True)
    assert (direction * mine).sum(-1).abs().mean() < 0.7  # |cos| in 8 dimensions: 0.29 on average


def test_courses_that_read_no_label_do_not_see_the_batch_mates() -> None:
    model, batch = small(), Parity().sample(6, 10, 0, "test").to("cpu")
    alone = batch.rows(slice(0, 1))
    with torch.no_grad():
        for name in ("random", "redrawn"):
            many = last(model.courses(batch, 3)[name]).logits[:1]
            one = last(model.courses(alone, 3)[name]).logits
            torch.testing.assert_close(many, one, rtol=1e-9, atol=1e-9)  # rounding by batch size


def test_redrawn_heads_differ_from_the_trained_and_repeat_without_the_global_generator() -> None:
    model, batch = small(), Parity().sample(6, 10, 0, "test").to("cpu")
    with torch.no_grad():
        before = torch.get_rng_state()
        first = last(model.courses(batch, 3)["redrawn"]).logits
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(first, last(model.courses(batch, 3)["redrawn"]).logits)
        assert not torch.allclose(first, model.answer(batch.inputs, 3).logits, rtol=1e-6)


def test_inner_placements_have_no_courses() -> None:
    model, batch = small(placement="shared"), Parity().sample(2, 10, 0, "test").to("cpu")
    assert not model.courses(batch, 3) and not model.probe(batch.inputs, 3)


def test_a_probe_s_curvatures_are_those_of_the_dense_hessian() -> None:
    """Of a potential whose tokens differ: ||h||² scaled by the token plus a quartic."""
    scale = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)

    def potential(state: Tensor) -> Tensor:
        return scale * state.square().sum(-1) + state[..., 0] ** 4

    state = torch.randn(1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    least, largest = curvatures(potential, state)
    bend = 12 * state[..., 0] ** 2
    every = torch.stack([2 * scale, 2 * scale + bend])
    torch.testing.assert_close(least, every.amin(0))
    torch.testing.assert_close(largest, every.amax(0))


def test_every_direction_raises_a_bowl_at_its_bottom_and_half_of_them_a_plane() -> None:
    inputs = torch.randint(0, 2, (4, 12), generator=torch.Generator().manual_seed(0))
    state = torch.ones(4, 12, 8, dtype=torch.float64)
    bowl = raised_share(lambda h: (h - 1).square().sum(-1), state, inputs, 0.01)
    plane = raised_share(lambda h: h.sum(-1), state, inputs, 0.01)
    assert bool((bowl == 1).all())
    assert abs(float(plane.mean()) - 0.5) < 0.05  # 1,536 draws: four standard errors


def test_eqt_s_probe_finds_a_minimum_where_its_descent_has_settled() -> None:
    model, batch = small(), Parity().sample(2, 10, 0, "test").to("cpu")
    with torch.no_grad():
        found = model.probe(batch.inputs, 120)
    assert bool((found["curvature"] > 0).all()) and bool((found["raised"] == 1).all())
    assert bool((found["drop"] > 0).all()) and float(found["stationarity"].max()) < 1e-4
    assert bool((found["smoothness"] >= found["curvature"]).all())


def test_courses_that_read_no_label_do_not_see_the_future() -> None:
    model, batch = small(), Parity().sample(6, 10, 0, "test").to("cpu")
    changed = batch.inputs.clone()
    changed[:, 7:] = 1 - changed[:, 7:]
    other = replace(batch, inputs=changed)
    with torch.no_grad():
        for name in ("random", "redrawn"):
            before, after = (last(model.courses(b, 3)[name]).logits for b in (batch, other))
            assert torch.equal(before[:, :7], after[:, :7])
            assert not torch.equal(before[:, 7:], after[:, 7:])


def test_the_oracle_lowers_the_loss_of_every_scored_token_and_moves_no_other() -> None:
    model, batch = small(), Parity().sample(6, 10, 0, "test").to("cpu")
    half = replace(batch, mask=batch.mask & (torch.arange(10) < 5))
    with torch.no_grad():
        steps = list(model.courses(half, 8)["oracle"])
    logs = [step.logits.log_softmax(-1) for step in steps]
    nats = [-log.gather(-1, batch.targets.long()[..., None])[..., 0] for log in logs]
    for before, after in zip(nats, nats[1:], strict=False):
        assert bool((after < before)[half.mask].all())
        assert torch.equal(after[~half.mask], before[~half.mask])


def test_eqt_s_random_course_is_as_far_from_the_proposal_as_its_own_states() -> None:
    model, batch = small(), Parity().sample(6, 10, 0, "test").to("cpu")
    context = model.context(batch.inputs)
    with torch.no_grad():
        proposal = model.trunk(batch.inputs)
        own = [found.state for found in model.refine(0, proposal, context, 3)]
        expected = [model.trunk.read(state) for state, _ in random_course(batch.inputs, own)]
        found = [step.logits for step in model.courses(batch, 3)["random"]]
    assert all(map(torch.equal, found, expected)) and len(found) == 4


def test_eqt_s_probe_is_what_autograd_and_finite_differences_say_of_phi() -> None:
    model, batch = small(), Parity().sample(2, 10, 0, "test").to("cpu")
    with torch.no_grad():
        found, proposal = model.probe(batch.inputs, 2), model.trunk(batch.inputs)
        context = model.context(batch.inputs)
        *_, iterate = model.refine(0, proposal, context, 2)
    bound, row, place = model.energy(0).bind(context), 1, 6

    def phi(vector: Tensor) -> Tensor:
        state = iterate.state.index_put((torch.tensor(row), torch.tensor(place)), vector)
        pull = (vector - proposal[row, place]).square().sum() / (2 * model.config.gamma)
        return bound(state)[row, place] + pull

    point, size = iterate.state[row, place], 1e-5
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(phi, point))
    found = {name: value[row, place] for name, value in found.items()}
    torch.testing.assert_close(
        torch.stack([found["curvature"], found["smoothness"]]), values[[0, -1]]
    )
    with torch.no_grad():
        units = torch.eye(len(point), dtype=point.dtype)
        slopes = torch.stack([phi(point + size * u) - phi(point - size * u) for u in units])
        stationarity = (slopes / (2 * size)).norm() / point.norm()
        drop = phi(proposal[row, place]) - phi(point)
    # central differences are off by size², 1e-10, and by rounding over size, 1e-11
    torch.testing.assert_close(found["stationarity"], stationarity, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found["drop"], drop)
    assert [float(found["step_size"]), float(found["gamma"])] == pytest.approx([0.1, 1.0])


def test_a_probe_works_through_attention_and_leaves_no_gradient() -> None:
    model = small(reverse_model="transformer").float()
    batch = Parity().sample(2, 10, 0, "test").to("cpu")
    with torch.no_grad():
        found = model.probe(batch.inputs, 2)
    assert all(bool(value.isfinite().all()) for value in found.values())
    assert all(weight.grad is None for weight in model.parameters())


def test_a_state_that_is_not_finite_has_no_curvature() -> None:
    state = torch.ones(1, 3, 4)
    state[0, 1] = torch.inf
    least, largest = curvatures(lambda h: h.square().square().sum(-1), state)
    assert least.isnan().tolist() == largest.isnan().tolist() == [[False, True, False]]
    torch.testing.assert_close(least[0, ::2], torch.full((2,), 12.0))
