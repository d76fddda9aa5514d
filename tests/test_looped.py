"""The looped transformer: its first loop, its injections, its random count of loops."""

import pytest
import torch

from closedloop.methods.looped import Looped, LoopedConfig, loop_count
from closedloop.methods.method import Progress, Sizes, build
from closedloop.tasks.parity import Parity

SIZES, SMALL = Sizes(2, 2, 12), {"width": 16, "depth": 2, "heads": 2}


def looped(**options) -> Looped:
    return build(Looped, LoopedConfig(**SMALL, **options), SIZES, 3).double()


@pytest.fixture
def batch():
    return Parity().sample(5, 12, 0, "train").to("cpu")


def test_zero_loops_read_the_embedding_out(batch) -> None:
    model = looped()
    expected = model.trunk.read(model.trunk.embed(batch.inputs))
    assert torch.equal(model.answer(batch.inputs, 0).logits, expected)


def test_two_loops_are_the_blocks_twice_with_the_input_put_back(batch) -> None:
    model = looped()
    embedded = state = model.trunk.embed(batch.inputs)
    for _ in range(2):
        state = model.trunk.through(model.norm(state) + embedded)
    assert torch.equal(model.answer(batch.inputs, 2).logits, model.trunk.read(state))


def test_an_adapter_that_adds_is_the_addition(batch) -> None:
    plain, concat = looped(), looped(injection="concat")
    concat.load_state_dict(plain.state_dict(), strict=False)
    concat.adapter.weight.data = torch.eye(16, dtype=torch.float64).repeat(1, 2)
    found = concat.answer(batch.inputs, 4).logits
    expected = plain.answer(batch.inputs, 4).logits
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)  # rounding of float64


def test_states_do_not_grow_with_the_loops(batch) -> None:
    """Without the norm on the way back in, pre-norm blocks add to the state at every loop."""
    model = looped()
    with torch.no_grad():
        embedded = state = model.trunk.embed(batch.inputs)
        sizes = []
        for _ in range(200):
            state = model.loop(state, embedded)
            sizes.append(float(state.norm(dim=-1).max()))
    assert max(sizes[20:]) < 2 * max(sizes[:20])  # growth by a sum would be tenfold


def test_the_count_of_loops_has_the_stated_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([loop_count(8, generator) for _ in range(4000)]).double()
    # mean 8; variance E λ + Var λ = 7 + 49 (e^0.25 − 1) = 20.9
    assert counts.mean().item() == pytest.approx(8, abs=4 * (20.9 / 4000) ** 0.5)  # 4 errors
    assert counts.var().item() == pytest.approx(20.9, rel=0.2)  # 4 errors of a kurtosis near 6
    assert counts.min().item() >= 1


def test_a_mean_of_one_loop_is_always_one() -> None:
    generator = torch.Generator().manual_seed(0)
    assert {loop_count(1, generator) for _ in range(50)} == {1}


def test_updates_draw_counts_of_their_own_that_repeat() -> None:
    counts = [loop_count(8, Progress(step, 20, 5).generator()) for step in range(20)]
    again = [loop_count(8, Progress(step, 20, 5).generator()) for step in range(20)]
    assert counts == again and len(set(counts)) > 3


def test_truncation_changes_the_gradient_and_not_the_loss(batch) -> None:
    losses, gradients = [], []
    for truncation in (1, 100):
        model = looped(truncation=truncation)
        loss = model.loss(batch, Progress(1, 10, 0)).total
        loss.backward()
        losses.append(loss.item())
        gradients.append(model.trunk.blocks[0].feed.up.weight.grad)
    assert losses[0] == losses[1]
    assert not torch.allclose(*gradients)


def test_a_truncated_gradient_is_that_of_the_last_loops_from_a_fixed_state(batch) -> None:
    progress = Progress(1, 10, 0)
    loops = loop_count(8, progress.generator())
    assert loops > 2
    model = looped(truncation=2)
    weight = model.trunk.blocks[0].feed.up.weight
    found = torch.autograd.grad(model.loss(batch, progress).total, weight)[0]
    embedded = state = model.trunk.embed(batch.inputs)
    for _ in range(loops - 2):
        state = model.loop(state, embedded)
    state = state.detach()
    for _ in range(2):
        state = model.loop(state, embedded)
    logits = model.trunk.read(state).flatten(0, 1)
    nats = torch.nn.functional.cross_entropy(logits, batch.targets.flatten())
    torch.testing.assert_close(found, torch.autograd.grad(nats, weight)[0])  # float64 defaults


@pytest.mark.parametrize(
    "options, told",
    [
        ({"injection": "multiply"}, "add, concat"),
        ({"iterations": 0}, "iterations ≥ 1"),
        ({"truncation": 0}, "truncation ≥ 1"),
    ],
)
def test_bad_options_are_told_in_one_line(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        LoopedConfig(**options)
