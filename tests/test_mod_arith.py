"""Modular arithmetic: values, strata and levels, against Python's own arithmetic."""

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.mod_arith import ModArith
from closedloop.tasks.task import scored_share

SIGNS = "+-*()"
BRACKETS = {"brackets": True, "supervision": "final"}


def text(row: list[int], modulus: int) -> str:
    return "".join(str(t) if t < modulus else SIGNS[t - modulus] for t in row)


def ids(expression: str, modulus: int = 5) -> torch.Tensor:
    row = [int(c) if c.isdigit() else modulus + SIGNS.index(c) for c in expression]
    return torch.tensor([row])


def worth(row: list[int], modulus: int) -> int:
    """Python's value of a row that is an expression."""
    return eval(text(row, modulus)) % modulus


def longest_run(row: list[int], modulus: int) -> int:
    runs = [
        len(list(g))
        for times, g in itertools.groupby(row[1::2], lambda o: o == modulus + 2)
        if times
    ]
    return max(runs, default=0)


def chains(row: list[int], modulus: int) -> list[int]:
    """How many × lead to each digit from the start of its term, or from its latest zero."""
    found = [0]
    for operator, digit in zip(row[1::2], row[2::2], strict=True):
        found.append(found[-1] + 1 if operator == modulus + 2 and digit else 0)
    return found


@settings(deadline=None, max_examples=40)
@given(
    digits=st.integers(1, 40),
    modulus=st.integers(2, 9),
    operators=st.sampled_from(["all", "signs"]),
    sampler=st.sampled_from(["natural", "stratified"]),
    supervision=st.sampled_from(["dense", "final"]),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
)
def test_answers_and_strata_are_python_s(
    digits, modulus, operators, sampler, supervision, seed, split
) -> None:
    task = ModArith(modulus=modulus, operators=operators, sampler=sampler, supervision=supervision)
    length = 2 * digits - 1
    batch = task.sample(8, length, seed, split)
    for i, row in enumerate(batch.inputs.tolist()):
        assert all(t < modulus for t in row[::2])
        assert all(0 <= t - modulus < (3 if operators == "all" else 2) for t in row[1::2])
        answers = [worth(row[: t + 1], modulus) for t in range(0, length, 2)]
        scored = list(range(0, length, 2)) if supervision == "dense" else [length - 1]
        assert batch.mask[i].nonzero()[:, 0].tolist() == scored
        assert batch.targets[i, scored].tolist() == [answers[t // 2] for t in scored]
        assert not batch.targets[i, ~batch.mask[i]].any()
        assert int(batch.strata["run"][i]) == longest_run(row, modulus).bit_length()
        assert int(batch.strata["times"][i]) == row.count(modulus + 2).bit_length()
        assert batch.strata["chain"][i, ::2].tolist() == [
            c.bit_length() for c in chains(row, modulus)
        ]


def test_labels_are_right_on_all_rows_of_three_digits() -> None:
    places = [range(3), range(3, 6), range(3), range(3, 6), range(3)]
    rows = torch.tensor(list(itertools.product(*places)))
    found = ModArith(modulus=3).label(rows)
    for row, labels in zip(rows.tolist(), found.tolist(), strict=True):
        assert labels[::2] == [worth(row[:n], 3) for n in (1, 3, 5)]


@pytest.mark.parametrize("modulus", [2, 5, 7, 250])
def test_very_long_products_do_not_overflow(modulus: int) -> None:
    """4,001 factors: Python's own integers tell."""
    digits = [1 + (i * i + i) % (modulus - 1) for i in range(4001)]
    row = [token for digit in digits for token in (digit, modulus + 2)][:-1]
    product, expected = 1, []
    for digit in digits:
        product *= digit
        expected.append(product % modulus)
    labels = ModArith(modulus=modulus).label(torch.tensor([row], dtype=torch.uint8))
    assert labels[0, ::2].tolist() == expected


def test_a_sum_of_many_large_digits_does_not_overflow() -> None:
    row = [249, 250] * 3000 + [249]
    assert int(ModArith(modulus=250).label(torch.tensor([row]))[0, -1]) == -3001 % 250


def test_labels_do_not_raise_on_any_row_and_are_right_up_to_the_fault() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = ModArith().sample(50, 41, 0, "test").inputs.clone()
    noise = torch.randint(8, (50, 20), generator=generator).to(torch.uint8)
    kept = ModArith().label(rows)
    rows[:, 21:] = noise
    assert torch.equal(ModArith().label(rows)[:, :21], kept[:, :21])
    for width in (1, 2, 6):
        assert ModArith().label(noise[:, :width]).shape == (50, width)
    noise = torch.randint(10, (200, 31), generator=generator)
    labels = ModArith(**BRACKETS).label(noise)
    assert labels.shape == noise.shape and 0 <= int(labels.min()) <= int(labels.max()) < 5


@pytest.mark.parametrize("length", [3, 5, 9, 41])
def test_runs_are_spread_evenly_and_uniform_within_their_bin(length: int) -> None:
    batch = ModArith().sample(6000, length, 0, "test")
    runs = Counter(longest_run(row, 5) for row in batch.inputs.tolist())
    most = ((length - 1) // 2 + 1) // 2
    assert set(runs) == set(range(most + 1))
    bins = Counter(run.bit_length() for run in range(most + 1))
    for run, count in runs.items():
        expected = 6000 / len(bins) / bins[run.bit_length()]
        assert abs(count - expected) < 5 * expected**0.5 + 1


def test_natural_operators_and_digits_are_uniform() -> None:
    inputs = ModArith(sampler="natural").sample(4000, 41, 0, "train").inputs
    for places, ways, low in ((inputs[:, ::2], 5, 0), (inputs[:, 1::2], 3, 5)):
        shares = (places.long() - low).flatten().bincount(minlength=ways) / places.numel()
        assert bool(((shares - 1 / ways).abs() < 0.01).all())  # 80,000: standard error 0.002


@pytest.mark.parametrize("supervision", ["dense", "final"])
def test_chance_is_the_best_answer_from_the_own_token_on_all_rows_of_signs(supervision) -> None:
    task = ModArith(modulus=3, operators="signs", supervision=supervision)
    places = [range(3), range(3, 5), range(3), range(3, 5), range(3)]
    batch = task.batch(torch.tensor(list(itertools.product(*places)))).to("cpu")
    right = 0
    for t, token in itertools.product(range(5), range(3)):
        seen = batch.targets[:, t][batch.mask[:, t] & (batch.inputs[:, t] == token)]
        right += int(seen.bincount().max()) if len(seen) else 0
    assert right / int(batch.mask.sum()) == pytest.approx(task.chance(5))


def test_short_rows_are_their_own_answers() -> None:
    for length, options in ((1, {}), (1, {"supervision": "final"}), (1, BRACKETS), (2, BRACKETS)):
        assert ModArith(**options).chance(length) == 1
    assert ModArith(**BRACKETS).chance(3) == pytest.approx(0.2)


def test_left_to_right_is_right_exactly_where_precedence_does_not_matter() -> None:
    task = ModArith()
    batch = task.sample(600, 41, 0, "test").to("cpu")
    answers = task.left_to_right(batch.inputs)
    signs = batch.strata["run"] == 0
    assert scored_share(task, batch.rows(signs), answers[signs]) == 1
    assert scored_share(task, batch, answers) < 0.7
    assert int(task.left_to_right(ids("1+2*3"))[0, -1]) == 9 % 5


def test_rules_are_what_they_are_called() -> None:
    rules = ModArith(**BRACKETS).rules()
    assert rules["latest digit"](ids("(-3)")).tolist() == [[0, 0, 3, 3]]
    assert rules["zero"](ids("(-3)")).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("length", [-1, 0, 2, 40])
def test_bad_lengths_are_told_in_one_line(length: int) -> None:
    with pytest.raises(ValueError, match=rf"^expected .*length.*, got {length}$"):
        ModArith().sample(1, length, 0, "train")
    if length < 1:
        with pytest.raises(ValueError, match=rf"^expected a length of at least 1, got {length}$"):
            ModArith(**BRACKETS).sample(1, length, 0, "train")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"modulus": 1}, "expected a modulus from 2 to 250, got 1"),
        ({"operators": "plus"}, "no operators 'plus'. Known: all, signs"),
        ({"sampler": "fair"}, "no sampler 'fair'. Known: natural, stratified"),
        ({"brackets": True}, "expected supervision final with brackets, got dense"),
    ],
)
def test_bad_options_are_told_in_one_line(options, line) -> None:
    with pytest.raises(ValueError, match=f"^{line}$"):
        ModArith(**options)


def test_a_row_is_shown_as_an_expression() -> None:
    task = ModArith()
    lines = task.show(task.batch(ids("4*3-1")), 0).splitlines()
    assert [line.split()[1:] for line in lines] == [list("4×3−1"), list("4.2.1")]


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(ModArith().sample(256, 41, 0, "test")) == FROZEN


FROZEN = "77b886a259e74dbf78b310726c745462f202e63722a70f6693bdbb226506b3e1"
