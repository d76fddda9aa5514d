"""Addition: digits, chains and levels, against Python's own integers."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.addition import Addition
from closedloop.tasks.sampling import doubling_name
from closedloop.tasks.task import measured_rules

LAYOUTS = ("aligned", "unaligned")


def length_of(layout: str, digits: int) -> int:
    return digits + 1 if layout == "aligned" else 3 * digits + 3


def read(task: Addition, row: list[int]) -> tuple[list[int], list[int]]:
    """The digits of both numbers, with the row's marks checked."""
    base = task.base
    if task.layout == "aligned":
        assert row[-1] == base**2
        return [t // base for t in row[:-1]], [t % base for t in row[:-1]]
    digits = len(row) // 3 - 1
    assert row[digits] == base and row[2 * digits + 1] == base + 1
    assert row[2 * digits + 2 :] == [base + 2] * (digits + 1)
    return row[:digits], row[digits + 1 : 2 * digits + 1]


def number(digits: list[int], base: int) -> int:
    return sum(digit * base**place for place, digit in enumerate(digits))


def total(task: Addition, row: list[int]) -> list[int]:
    """The n + 1 digits of the sum, by Python's integers."""
    left, right = read(task, row)
    left_over = number(left, task.base) + number(right, task.base)
    return [left_over // task.base**place % task.base for place in range(len(left) + 1)]


def longest_chain(left: list[int], right: list[int], base: int) -> int:
    longest = 0
    for start in range(len(left)):
        if left[start] + right[start] >= base:
            end = start + 1
            while end < len(left) and left[end] + right[end] == base - 1:
                end += 1
            longest = max(longest, end - start)
    return longest


def name_of(value: int) -> str:
    return doubling_name(value.bit_length())


@settings(deadline=None, max_examples=40)
@given(
    layout=st.sampled_from(LAYOUTS),
    base=st.sampled_from([2, 3, 10, 16, 100]),
    digits=st.integers(1, 90),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
)
def test_answers_and_chains_are_those_of_python_s_integers(
    layout, base, digits, seed, split
) -> None:
    task = Addition(base=base, layout=layout)
    batch = task.sample(9, length_of(layout, digits), seed, split)
    for place, row in enumerate(batch.inputs.tolist()):
        assert batch.targets[place][batch.mask[place]].tolist() == total(task, row)
        chain = longest_chain(*read(task, row), base)
        name = task.stratum_name("carry", int(batch.strata["carry"][place]))
        assert name == f"carry {name_of(chain)}"
    assert int(batch.mask.sum(1).unique()) == digits + 1
    assert int((batch.targets * ~batch.mask).sum()) == 0


@settings(deadline=None, max_examples=25)
@given(
    layout=st.sampled_from(LAYOUTS),
    base=st.integers(2, 12),
    digits=st.integers(1, 30),
    data=st.data(),
)
def test_labels_hold_for_rows_that_the_generator_did_not_make(layout, base, digits, data) -> None:
    task = Addition(base=base, layout=layout)
    pair = st.integers(0, base**2 - 1)
    pairs = data.draw(st.lists(pair, min_size=digits, max_size=digits))
    inputs = task.write(torch.tensor([pairs]))
    assert task.label(inputs)[0][-digits - 1 :].tolist() == total(task, inputs[0].tolist())


def test_a_carry_travels_the_whole_row() -> None:
    """99…9 + 1, and 11…1 + 1 in binary, at a length past the range of a byte."""
    for base, digits in ((10, 700), (2, 700)):
        task = Addition(base=base)
        pairs = torch.tensor([[(base - 1) * base + 1] + [(base - 1) * base] * (digits - 1)])
        assert task.label(task.write(pairs))[0].tolist() == [0] * digits + [1]


def test_lookback_is_how_far_back_the_carry_is_decided() -> None:
    """0+0 kills, 1+1 generates, 0+1 propagates; before the first digit there is no carry."""
    task = Addition()
    inputs = task.write(torch.tensor([[1, 2, 3, 1, 1, 1, 0, 1]]))
    bins = task.batch(inputs).strata["lookback"][0].tolist()
    names = [task.stratum_name("lookback", bin) for bin in bins]
    expected = [0, 1, 2, 1, 2, 3, 4, 1, 2]
    assert names == [f"lookback {name_of(value)}" for value in expected]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_digits_other_than_digits_count_as_zero_and_do_not_raise(layout: str) -> None:
    task = Addition(base=3, layout=layout)
    for length in (1, 2, 3, 5, 6, 7, 12):
        rows = torch.randint(
            task.vocab, (50, length), generator=torch.Generator().manual_seed(length)
        )
        answers = task.label(rows)
        assert answers.shape == rows.shape
        assert 0 <= int(answers.min()) and int(answers.max()) < 3
    mixed = Addition(base=2).label(torch.tensor([[3, 1, 4, 1, 3, 0]]))  # an END in the middle
    assert mixed.tolist() == [[0, 0, 1, 1, 0, 1]]


@pytest.mark.parametrize("digits", [1, 2, 5, 12, 40])
@pytest.mark.parametrize("base", [2, 10])
def test_every_bin_of_chains_holds_as_many_rows_on_every_split(digits: int, base: int) -> None:
    bins = digits.bit_length() + 1
    for split in ("train", "validation", "test"):
        batch = Addition(base=base).sample(60 * bins, digits + 1, 3, split)
        assert batch.strata["carry"].bincount().tolist() == [60] * bins


def test_chains_lie_anywhere_and_have_every_length_of_their_bin() -> None:
    task, digits = Addition(), 12
    seen: dict[int, set[int]] = {}
    for row in task.sample(3000, digits + 1, 0, "test").inputs.tolist():
        left, right = read(task, row)
        chain = longest_chain(left, right, 2)
        starts = [s for s in range(digits) if longest_chain(left[s:], right[s:], 2) == chain]
        seen.setdefault(chain, set()).add(max(starts))
    assert set(seen) == set(range(digits + 1))
    assert all(seen[c] == set(range(digits - c + 1)) for c in range(3, digits + 1))


def test_digits_off_the_chain_are_uniform() -> None:
    """The first pair generates where a chain of 16 to 31 of 40 digits starts there, else any."""
    batch = Addition().sample(42_000, 41, 1, "train").to("cpu")
    held = batch.inputs[batch.strata["carry"] == 5, 0].bincount(minlength=4) / 6000
    starts = sum(1 / (41 - chain) for chain in range(16, 32)) / 16
    expected = torch.tensor([0.0, 0, 0, starts]) + (1 - starts) / 4
    # 6,000 rows: a standard error of 0.006
    torch.testing.assert_close(held, expected, rtol=0, atol=0.025)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("base", [2, 3])
def test_chance_guesses_among_the_answers_that_a_token_leaves(layout: str, base: int) -> None:
    """Over all rows of two digits: which answers go with a token at its place."""
    task = Addition(base=base, layout=layout)
    rows = task.write(torch.tensor(list(itertools.product(range(base**2), repeat=2))))
    targets, share = task.label(rows), 0.0
    for place in range(rows.shape[1] - 3, rows.shape[1]):
        tokens = rows[:, place].tolist()
        left = {t: targets[rows[:, place] == t, place].unique() for t in set(tokens)}
        share += sum(1 / len(left[t]) for t in tokens) / len(tokens) / 3
    assert task.chance(rows.shape[1]) == pytest.approx(share)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rules_answer_what_their_names_say(layout: str) -> None:
    """11 + 01 + 01 … : 1+1, 0+1, 1+1, 0+0, as binary digits from the least significant."""
    task = Addition(layout=layout)
    inputs = task.write(torch.tensor([[3, 1, 3, 0]]))
    rules = {name: rule(inputs)[0, -5:].tolist() for name, rule in task.rules().items()}
    assert rules == {
        "no carry": [0, 1, 0, 0, 0],
        "always carry": [0, 0, 1, 1, 1],
        "carry of the digit before": [0, 0, 0, 1, 0],
    }
    assert task.label(inputs)[0, -5:].tolist() == [0, 0, 1, 1, 0]


def test_rules_fail_where_carries_travel() -> None:
    """No carry is right without chains, and near a coin or below in the longest."""
    task = Addition()
    batch = task.sample(3000, 41, 0, "test").to("cpu")
    rules = task.rules()
    none = (rules["no carry"](batch.inputs) == batch.targets).double().mean(1)
    always = (rules["always carry"](batch.inputs) == batch.targets).double().mean(1)
    first, last = (batch.strata["carry"] == s for s in (0, 6))
    assert float(none[first].mean()) == 1.0
    assert float(none[last].mean()) < 0.2 and float(always[last].mean()) > 0.8
    assert task.shortcut(41) == max(task.chance(41), *measured_rules(task, 41).values())


@pytest.mark.parametrize(
    ("layout", "length"),
    [("aligned", 1), ("unaligned", 3), ("unaligned", 7), ("unaligned", 11), ("unaligned", 0)],
)
def test_a_length_without_digits_is_told_in_one_line(layout: str, length: int) -> None:
    with pytest.raises(ValueError, match=rf"expected a length of .*got {length}$"):
        Addition(layout=layout).sample(4, length, 0, "test")


def test_unknown_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="Known: aligned, unaligned"):
        Addition(layout="crooked")
    for base in (1, 101):
        with pytest.raises(ValueError, match=f"expected a base from 2 to 100, got {base}"):
            Addition(base=base)


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(Addition().sample(256, 39, 0, "test")) == FROZEN


FROZEN = "97605051b1f039402d22ea14e18608f36ccc16fa63dab48ca3e582157be208cd"
