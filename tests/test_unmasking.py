"""Unmasking: what the scheduler commits, in which order, and that nothing else happens."""

import pytest
import torch
from torch import Tensor

from closedloop.methods.solvers.unmasking import ORDERS, Unmasked, Unmasking, unmask
from closedloop.tasks.parity import Parity

MASK, ROWS, LENGTH = 4, 5, 12  # ids below the mask have logits
BUDGETS = (0, 1, 2, 4, 5, 8, 16, 32, 64, 128)


@pytest.fixture
def inputs() -> Tensor:
    return Parity().sample(ROWS, LENGTH, 0, "test").to("cpu").inputs


def drawn(seed: int = 0, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(ROWS, length, MASK, generator=generator, dtype=torch.float64)


def noise_net(inputs: Tensor, labels: Tensor) -> Tensor:
    """Logits that differ from call to call by how many labels are masked."""
    return drawn(int((labels == MASK).sum()), inputs.shape[1])


def unmasked(inputs: Tensor, steps: int, order: str) -> list[Unmasked]:
    return list(unmask(noise_net, inputs, MASK, steps, order))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("steps", BUDGETS)
def test_a_budget_ends_without_masks_in_as_many_steps(inputs, order, steps) -> None:
    found = unmasked(inputs, steps, order)
    assert len(found) == steps + 1
    left = [int((state.labels == MASK).sum(1).max()) for state in found]
    assert left[0] == LENGTH and left[-1] == (0 if steps else LENGTH)
    assert all(bool((state.labels <= MASK).all() and (state.labels >= 0).all()) for state in found)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("steps", [1, 4, 5, 8, 12, 20])
def test_positions_are_shared_out_evenly_the_first_steps_taking_the_rest(
    inputs, order, steps
) -> None:
    masks = torch.stack([(s.labels == MASK).sum(1) for s in unmasked(inputs, steps, order)])
    each, rest = divmod(LENGTH, steps)
    expected = torch.tensor([each + (number < rest) for number in range(steps)])
    assert bool((masks[:-1] - masks[1:] == expected[:, None]).all())


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_committed_is_never_revised_nor_its_logits(inputs, order) -> None:
    states = unmasked(inputs, 5, order)
    for old, new in zip(states, states[1:], strict=False):
        kept = old.labels != MASK
        assert torch.equal(new.labels[kept], old.labels[kept])
        assert torch.equal(new.logits[kept], old.logits[kept])
        assert torch.equal(new.active, ~kept)
    assert torch.equal(states[-1].labels, states[-1].logits.argmax(-1))


@pytest.mark.parametrize("steps", [1, 3, 5, 12])
def test_confidence_commits_the_few_line_top_k(inputs, steps) -> None:
    """No logits of one seed tie, in float32 either."""
    unmasking = Unmasking(inputs, steps, "confidence")
    labels = expected = torch.full_like(inputs, MASK)
    for number in range(steps):
        logits = drawn(number)
        chance, best = logits.softmax(-1).max(-1)
        chance = chance.masked_fill(expected != MASK, -1)
        count = LENGTH // steps + (number < LENGTH % steps)
        places = chance.argsort(1, descending=True)[:, :count]
        expected = expected.scatter(1, places, best.gather(1, places))
        labels = unmasking.commit(logits, labels, number)
        assert torch.equal(labels, expected)


@pytest.mark.parametrize("length", [12, 300])
def test_left_commits_from_left_to_right_whatever_the_logits(length) -> None:
    inputs = Parity().sample(ROWS, length, 0, "test").to("cpu").inputs
    for number, state in enumerate(unmasked(inputs, 12, "left")):
        expected = torch.arange(length).expand_as(inputs) >= number * length // 12
        assert torch.equal(state.labels == MASK, expected)


def committed(inputs: Tensor, order: str) -> Tensor:
    """The place of every position in the order, [B, T]."""
    masks = [state.labels == MASK for state in unmasked(inputs, inputs.shape[1], order)]
    return torch.stack(masks[1:]).sum(0)


def test_random_is_a_permutation_of_the_row_s_own(inputs) -> None:
    places = committed(inputs, "random")
    assert torch.equal(places.sort(1).values, torch.arange(LENGTH).expand_as(inputs))
    assert len({tuple(row.tolist()) for row in places}) == ROWS
    torch.manual_seed(5)  # neither the global generator nor a row's mates have a say
    mates = torch.cat([inputs[:1], 1 - inputs[1:]])
    assert torch.equal(committed(mates, "random")[0], places[0])


def test_random_has_no_favourite_position() -> None:
    inputs = Parity().sample(2000, 6, 0, "test").to("cpu").inputs
    inputs = inputs.unique(dim=0)  # 64 rows of six bits
    places = Unmasking(inputs, 6, "random").priority
    assert places is not None
    # a mean of 64 uniform draws on (0, 1) errs by .036; five errors
    assert bool(((places.mean(0) - 0.5).abs() < 0.18).all())


@pytest.mark.parametrize("order", ["random", "left"])
def test_shaped_logits_leave_the_choice_of_label_to_the_net(inputs, order) -> None:
    logits = drawn()
    labels = Unmasking(inputs, 1, order).commit(logits, torch.full_like(inputs, MASK), 0)
    assert torch.equal(labels, logits.argmax(-1))


def test_bad_options_are_told_in_one_line(inputs) -> None:
    with pytest.raises(ValueError, match="no order 'right'. Known: confidence, random, left"):
        Unmasking(inputs, 4, "right")
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        Unmasking(inputs, 0, "left")
