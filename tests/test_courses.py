"""The courses and probes that a refinement is told against."""

from __future__ import annotations

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
