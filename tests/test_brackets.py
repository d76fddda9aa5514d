"""Bracketed expressions: grammar, depths and values, against Python's own and exact fractions."""

import itertools
from collections import Counter
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.brackets import depth_shares
from closedloop.tasks.mod_arith import ModArith

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


def parsed(row: str) -> int:
    """Depth of an expression of the grammar; an assertion where it is none."""
    if len(row) < 3:
        assert row[-1].isdigit() and row[:-1] in ("", "-")
        return 0
    assert row[0] == "(" and row[-1] == ")"
    if len(row) < 5:
        return 1 + parsed(row[1:-1])
    split = divide(row)
    assert row[split] in "+-*"
    return 1 + max(parsed(row[1:split]), parsed(row[split + 1 : -1]))


def divide(row: str) -> int:
    """Where the operator between A and B stands."""
    level = 0
    for place in range(1, len(row)):
        level += (row[place] == "(") - (row[place] == ")")
        if level == 0 and (row[place].isdigit() or row[place] == ")"):
            return place + 1
    raise AssertionError(row)


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 60),
    modulus=st.integers(2, 9),
    operators=st.sampled_from(["all", "signs"]),
    sampler=st.sampled_from(["natural", "stratified"]),
    seed=st.integers(0, 2**31),
)
def test_bracketed_rows_are_expressions_with_python_s_values(
    length, modulus, operators, sampler, seed
) -> None:
    task = ModArith(modulus=modulus, operators=operators, sampler=sampler, **BRACKETS)
    batch = task.sample(8, length, seed, "test")
    for i, row in enumerate(batch.inputs.tolist()):
        assert batch.strata["depth"][i] == parsed(text(row, modulus))
        assert batch.targets[i].tolist() == [0] * (length - 1) + [worth(row, modulus)]
        assert batch.mask[i].tolist() == [False] * (length - 1) + [True]
        assert operators == "all" or modulus + 2 not in row


@pytest.mark.parametrize(
    "expression",
    ["(1+2*3)", "2-(3-(4-1))*2", "-(2-3)", "((4))", "1--3", "4*-3+2", "(-(-(2)))*(1-4*4)", "-3*-2"],
)
def test_bracketed_labels_hold_on_other_expressions(expression: str) -> None:
    value = int(ModArith(**BRACKETS).label(ids(expression))[0, -1])
    assert value == eval(expression) % 5


def test_long_expressions_end_and_longer_ones_are_refused() -> None:
    """Rounding loses a share that grows with the length: the depths must not wait for it."""
    task = ModArith(brackets=True, supervision="final")
    assert int(depth_shares(1400).most[-1][1400]) > 0.999 * 2**30
    with pytest.raises(ValueError, match="a length of at most 2048 with brackets, got 2049"):
        task.require_length(2049)


def test_both_evaluations_agree_where_there_are_no_brackets() -> None:
    inputs = ModArith(modulus=7).sample(300, 61, 0, "test").inputs
    flat, general = ModArith(modulus=7).label(inputs), ModArith(modulus=7, **BRACKETS).label(inputs)
    assert torch.equal(flat[:, ::2], general[:, ::2])


def test_deep_brackets_and_stray_ones() -> None:
    task = ModArith(**BRACKETS)
    assert int(task.label(ids("(" * 3000 + "3" + ")" * 3000))[0, -1]) == 3
    assert task.label(ids(")2)"))[0].tolist() == [0, 2, 2]


def exact_shares(length: int) -> list[list[Fraction]]:
    """[size][depth]: chances of depths, by the definition."""
    found: list[list[Fraction]] = [[Fraction(0)] * (length + 1) for _ in range(length + 1)]
    for size in range(1, length + 1):
        if size < 5:
            found[size][int(size > 2)] = Fraction(1)
            continue
        for a in range(1, size - 3):
            for (i, p), (j, q) in itertools.product(
                enumerate(found[a]), enumerate(found[size - 3 - a])
            ):
                if p and q:
                    found[size][1 + max(i, j)] += p * q / (size - 4)
    return found


def test_shares_of_depths_are_those_of_the_grammar() -> None:
    exact, shares = exact_shares(30), depth_shares(30).exact
    for size, depth in itertools.product(range(1, 31), range(len(shares))):
        share = int(shares[depth, size]) / 2**30
        assert share == pytest.approx(float(exact[size][depth]), abs=1e-7)  # rounded down often


def test_a_depth_s_rows_are_what_redrawing_would_give() -> None:
    """Sizes |A| and depths of A at 15 tokens, against the definition."""
    length, exact = 15, exact_shares(15)
    batch = ModArith(**BRACKETS).sample(24_000, length, 0, "train")
    seen: Counter[tuple[int, int, int]] = Counter()
    for row, depth in zip(batch.inputs.tolist(), batch.strata["depth"].tolist(), strict=True):
        expression = text(row, 5)
        split = divide(expression)
        seen[depth, split - 1, parsed(expression[1:split])] += 1
    strata = batch.strata["depth"].bincount()
    assert strata.nonzero()[:, 0].tolist() == [2, 3, 4]
    for depth, a, inner in itertools.product((2, 3, 4), range(1, 12), range(4)):
        others = exact[12 - a]
        partner = sum(others[:depth]) if inner == depth - 1 else others[depth - 1]
        joint = exact[a][inner] * partner if inner < depth else Fraction(0)
        chance = joint / (length - 4) / exact[length][depth]
        share = seen[depth, a, inner] / int(strata[depth])
        assert abs(share - chance) < 0.025  # 8,000 rows a depth: five standard errors at most


def test_natural_depths_are_those_of_the_grammar() -> None:
    batch = ModArith(sampler="natural", **BRACKETS).sample(20_000, 30, 0, "train")
    shares = batch.strata["depth"].bincount(minlength=31) / 20_000
    for share, chance in zip(shares.tolist(), exact_shares(30)[30], strict=True):
        assert abs(share - chance) < 0.018  # five standard errors at most


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(ModArith(**BRACKETS).sample(256, 41, 0, "test")) == FROZEN


FROZEN = "27b4d6a200265f134ce16d1530c7b4670eb0b9346b6f413b6fb85545b4d861b5"
