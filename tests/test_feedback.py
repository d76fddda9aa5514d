"""The feedback control: its cache, what it reads back, and what it is taught."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from closedloop.methods.feedback import Feedback
from closedloop.methods.layers.block import stack
from closedloop.methods.layers.cache import Cache
from closedloop.methods.layers.labels import label_ids
from closedloop.methods.method import Progress, Sizes, build
from closedloop.tasks.parity import Parity
from closedloop.tasks.task import Batch

SIZES, SMALL = Sizes(2, 3, 9), {"width": 16, "depth": 2, "heads": 2}
NONE, START = 3, 4


def model(seed: int = 3, **options) -> Feedback:
    found = build(Feedback, Feedback.Config(**{**SMALL, **options}), SIZES, seed)
    assert isinstance(found, Feedback)
    return found.double().eval()


@pytest.fixture
def inputs() -> Tensor:
    return Parity().sample(5, 9, 0, "test").to("cpu").inputs


@pytest.mark.parametrize("feed_forward", ["gated", "plain"])
def test_a_cache_gives_the_states_of_the_whole_row(feed_forward) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        blocks = stack(3, 16, 2, feed_forward).double()
    rows = torch.randn(4, 11, 16, generator=generator, dtype=torch.float64)
    expected = rows
    for block in blocks:
        expected = block(expected)
    cache = Cache(blocks)
    found = torch.cat([cache.advance(rows[:, t : t + 1]) for t in range(11)], 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)  # float64 rounding


def test_an_answer_is_that_of_a_whole_pass_over_its_own_answers(inputs) -> None:
    found = model()
    with torch.no_grad():
        found.net.trunk.head.bias.zero_()
        logits = found.decode(inputs)
        own = logits.argmax(-1)
        expected = found.forced(inputs, own)
    assert len(own.unique()) > 1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)  # float64 rounding
    assert torch.equal(found(inputs), logits[..., :3])


def counting(found: Feedback) -> None:
    """Set by hand: whatever the input, the label after y is y + 1, and the first one is 0."""
    with torch.no_grad():
        for weight in found.parameters():
            weight.zero_()
        found.net.trunk.norm.weight.fill_(1)
        found.net.labels.weight.copy_(torch.eye(5, 16))
        follows = torch.tensor([1, 2, NONE, 0, 0])  # of 0, 1, 2, none and the start
        found.net.trunk.head.weight.copy_(F.one_hot(follows, 4).float().T @ torch.eye(5, 16))


def test_decoding_reads_its_own_answers_the_unshown_ones_too(inputs) -> None:
    found = model(positions="none")
    counting(found)
    with torch.no_grad():
        expected = torch.tensor([0, 1, 2, NONE, 0, 1, 2, NONE, 0])
        assert torch.equal(found.decode(inputs).argmax(-1), expected.expand_as(inputs))
        assert found(inputs).shape == (5, 9, 3)


def test_forcing_reads_the_label_before_and_a_start(inputs) -> None:
    found = model(positions="none")
    counting(found)
    with torch.no_grad():
        answers = found.forced(inputs, torch.full_like(inputs, 1)).argmax(-1)
    assert torch.equal(answers, torch.tensor([0] + [2] * 8).expand_as(inputs))


def test_an_answer_does_not_read_the_label_it_is_to_give(inputs) -> None:
    found, labels = model(), torch.zeros_like(inputs)
    changed = labels.clone()
    changed[:, 4] = 2
    with torch.no_grad():
        before, after = found.forced(inputs, labels), found.forced(inputs, changed)
    same = (before == after).all(-1).all(0)
    assert same.tolist() == [True] * 5 + [False] * 4


def test_training_is_the_cross_entropy_after_the_true_labels(inputs) -> None:
    mask = torch.zeros_like(inputs, dtype=torch.bool)
    mask[:, 5:] = True
    batch, found = Batch(inputs, inputs, mask, {}), model()
    ids = label_ids(batch, 3)
    assert bool((ids[:, :5] == NONE).all()) and torch.equal(ids[:, 5:], inputs[:, 5:])
    read = torch.cat([torch.full((5, 1), START), ids[:, :-1]], 1)
    nats = -found.net(inputs, read).log_softmax(-1).gather(-1, ids[..., None])
    total = found.loss(batch, Progress(0, 1, 5)).total
    torch.testing.assert_close(total, nats.mean(), rtol=1e-12, atol=0)  # float64 rounding


def test_unscored_positions_are_answered_none_after_training(inputs) -> None:
    mask = torch.zeros_like(inputs, dtype=torch.bool)
    mask[:, -2:] = True
    batch, found = Batch(inputs, inputs, mask, {}), model()
    optimizer = torch.optim.Adam(found.parameters(), lr=1e-2)
    for step in range(40):
        optimizer.zero_grad()
        found.loss(batch, Progress(step, 40, 5)).total.backward()
        optimizer.step()
    with torch.no_grad():
        assert torch.equal(found.decode(inputs).argmax(-1) == NONE, ~mask)


def test_parity_is_learnt_exactly_in_a_hundred_updates() -> None:
    """One step of parity from the label before it: what the plain transformer cannot do."""
    rows = Parity().sample(64 * 100, 16, 0, "train").to("cpu")
    test = Parity().sample(256, 16, 0, "test").to("cpu")
    config = Feedback.Config(width=32, depth=1, heads=2)
    found = build(Feedback, config, Sizes(2, 2, 16), 3)
    optimizer = torch.optim.Adam(found.parameters(), lr=5e-3)
    for step in range(100):
        optimizer.zero_grad()
        part = rows.rows(slice(64 * step, 64 * step + 64))
        found.loss(part, Progress(step, 100, 5)).total.backward()
        optimizer.step()
    with torch.no_grad():
        answers = found.answer(test.inputs, 0).logits.argmax(-1)
    assert torch.equal(answers, test.targets)


def test_bad_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="no positions 'rotary'"):
        model(positions="rotary")
    with pytest.raises(ValueError, match="no feed-forward 'wide'"):
        model(feed_forward="wide")
