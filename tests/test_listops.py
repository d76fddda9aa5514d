"""ListOps: values against a plain recursive reader, exact depths, and what the operator tells."""

import itertools
import math
import random
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.listops import TYPICAL, ListOps
from closedloop.tasks.listops_expressions import (
    CLOSE,
    MAX,
    MED,
    MIN,
    PAD,
    SM,
    applied,
    mean_tokens,
    natural,
)

SPLITS = ["train", "validation", "test"]


@pytest.fixture(scope="module", autouse=True)
def _fresh_pool(tmp_path_factory):
    """Rows are made here, and not read from an earlier run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSEDLOOP_CACHE", str(tmp_path_factory.mktemp("pool")))
        yield


def value_of(operator: int, values: list[int]) -> int:
    if not values:
        return 0
    if operator == MED:
        return int(statistics.median(values))
    return {MIN: min, MAX: max, SM: lambda v: sum(v) % 10}[operator](values)


def plain(row: list[int]) -> list[int]:
    """A stack machine: the value at every bracket that closes something, 0 elsewhere."""
    stack, found = [], []
    for token in row:
        found.append(0)
        if token < 10 and stack:
            stack[-1][1].append(token)
        elif MIN <= token <= SM:
            stack.append((token, []))
        elif token == CLOSE and stack:
            found[-1] = value_of(*stack.pop())
            if stack:
                stack[-1][1].append(found[-1])
    return found


def tree(row: list[int]):
    """A whole expression as nested lists [operator, argument, …]; fails on anything else."""

    def read(at: int):
        if row[at] < 10:
            return row[at], at + 1
        assert MIN <= row[at] <= SM
        node, at = [row[at]], at + 1
        while row[at] != CLOSE:
            child, at = read(at)
            node.append(child)
        return node, at + 1

    node, end = read(0)
    assert all(token == PAD for token in row[end:])
    return node, end


def depth(node) -> int:
    return 0 if isinstance(node, int) else 1 + max(map(depth, node[1:]))


def sizes(node) -> list[int]:
    """Numbers of arguments of all operators."""
    if isinstance(node, int):
        return []
    return [len(node) - 1, *(size for child in node[1:] for size in sizes(child))]


@settings(deadline=None, max_examples=25)
@given(
    span=st.tuples(st.integers(1, 6), st.integers(1, 6)).map(sorted),
    more=st.integers(0, 120),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(SPLITS),
    supervision=st.sampled_from(["dense", "final"]),
)
def test_rows_are_expressions_with_their_values(span, more, seed, split, supervision) -> None:
    task = ListOps(shallowest=span[0], depth=span[1], supervision=supervision)
    batch = task.sample(7, 3 * span[1] + 1 + more, seed, split)
    for i, row in enumerate(batch.inputs.tolist()):
        node, end = tree(row)
        assert all(2 <= size <= 10 for size in sizes(node))
        assert depth(node) == span[0] + i % (span[1] - span[0] + 1)
        assert batch.targets[i].tolist() == plain(row)
        scored = [t for t, token in enumerate(row) if token == CLOSE]
        kept = scored if supervision == "dense" else [end - 1]
        assert batch.mask[i].nonzero().flatten().tolist() == kept


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 15), min_size=30, max_size=30), min_size=1, max_size=4))
def test_labels_hold_on_any_rows(rows) -> None:
    """A bracket that closes nothing is skipped; an operator without arguments is worth 0."""
    assert ListOps().label(torch.tensor(rows)).tolist() == [plain(row) for row in rows]


def test_labels_hold_on_deep_and_wide_rows() -> None:
    nested = [SM] * 500 + [7] + [CLOSE, 1] * 500
    wide = [MED] + [9, 0] * 700 + [CLOSE]
    for row in (nested, wide):
        assert ListOps().label(torch.tensor([row]))[0].tolist() == plain(row)


def test_median_of_an_even_number_is_the_mean_of_the_middle_rounded_down() -> None:
    values = torch.tensor(list(itertools.product(range(10), repeat=4)))
    counts = torch.nn.functional.one_hot(values, 10).sum(1)
    expected = [int(statistics.median(row)) for row in values.tolist()]
    assert applied(torch.full((10_000,), MED), counts).tolist() == expected


def test_strata_are_those_of_the_row() -> None:
    task = ListOps(depth=4, shallowest=2)
    batch = task.sample(300, 60, 3, "test")
    for i, row in enumerate(batch.inputs.tolist()):
        node, end = tree(row)
        assert int(batch.strata["depth"][i]) == depth(node)
        assert int(batch.strata["arguments"][i]) == len(node) - 1
        assert int(batch.strata["size"][i]) == math.floor(math.log2(end)) + 1
        heights = batch.strata["height"][i].tolist()
        for t in (t for t, token in enumerate(row) if token == CLOSE):
            opened = max(s for s in range(t) if row[s : t + 1].count(CLOSE) == balance(row[s:t]))
            assert heights[t] == depth(tree(row[opened : t + 1])[0])
    assert batch.strata["depth"].bincount().tolist() == [0, 0, 100, 100, 100]


def balance(part: list[int]) -> int:
    """Operators in a part of a row."""
    return sum(MIN <= token <= SM for token in part)


def test_arguments_of_every_level_are_uniform_where_there_is_room() -> None:
    batch = ListOps(depth=2, shallowest=2).sample(1920, 200, 0, "train")
    shares = batch.strata["arguments"].bincount(minlength=11)[2:] / 1920
    assert bool(((shares - 1 / 9).abs() < 0.035).all())  # standard error 0.007


def test_the_shortest_rows_leave_two_arguments_each() -> None:
    batch = ListOps(depth=6, shallowest=6).sample(50, 19, 0, "train")
    assert not bool((batch.inputs == PAD).any())
    assert all(sizes(tree(row)[0]) == [2] * 6 for row in batch.inputs.tolist())


def test_natural_rows_are_long_arena_s() -> None:
    """Longer than a quarter of the row; operators with probability 1/4 below the outermost."""
    task = ListOps(sampler="natural", depth=4)
    rows = [tree(row) for row in task.sample(128, 200, 0, "train").inputs.tolist()]
    assert all(50 < end <= 200 and depth(node) <= 4 for node, end in rows)
    short = ListOps(sampler="natural", depth=2).sample(256, 75, 0, "train").inputs.tolist()
    nodes = [tree(row)[0] for row in short if tree(row)[1] > 18]
    assert all(depth(node) == 2 for node in nodes)


def test_mean_tokens_are_the_natural_generator_s() -> None:
    rng = random.Random(0)
    for levels in (1, 2, 3):
        found = [len(natural(rng, levels, 10_000)) for _ in range(4000)]
        error = statistics.stdev(found) / len(found) ** 0.5
        assert abs(statistics.mean(found) - mean_tokens(levels)) < 4 * error


@pytest.mark.parametrize("operator", [MIN, MAX, MED])
def test_the_typical_value_is_the_likeliest(operator: int) -> None:
    """Over 2 to 10 uniform digits: exact up to four of them, and drawn for all."""
    weights = [0.0] * 10
    for size in (2, 3, 4):
        for values in itertools.product(range(10), repeat=size):
            weights[value_of(operator, list(values))] += 10.0**-size
    assert weights.index(max(weights)) == TYPICAL[operator]
    rng, drawn = random.Random(1), [0] * 10
    for _ in range(20_000):
        values = [rng.randrange(10) for _ in range(rng.randrange(2, 11))]
        drawn[value_of(operator, values)] += 1
    assert drawn.index(max(drawn)) == TYPICAL[operator]


@pytest.mark.parametrize("supervision", ["dense", "final"])
def test_the_operator_alone_beats_a_random_digit(supervision: str) -> None:
    task = ListOps(supervision=supervision)
    batch = task.sample(512, 40, 0, "test").to("cpu")
    answers = task.rules()["operator"](batch.inputs)
    assert float((answers == batch.targets)[batch.mask].double().mean()) > 2 * task.chance(40)
    for row, answer in zip(batch.inputs.tolist(), answers.tolist(), strict=True):
        end = len([token for token in row if token != PAD]) - 1
        assert answer[end] == TYPICAL[row[0]]


def test_both_supervisions_have_the_same_rows() -> None:
    dense, final = (ListOps(supervision=s).sample(50, 40, 1, "test") for s in ("dense", "final"))
    assert torch.equal(dense.inputs, final.inputs)
    assert bool((final.mask.sum(1) == 1).all()) and bool((dense.mask | ~final.mask).all())


def test_a_row_is_shown_with_its_values() -> None:
    task = ListOps(shallowest=3)
    batch = task.sample(1, 40, 0, "test")
    words = task.show(batch, 0).split()
    values = [word for word in words if word.startswith("]=")]
    assert len(values) == int(batch.mask.sum())
    assert values[-1] == f"]={batch.targets[0][batch.mask[0]][-1]}"


def test_sizes_that_cannot_be_filled_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"expected a length of at least 10, got 9"):
        ListOps().sample(1, 9, 0, "train")
    with pytest.raises(ValueError, match=r"expected a length up to \d+ for natural rows"):
        ListOps(sampler="natural", depth=1).sample(1, 100, 0, "train")
    with pytest.raises(ValueError, match="shallowest 4 and depth 3"):
        ListOps(shallowest=4)
    with pytest.raises(ValueError, match="Known: natural, stratified|Known: stratified, natural"):
        ListOps(sampler="long")


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    task = ListOps()
    assert batch_hash(task.sample(256, task.lengths[1], 0, "test")) == FROZEN


FROZEN = "f4b0c62e90bf77517f0355b35408ad4e41a03354009fce874a3479d5f403f078"
