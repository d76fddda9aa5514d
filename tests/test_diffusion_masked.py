"""Masked diffusion, causal and not: what a budget shows and costs, and what training hides."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from closedloop.methods.diffusion_causal import DiffusionCausal
from closedloop.methods.diffusion_masked import DiffusionMasked
from closedloop.methods.layers.labelled import LabelledTrunk
from closedloop.methods.layers.masking import alternating, scattered
from closedloop.methods.layers.trunk import TrunkConfig
from closedloop.methods.method import Method, Progress, Sizes, build
from closedloop.methods.solvers.unmasking import ORDERS
from closedloop.tasks.parity import Parity
from closedloop.tasks.task import Batch

SIZES, SMALL = Sizes(2, 3, 12), {"width": 16, "depth": 2, "heads": 2}
MASK, ROWS, LENGTH = 4, 5, 12  # three classes and none have logits
BUDGETS = (0, 1, 2, 4, 5, 8, 16, 32, 64, 128)


@pytest.fixture
def inputs() -> Tensor:
    return Parity().sample(ROWS, LENGTH, 0, "test").to("cpu").inputs


def model(kind: type[Method] = DiffusionMasked, seed: int = 3, **options) -> Method:
    return build(kind, kind.Config(**SMALL, **options), SIZES, seed).double().eval()


# ---- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DiffusionMasked, DiffusionCausal])
def test_one_step_is_the_call_in_which_all_labels_are_masked(inputs, kind) -> None:
    found = model(kind)
    with torch.no_grad():
        expected = found.net(inputs, torch.full_like(inputs, MASK))[..., :3]
        assert torch.equal(found.answer(inputs, 0).logits, expected)
        assert torch.equal(found.answer(inputs, 1).logits, expected)


@pytest.mark.parametrize("kind", [DiffusionMasked, DiffusionCausal])
def test_a_budget_costs_as_many_calls_and_never_more_than_positions(inputs, kind) -> None:
    found, calls = model(kind), []
    found.net.register_forward_hook(lambda *_: calls.append(1))
    for budget in BUDGETS:
        for run in (found.answer, lambda *a: list(found.deliberate(*a))):
            calls.clear()
            with torch.no_grad():
                run(inputs, budget)
            assert len(calls) == min(max(budget, 1), LENGTH)


def test_the_same_weights_answer_differently_in_different_orders(inputs) -> None:
    answers = []
    for order in ORDERS:
        with torch.no_grad():
            answers.append(model(order=order).answer(inputs, 4).logits)
    assert not torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[1], answers[2])
    assert not torch.equal(answers[0], answers[2])


def test_the_order_has_no_part_in_training(inputs) -> None:
    batch = scored(inputs)
    losses = {model(order=o).loss(batch, Progress(0, 1, 5)).total.item() for o in ORDERS}
    assert len(losses) == 1


def test_beyond_the_length_nothing_moves(inputs) -> None:
    found = model()
    with torch.no_grad():
        steps = list(found.deliberate(inputs, 15))
        assert torch.equal(steps[-1].logits, found.answer(inputs, LENGTH).logits)
    assert all(bool((s.change == 0).all() and not s.active.any()) for s in steps[LENGTH + 1 :])
    used = torch.stack([step.active for step in steps[1:]]).sum(0)
    assert torch.equal(used.sort(1).values, torch.arange(1, LENGTH + 1).expand_as(inputs))


def test_change_is_the_relative_move_of_the_probabilities(inputs) -> None:
    _, first, second, *_ = model(order="left").states(inputs, 4)
    step = second.show(3)
    old, new = first.logits.softmax(-1), second.logits.softmax(-1)
    expected = (new - old).norm(dim=-1) / old.norm(dim=-1)
    torch.testing.assert_close(step.change, expected)
    assert bool((step.change[:, :3] == 0).all() and (step.change[:, 3:] > 0).all())


@pytest.mark.parametrize("budget", [1, 3, 5, 12, 50])
def test_the_causal_one_reads_no_later_input_at_any_budget(inputs, budget) -> None:
    found, changed = model(DiffusionCausal), inputs.clone()
    changed[:, 7:] = 1 - changed[:, 7:]
    with torch.no_grad():
        before, after = (found.answer(rows, budget).logits for rows in (inputs, changed))
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7], after[:, 7])


def test_a_block_reads_the_answers_of_the_blocks_before_it(inputs) -> None:
    found = model(DiffusionCausal)
    with torch.no_grad():
        answers = found.answer(inputs, 3).logits
        *_, last = found.states(inputs, 3)
        for start in (0, 4, 8):
            labels = last.labels.clone()
            labels[:, start:] = MASK
            expected = found.net(inputs, labels)[:, start : start + 4, :3]
            assert torch.equal(answers[:, start : start + 4], expected)


# ---- training ----------------------------------------------------------------------------------


def scored(inputs: Tensor, mask: Tensor | None = None) -> Batch:
    mask = torch.ones_like(inputs, dtype=torch.bool) if mask is None else mask
    return Batch(inputs, inputs, mask, {})


def test_a_label_is_learnt_once_an_update_from_what_its_view_leaves_open(inputs) -> None:
    config = TrunkConfig(width=16, depth=1, heads=2)
    net = LabelledTrunk(config, SIZES, causal=False).double()
    masked = scattered(ROWS, LENGTH, torch.Generator().manual_seed(2))
    nats = []
    for view in (masked, ~masked):
        logits = net(inputs, inputs.masked_fill(view, MASK))
        nats.append(F.cross_entropy(logits[view], inputs[view], reduction="sum"))
    expected = sum(nats) / inputs.numel()
    found = net.denoising(scored(inputs), masked)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)  # float64, sums in other orders


def test_rates_are_uniform_and_stratified() -> None:
    masked = scattered(400, 1000, torch.Generator().manual_seed(0)).double().mean(1)
    expected = (torch.arange(400).double() + 0.5) / 400
    # half a stratum, and five errors of a share of 1000 positions
    assert float((masked - expected).abs().max()) < 1 / 800 + 5 * (0.25 / 1000) ** 0.5


def test_alternating_blocks_have_one_length_a_row() -> None:
    length = 24
    masked = alternating(300, length, torch.Generator().manual_seed(0))
    sizes = set()
    for row in masked.int().tolist():
        ends = [t for t in range(1, length) if row[t] != row[t - 1]]
        inner = {b - a for a, b in zip(ends, ends[1:], strict=False)}
        assert len(inner) < 2  # blocks that the row's ends do not cut are equally long
        sizes |= inner
    assert {1, 2, 3, 5, 8} <= sizes
    # every position is masked in half of the rows: five errors
    assert float((masked.double().mean(0) - 0.5).abs().max()) < 5 * (0.25 / 300) ** 0.5


@pytest.mark.parametrize("kind", [DiffusionMasked, DiffusionCausal])
def test_unscored_positions_carry_a_label_of_their_own(inputs, kind) -> None:
    """Their targets are not read, and training teaches them to be none."""
    mask = torch.zeros_like(inputs, dtype=torch.bool)
    mask[:, -3:] = True
    other = Batch(inputs, torch.where(mask, inputs, 1 - inputs), mask, {})
    batch, progress = scored(inputs, mask), Progress(0, 1, 5)
    found = model(kind)
    assert torch.equal(found.loss(batch, progress).total, found.loss(other, progress).total)
    optimizer = torch.optim.Adam(found.parameters(), lr=1e-2)
    for step in range(40):
        optimizer.zero_grad()
        found.loss(batch, Progress(step, 40, 5)).total.backward()
        optimizer.step()
    with torch.no_grad():
        *_, last = found.states(inputs, 4)
        assert found.answer(inputs, 4).logits.shape == (ROWS, LENGTH, 3)
    assert torch.equal(last.labels == 3, ~mask)


# ---- errors ------------------------------------------------------------------------------------


def test_bad_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="no order 'right'. Known: confidence, random, left"):
        DiffusionMasked.Config(order="right")
    for kind in (DiffusionMasked, DiffusionCausal):
        with pytest.raises(ValueError, match="iterations of at least 1, got 0"):
            kind.Config(iterations=0)
        with pytest.raises(ValueError, match="no positions 'rotary'"):
            model(kind, positions="rotary")
        with pytest.raises(ValueError, match="no feed-forward 'wide'"):
            model(kind, feed_forward="wide")
