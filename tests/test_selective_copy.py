"""Selective copy: rows, strata and levels, against plain Python and over all sizes."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.counter import bits32
from closedloop.tasks.selective_copy import FIRST, LAST, SPREAD, SelectiveCopy, subset
from closedloop.tasks.task import scored_share


def plain(row: list[int], content: int) -> list[int]:
    """The j-th content token at the j-th slot, 0 if it has not come."""
    come, asked, found = [], 0, []
    for token in row:
        if token < content:
            come.append(token)
        asked += token == content + 1
        answered = token == content + 1 and asked <= len(come)
        found.append(come[asked - 1] if answered else 0)
    return found


def plain_zone(places: list[int], data: int) -> int:
    quarter = data // 4
    if max(places) < quarter:
        return FIRST
    return LAST if min(places) >= data - quarter else SPREAD


@settings(deadline=None, max_examples=60)
@given(
    content=st.integers(2, 254),
    copies=st.integers(1, 12),
    blanks=st.integers(1, 300),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
)
def test_rows_are_well_formed_and_answered_at_any_size(
    content, copies, blanks, seed, split
) -> None:
    task, data = SelectiveCopy(content=content, copies=copies), copies + blanks
    batch = task.sample(6, data + copies, seed, split)
    assert torch.equal(task.label(batch.inputs), batch.targets)
    for i, row in enumerate(batch.inputs.tolist()):
        places = [t for t, token in enumerate(row[:data]) if token < content]
        assert len(places) == copies and row[data:] == [content + 1] * copies
        assert all(row[t] == content for t in range(data) if t not in places)
        assert batch.mask[i].tolist() == [False] * data + [True] * copies
        assert batch.targets[i].tolist() == plain(row, content)
        gaps = [(data + j - place).bit_length() for j, place in enumerate(places)]
        assert batch.strata["distance"][i].tolist() == [0] * data + gaps
        assert batch.strata["zone"][i] == plain_zone(places, data)


def test_labels_hold_on_rows_that_no_generator_made() -> None:
    """Slots before their content, too many slots, none at all."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(5, (500, 25), generator=generator)
    task = SelectiveCopy(content=3)
    assert task.label(inputs).tolist() == [plain(row, 3) for row in inputs.tolist()]


@pytest.mark.parametrize(("copies", "length"), [(1, 5), (1, 40), (2, 10), (4, 20), (4, 32)])
def test_zones_hold_as_many_rows(copies: int, length: int) -> None:
    """From the shortest length whose quarters hold the content."""
    for split in ("train", "test"):
        batch = SelectiveCopy(copies=copies).sample(1500, length, 0, split)
        assert batch.strata["zone"].bincount().tolist() == [500, 500, 500]


def test_where_a_quarter_is_too_short_content_is_anywhere() -> None:
    batch = SelectiveCopy().sample(2000, 19, 0, "test")
    assert batch.strata["zone"].unique().tolist() == [SPREAD]
    held = (batch.inputs[:, :15] < 16).double().mean(0)
    assert bool(((held - 4 / 15).abs() < 4.5 * (4 / 15 * 11 / 15 / 2000) ** 0.5).all())


def test_the_last_token_does_not_always_stand_before_the_slots() -> None:
    """Nor is it kept from there: as often as its place would have it."""
    batch = SelectiveCopy().sample(6000, 32, 0, "test")
    ends = (batch.inputs[:, 27] < 16).double()
    for zone, share in ((FIRST, 0.0), (LAST, 4 / 7), (SPREAD, 4 / 28)):
        found = float(ends[batch.strata["zone"] == zone].mean())
        assert found == pytest.approx(share, abs=0.05)  # 4.5 standard errors of 2,000 rows


def test_spread_content_is_uniform_over_what_the_quarters_leave() -> None:
    """Two of eight places, not both among 0, 1 and not both among 6, 7: 26 equal pairs."""
    batch = SelectiveCopy(copies=2).sample(30_000, 10, 0, "train")
    places = (batch.inputs[batch.strata["zone"] == SPREAD] < 16).nonzero()[:, 1].view(-1, 2)
    counts = (places[:, 0] * 8 + places[:, 1]).bincount(minlength=64)
    allowed = {(i, j) for i, j in itertools.combinations(range(8), 2)} - {(0, 1), (6, 7)}
    assert {divmod(int(c), 8) for c in counts.nonzero()} == allowed
    expected = 10_000 / len(allowed)
    assert bool(((counts[counts > 0] - expected).abs() < 4.5 * expected**0.5).all())


def test_subsets_are_uniform_and_ascending() -> None:
    """All ten pairs of five, by a count of each row's own."""
    bits = bits32(1, torch.arange(20_000), 2)
    places = subset(bits, torch.full((20_000,), 5))
    assert torch.equal(places, subset(bits, 5))
    assert bool((places[:, 0] < places[:, 1]).all())
    counts = (places[:, 0] * 5 + places[:, 1]).bincount()
    assert int((counts > 0).sum()) == 10
    assert bool(((counts[counts > 0] - 2000).abs() < 4.5 * 2000**0.5).all())
    whole = subset(bits32(2, torch.arange(9), 7), 7)
    assert bool((whole == torch.arange(7)).all())


@pytest.mark.parametrize(("content", "copies", "length"), [(2, 2, 30), (16, 4, 32), (5, 4, 12)])
def test_a_token_of_the_row_scores_the_stated_shortcut(content, copies, length) -> None:
    task = SelectiveCopy(content=content, copies=copies)
    batch = task.sample(20_000, length, 0, "test").to("cpu")
    scores = {n: scored_share(task, batch, r(batch.inputs)) for n, r in task.rules().items()}
    level = 1 / copies + (1 - 1 / copies) / content
    assert task.shortcut(length) == pytest.approx(level)
    assert scores["first content"] == pytest.approx(level, abs=0.01)
    assert scores["latest content"] == pytest.approx(level, abs=0.01)
    assert max(scores.values()) < level + 0.01


def test_a_fixed_lag_finds_as_many_tokens_as_stated() -> None:
    """k/(q − k + 1) of k in a quarter of q places, and any token by a chance of 1/V."""
    task = SelectiveCopy(content=10, copies=3)
    batch = task.sample(12_000, 23, 0, "test").to("cpu")  # data 20, quarters of 5
    found = 1 / (5 - 3 + 1)
    expected = found + (1 - found) / 10
    for zone, name in ((FIRST, "lag of the data"), (LAST, "lag of the slots")):
        part = batch.rows(batch.strata["zone"] == zone)
        share = scored_share(task, part, task.rules()[name](part.inputs))
        assert share == pytest.approx(expected, abs=0.02)


def test_where_a_fixed_lag_knows_more_the_shortcut_is_measured() -> None:
    """Quarters as long as the content leave no blanks between: one lag answers a third of rows."""
    task = SelectiveCopy(copies=3)
    level = 1 / 3 + (2 / 3) / 16
    assert task.shortcut(15) == pytest.approx(task.shortcut(16), abs=0.03)
    assert task.shortcut(15) > level + 0.01
    assert task.shortcut(23) == pytest.approx(level)


def test_rules_are_what_they_say() -> None:
    row = torch.tensor([[4, 2, 4, 0, 1, 4, 5, 5, 5]])
    rules = {
        n: r(row)[0, 6:].tolist() for n, r in SelectiveCopy(content=4, copies=3).rules().items()
    }
    assert rules == {
        "first content": [2, 2, 2],
        "latest content": [1, 1, 1],
        "lag of the data": [0, 2, 0],
        "lag of the slots": [0, 1, 0],
    }


def test_constant_answers_score_chance() -> None:
    task = SelectiveCopy()
    batch = task.sample(20_000, 32, 0, "test")
    share = scored_share(task, batch, torch.full_like(batch.inputs, 3))
    assert share == pytest.approx(task.chance(32), abs=0.004)  # 4.5 errors of 80,000 slots


@pytest.mark.parametrize("length", [-1, 0, 4, 8])
def test_impossible_lengths_are_told_in_one_line(length: int) -> None:
    with pytest.raises(ValueError, match=rf"length of at least 2·copies \+ 1 = 9, .*got {length}$"):
        SelectiveCopy().sample(4, length, 0, "train")


def test_options_are_refused_in_one_line() -> None:
    for content in (1, 255):
        with pytest.raises(ValueError, match=f"content from 2 to 254, got {content}$"):
            SelectiveCopy(content=content)
    with pytest.raises(ValueError, match="at least 1 of copies, got 0$"):
        SelectiveCopy(copies=0)


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(SelectiveCopy().sample(256, 32, 0, "test")) == FROZEN


FROZEN = "cb47fa8bb7dd4da3947abd7e922d973b5dd0eda4101758518abab5151f7863f2"
