"""Dyck: words, strata and levels, against a plain stack and the law of the walk."""

import itertools
from collections import Counter
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.dyck import Dyck
from closedloop.tasks.task import scored_share


def plain(row: list[int], kinds: int) -> tuple[list[int], list[int], list[int], bool]:
    """Answers, depths, distances to the opener asked about, and whether the row is a word."""
    stack: list[tuple[int, int]] = []
    answers, depths, distances, sound = [], [], [], True
    for t, token in enumerate(row):
        if token < kinds:
            stack.append((token, t))
        elif stack and stack[-1][0] == token - kinds:
            stack.pop()
        else:
            sound = False
        answers.append(stack[-1][0] if stack else kinds)
        depths.append(len(stack))
        distances.append(t - stack[-1][1] if stack else 0)
    return answers, depths, distances, sound and not stack


def ids(word: str) -> torch.Tensor:
    return torch.tensor([["([)]".index(character) for character in word]])


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(3, 90),
    kinds=st.integers(2, 9),
    depth=st.integers(2, 12),
    supervision=st.sampled_from(["dense", "final"]),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
)
def test_rows_answers_and_strata_are_a_stack_s(
    length, kinds, depth, supervision, seed, split
) -> None:
    task = Dyck(kinds=kinds, depth=depth, supervision=supervision)
    heights = task.heights(length, split)
    assume(heights)
    batch = task.sample(2 * len(heights), length, seed, split)
    assert batch.strata["height"].tolist() == 2 * heights
    for i, row in enumerate(batch.inputs.tolist()):
        answers, depths, distances, word = plain(row, kinds)
        assert batch.strata["depth"][i].tolist() == depths
        assert batch.strata["distance"][i].tolist() == [d.bit_length() for d in distances]
        assert max(depths) == batch.strata["height"][i]
        if task.final:
            assert batch.mask[i].tolist() == [False] * (length - 1) + [True]
            assert batch.targets[i].tolist() == [0] * (length - 1) + answers[-1:]
            assert row[-1] >= kinds and depths[-1] > 0
        else:
            assert word and bool(batch.mask[i].all())
            assert batch.targets[i].tolist() == answers


@pytest.mark.parametrize("kinds", [2, 3, 100])
def test_labels_and_the_checker_hold_on_rows_that_no_walk_made(kinds: int) -> None:
    task = Dyck(kinds=kinds)
    noise = torch.randint(2 * kinds, (300, 40), generator=torch.Generator().manual_seed(kinds))
    tails = Dyck(kinds=kinds, depth=9).sample(300, 40, 0, "train").inputs.clone()
    tails[:, 25:] = tails.roll(1, 0)[:, 25:]
    for rows in (noise, tails, torch.zeros(1, 3000, dtype=torch.int64)):
        found = [plain(row, kinds) for row in rows.tolist()]
        assert task.label(rows).tolist() == [answers for answers, *_ in found]
        assert task.balanced(rows).tolist() == [word for *_, word in found]


def test_the_checker_is_right_on_all_rows_of_six_tokens() -> None:
    rows = torch.tensor(list(itertools.product(range(4), repeat=6)))
    words = Dyck().balanced(rows)
    assert words.tolist() == [plain(row, 2)[3] for row in rows.tolist()]
    assert int(words.sum()) == 5 * 2**3  # Catalan's number of shapes, kinds free


def test_crossed_brackets_are_no_word_and_a_wrong_closer_changes_nothing() -> None:
    task = Dyck()
    assert task.balanced(ids("([])()")).all() and not task.balanced(ids("([)]")).any()
    assert not task.balanced(ids(")(")).any() and not task.balanced(ids("((")).any()
    assert task.label(ids("([)]"))[0].tolist() == [0, 1, 1, 0]
    assert task.label(ids("])[")).tolist() == [[2, 2, 1]]


def law(length: int, height: int, final: bool) -> dict[tuple[int, ...], Fraction]:
    """Chances of step sequences, by walking all of them and keeping those that end as wanted."""
    found = {}
    for walk in itertools.product((1, -1), repeat=length):
        depth, top, chance = 0, 0, Fraction(1)
        for t, step in enumerate(walk):
            rest = (2 * length if final else length) - t
            forced = 1 if depth == 0 else -1 if depth in (height, rest) else 0
            chance *= Fraction(1, 2) if forced == 0 else int(step == forced)
            depth += step
            top = max(top, depth)
        hard = walk[-1] == -1 and depth > 0
        if chance and top == height and (hard or not final):
            found[walk] = chance
    total = sum(found.values())
    return {walk: chance / total for walk, chance in found.items()}


@pytest.mark.parametrize(
    ("length", "height", "supervision"),
    [(10, 2, "dense"), (10, 3, "dense"), (10, 4, "dense"), (9, 3, "final"), (8, 3, "final")],
)
def test_walks_follow_the_law_given_their_height(length, height, supervision) -> None:
    """As if they were drawn anew until they fit."""
    task = Dyck(kinds=2, depth=4, supervision=supervision)
    batch = task.sample(30_000, length, 0, "train")
    rows = batch.inputs[batch.strata["height"] == height]
    seen = Counter(tuple(row) for row in (1 - 2 * (rows >= 2).long()).tolist())
    expected = law(length, height, task.final)
    assert set(seen) == set(expected)
    for walk, chance in expected.items():
        # nearly 10,000 rows or more: five standard errors are under 0.025
        assert abs(seen[walk] / len(rows) - chance) < 0.025


def test_heights_that_redrawing_would_hardly_find_are_filled() -> None:
    dense = Dyck(depth=16).sample(150, 32, 0, "test")
    assert dense.strata["height"].bincount().tolist() == [0, 0] + [10] * 15
    final = Dyck(depth=64, supervision="final").sample(186, 70, 0, "test")
    assert final.strata["height"].bincount().tolist() == [0, 0, 0] + [3] * 62


def test_a_height_that_does_not_fit_is_left_out() -> None:
    assert Dyck(depth=8).heights(10, "train") == [2, 3, 4, 5]
    final = Dyck(supervision="final")
    assert final.heights(3, "test") == [2] and final.heights(4, "test") == [3]
    assert final.heights(9, "test") == [2, 3, 4] and final.heights(32, "test") == [3, 4]


def test_deeper_strata_are_in_the_test_rows_alone() -> None:
    task = Dyck(depth=3, deepest=6)
    tops = {
        s: task.sample(50, 20, 0, s).strata["height"].unique().tolist()
        for s in ("train", "validation", "test")
    }
    assert tops == {"train": [2, 3], "validation": [2, 3], "test": [2, 3, 4, 5, 6]}


def test_the_headline_counts_closers_that_leave_a_bracket_open() -> None:
    task = Dyck()
    batch = task.sample(200, 24, 0, "test").to("cpu")
    correct, scored = task.checks(batch, batch.targets)["closer"]
    assert bool(correct.all())
    for row, hard in zip(batch.inputs.tolist(), scored.tolist(), strict=True):
        depths = plain(row, 2)[1]
        assert hard == [token >= 2 and d > 0 for token, d in zip(row, depths, strict=True)]
    openers_alone = torch.where(batch.inputs < 2, batch.targets, task.kinds)
    assert scored_share(task, batch, openers_alone) == 0


def test_the_final_form_asks_what_the_headline_counts() -> None:
    task = Dyck(kinds=3, depth=6, supervision="final")
    batch = task.sample(400, 33, 0, "test")
    assert torch.equal(task.checks(batch, batch.targets)["closer"][1], batch.mask)


@pytest.mark.parametrize("kinds", [2, 5])
def test_own_tokens_tell_no_more_than_a_guess(kinds: int) -> None:
    task = Dyck(kinds=kinds, depth=6)
    batch = task.sample(4000, 32, 0, "test").to("cpu")
    hard = task.checks(batch, batch.targets)["closer"][1]
    for token in range(kinds, 2 * kinds):
        shares = batch.targets[hard & (batch.inputs == token)].bincount().double()
        # 8,000 answers or more, not all independent: a standard error under 0.01
        assert float(shares.max() / shares.sum()) == pytest.approx(task.chance(32), abs=0.03)


def test_the_mirror_is_right_after_a_longer_run_of_openers() -> None:
    task = Dyck()
    word = ids("([[(]")
    assert task.mirror(ids("([[(")).tolist() == task.label(ids("([[(")).tolist()
    assert int(task.mirror(word)[0, -1]) == 1
    assert task.mirror(ids("[(])")).tolist() == [[1, 0, 1, 2]]
    assert int(task.mirror(ids("[()[]"))[0, -1]) == 0  # the token three back, not the opener


def test_forms_for_methods_of_both_kinds() -> None:
    dense, final = Dyck(kinds=3), Dyck(kinds=3, supervision="final")
    assert dense.reveals and dense.form(True) == dense and dense.form(False) == final
    assert not final.reveals and final.form(True) == final.form(False) == final
    assert Dyck(depth=2).form(False) is None


@pytest.mark.parametrize("length", [-1, 0, 1, 2, 3, 7])
def test_lengths_without_a_hard_closer_are_told_in_one_line(length: int) -> None:
    with pytest.raises(ValueError, match=rf"^expected an even length of at least 4 .*{length}$"):
        Dyck().sample(1, length, 0, "train")
    if length < 3:
        with pytest.raises(
            ValueError, match=rf"^expected a length of at least 3, .* got {length}$"
        ):
            Dyck(supervision="final").sample(1, length, 0, "train")
    with pytest.raises(ValueError, match="^expected an odd length ≥ 3 .*got 8$"):
        Dyck(depth=2, supervision="final").sample(1, 8, 0, "train")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"kinds": 1}, "expected 2 to 100 kinds, got 1"),
        ({"depth": 1}, "expected a depth from 2 to 64, got 1"),
        ({"depth": 5, "deepest": 4}, r"expected deepest 0 or 5 \(depth\) to 64, got 4"),
        ({"supervision": "last"}, "no supervision 'last'. Known: dense, final"),
    ],
)
def test_options_out_of_range_are_told_in_one_line(options, line) -> None:
    with pytest.raises(ValueError, match=f"^{line}$"):
        Dyck(**options)


def test_a_row_is_shown_as_brackets() -> None:
    batch = Dyck().batch(ids("([])()"))
    lines = [line.split()[1:] for line in Dyck().show(batch, 0).splitlines()]
    assert lines == [list("([])()"), list(")])·)·")]
    many = Dyck(kinds=12)
    assert [many.input_name(11), many.input_name(23), many.answer_name(11)] == ["(11", ")11", ")11"]


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(Dyck().sample(256, 32, 0, "test")) == FROZEN


FROZEN = "22f3c582c1d5082d97ea163aa7478565c5c3cda6687857a913a95a1e5ccc6910"
