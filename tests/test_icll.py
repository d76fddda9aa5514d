"""ICLL: words of their automata, legal symbols, and answers that follow from the row."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.automata import NONE, minimised, seen_after
from closedloop.tasks.icll import ICLL
from closedloop.tasks.task import Batch, scored_share

SPLITS = ["train", "validation", "test"]


@pytest.fixture(scope="module", autouse=True)
def _fresh_pool(tmp_path_factory):
    """Rows are made here, and not read from an earlier run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSEDLOOP_CACHE", str(tmp_path_factory.mktemp("pool")))
        yield


def words_of(row: list[int], separator: int) -> list[list[int]]:
    """The words of a row up to its first PAD."""
    words: list[list[int]] = [[]]
    for token in row:
        if token > separator:
            break
        if token == separator:
            words.append([])
        else:
            words[-1].append(token)
    return words


def plain_answer(row: list[int], end: int, separator: int) -> int | None:
    """What followed the latest time that the word which ends at `end` began a word."""
    *earlier, word = words_of(row[: end + 1], separator)
    for other in reversed(earlier):
        if other[: len(word)] == word and len(other) > len(word):
            return other[len(word)]
    return None


# ---- rows ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(
    length=st.integers(4, 90),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(SPLITS),
    sizes=st.sampled_from([(2, 4, 6, 10, 9), (5, 6, 3, 3, 20), (2, 2, 30, 2, 2)]),
)
def test_rows_are_words_of_their_automaton_with_legal_answers(length, seed, split, sizes) -> None:
    """Dense and final from the same rows; the final one ends at the symbol that is asked."""
    fewest, states, symbols, words, longest = sizes
    dense = ICLL(
        states=states,
        fewest_states=fewest,
        symbols=symbols,
        words=words,
        fewest_words=words - 1 if words > 2 else 2,
        longest=longest,
    )
    batch = dense.sample(5, length, seed, split)
    final = dense.form(causal=False).sample(5, length, seed, split)
    assert torch.equal(batch.extra["edges"], final.extra["edges"])
    for i, row in enumerate(batch.inputs.tolist()):
        edges = batch.extra["edges"][i].tolist()
        count = int(batch.strata["states"][i])
        assert count == fewest + i % (states - fewest + 1) == len(minimised(edges[:count]))
        check_words(row, edges, batch.extra["state"][i].tolist(), dense)
        following = [*row[1:], symbols]
        assert batch.mask[i].tolist() == [token < symbols for token in following]
        assert batch.targets[i].tolist() == [t if t < symbols else 0 for t in following]
        check_question(row, final, i, edges, symbols)


def check_words(row, edges, states, task: ICLL) -> None:
    """Every symbol is an edge out of the state, and the words are as many and as long as said."""
    state, padded = 0, False
    for token, after in zip(row, states, strict=True):
        padded |= token == task.symbols + 1
        assert not padded or token == task.symbols + 1
        state = 0 if token >= task.symbols else edges[state][token]
        assert state == after != NONE
    words = words_of(row, task.symbols)
    assert len(words) <= task.words and max(map(len, words)) <= task.longest
    assert not padded or (len(words) >= task.fewest_words and min(map(len, words)) >= 1)


def check_question(row, final: Batch, i: int, edges, symbols: int) -> None:
    """One answer, legal, at the last place that has one; nothing of the row behind it."""
    (place,) = final.mask[i].nonzero().flatten().tolist()
    kept = final.inputs[i].tolist()
    assert kept == row[: place + 1] + [symbols + 1] * (len(row) - place - 1)
    target = int(final.targets[i, place])
    assert target == plain_answer(row, place, symbols)
    assert edges[int(final.extra["state"][i, place])][target] != NONE
    rest = [t for t in range(place + 1, len(row)) if row[t] < symbols]
    assert all(plain_answer(row, t, symbols) is None for t in rest)


def test_final_labels_hold_on_any_rows() -> None:
    """Empty words, separators at the ends, tails of other rows: symbols 0–2, SEP 3."""
    rng = random.Random(4)
    rows = [[rng.choice((0, 0, 1, 2, 3)) for _ in range(30)] for _ in range(200)]
    for row, answers in zip(rows, seen_after(torch.tensor(rows), 3).tolist(), strict=True):
        assert answers == [plain_answer(row, t, 3) or 0 for t in range(len(row))]


def test_strata_are_those_of_the_row() -> None:
    batch = ICLL().sample(30, 64, 2, "test")
    bins = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4]
    for i, row in enumerate(batch.inputs.tolist()):
        edges = batch.extra["edges"][i].tolist()
        for t, token in enumerate(row):
            legal = sum(x != NONE for x in edges[int(batch.extra["state"][i, t])])
            assert int(batch.strata["degree"][i, t]) == legal
            assert int(batch.strata["words"][i, t]) == bins[row[: t + 1].count(6)]
            targets = {out[token] for out in edges if token < 6} - {NONE}
            assert int(batch.strata["entries"][i, t]) == max(1, len(targets))
    assert batch.strata["states"].bincount().tolist() == [0, 0, 10, 10, 10]
    names = [ICLL().stratum_name("words", stratum) for stratum in range(5)]
    assert names == ["words 0", "words 1-2", "words 3-5", "words 6-9", "words ≥10"]


# ---- levels and metrics ----------------------------------------------------------------------


@pytest.mark.parametrize("supervision", ["dense", "final"])
def test_chance_is_what_random_symbols_score(supervision: str) -> None:
    task = ICLL(supervision=supervision)
    batch = task.sample(512, 64, 0, "test").to("cpu")
    shares = [scored_share(task, batch, torch.full_like(batch.inputs, s)) for s in range(6)]
    assert abs(sum(shares) / 6 - task.chance(64)) < 0.02  # standard error of 512 rows: 0.005


def test_true_logits_have_no_distance_and_uniform_ones_miss_the_illegal_share() -> None:
    task = ICLL()
    batch = task.sample(50, 64, 0, "test").to("cpu")
    rows = torch.arange(50)[:, None]
    legal = batch.extra["edges"][rows, batch.extra["state"]] != NONE
    true = task.measures(batch, legal.double().log())["tvd"]
    assert torch.equal(true[1], batch.mask) and float(true[0].abs().max()) < 1e-12
    flat = task.measures(batch, torch.zeros(50, 64, 6))["tvd"][0]
    torch.testing.assert_close(flat, 1 - legal.float().sum(2) / 6)  # a third of six is not exact
    right, scored = task.checks(batch, legal.long().argmax(2))["legal"]
    assert bool(right.all()) and torch.equal(scored, batch.mask)
    assert not bool(task.checks(batch, (~legal).long().argmax(2))["legal"][0].any())


def test_next_symbols_are_uniform_over_the_legal_ones() -> None:
    """Of two legal symbols the lower one comes half of the time."""
    batch = ICLL().sample(600, 64, 0, "train").to("cpu")
    rows = torch.arange(len(batch))[:, None]
    legal = batch.extra["edges"][rows, batch.extra["state"]] != NONE
    two = batch.mask & (batch.strata["degree"] == 2)
    lower = (legal.long().argmax(2) == batch.targets)[two].double()
    assert len(lower) > 5000 and abs(float(lower.mean()) - 0.5) < 0.03  # standard error 0.005


def test_the_bigram_rule_is_a_table_of_the_past() -> None:
    task = ICLL()
    inputs = task.sample(20, 40, 5, "test").inputs
    answers = task.rules()["bigram"](inputs).tolist()
    for row, given_answers in zip(inputs.tolist(), answers, strict=True):
        for t in range(len(row)):
            after = [row[s + 1] for s in range(t) if row[s] == row[t] and row[s + 1] < 6]
            assert given_answers[t] == max(range(6), key=lambda s: (after.count(s), -s))


def test_a_row_is_shown_with_its_automaton() -> None:
    batch = ICLL().sample(3, 24, 0, "test")
    lines = ICLL().show(batch, 2).splitlines()
    assert len(lines) == 2 + 4 and lines[2].startswith("state 0  ") and "→" in lines[5]


def test_sizes_that_cannot_be_filled_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="expected a length of at least 4, got 3"):
        ICLL().sample(1, 3, 0, "train")
    with pytest.raises(ValueError, match="expected fewest_states from 2 to 4, got 5"):
        ICLL(fewest_states=5)
    with pytest.raises(ValueError, match="expected symbols from 3 to 200, got 2"):
        ICLL(symbols=2)
    with pytest.raises(ValueError, match="Known: dense, final"):
        ICLL(supervision="last")


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    task = ICLL()
    assert batch_hash(task.sample(256, task.lengths[1], 0, "test")) == FROZEN


FROZEN = "986fc53f922df9824e260e1c4c068c7557dadcf7a535f2bbed3fd2ff96f15378"
