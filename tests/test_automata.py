"""Automata: languages told apart, minimal tables, and splits without a common language."""

import itertools
import os
import random
import subprocess
import sys

import pytest

from closedloop.tasks.automata import (
    NONE,
    drawn,
    is_minimal,
    language_hash,
    minimised,
    numbered,
    random_edges,
    split_of,
)
from closedloop.tasks.icll import ICLL
from closedloop.tasks.task import Batch

SPLITS = ["train", "validation", "test"]


@pytest.fixture(scope="module", autouse=True)
def _fresh_pool(tmp_path_factory):
    """Rows are made here, and not read from an earlier run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSEDLOOP_CACHE", str(tmp_path_factory.mktemp("pool")))
        yield


def language(edges, longest: int) -> set[tuple[int, ...]]:
    """All words up to a length."""
    found = set()
    for length in range(longest + 1):
        for word in itertools.product(range(len(edges[0])), repeat=length):
            state = 0
            for symbol in word:
                state = edges[state][symbol] if state != NONE else NONE
            if state != NONE:
                found.add(word)
    return found


def tables(batch: Batch) -> set[bytes]:
    return {table.numpy().tobytes() for table in batch.extra["edges"]}


def test_canonical_tables_are_equal_exactly_where_languages_are() -> None:
    """Words up to 2n − 1 symbols tell automata of n states apart."""
    rng = random.Random(0)
    seen: dict[frozenset, tuple] = {}
    for _ in range(300):
        table = random_edges(rng, 3, 3)
        words, form = frozenset(language(table, 5)), minimised(table)
        assert seen.setdefault(words, form) == form
        assert language(form, 5) == words and is_minimal(form)
    assert len(set(seen.values())) == len(seen) and 50 < len(seen) < 300


def test_other_numbers_and_doubled_states_leave_the_canonical_table() -> None:
    rng = random.Random(1)
    for _ in range(200):
        table = random_edges(rng, 4, 5)
        names = [0, *rng.sample(range(1, 5), 4)]  # state 4 is a double of state 3
        wide = [[NONE] * 5 for _ in range(5)]
        for state in range(5):
            for symbol, target in enumerate(table[min(state, 3)]):
                twin = 4 if target == 3 and rng.random() < 0.5 else target
                wide[names[state]][symbol] = NONE if target == NONE else names[twin]
        assert minimised(tuple(map(tuple, wide))) == minimised(table)


def test_drawn_automata_are_minimal_and_of_their_split() -> None:
    rng = random.Random(2)
    for states, symbols, split in itertools.product((2, 4, 8), (3, 6, 18), SPLITS):
        table = drawn(rng, states, symbols, split)
        assert minimised(table) == numbered(table) == table and len(table) == states
        assert split_of(table) == split
        assert all(1 <= sum(t != NONE for t in row) <= 3 for row in table)


def test_no_language_is_in_two_splits() -> None:
    """Whatever the seed, the length and the form; equality of tables is that of languages."""
    found: dict[str, set[bytes]] = {split: set() for split in SPLITS}
    for split, seed, length in itertools.product(SPLITS, (0, 1), (24, 40)):
        for supervision in ("dense", "final"):
            task = ICLL(states=2, supervision=supervision)
            found[split] |= tables(task.sample(128, length, seed, split))
    assert all(len(part) > 100 for part in found.values())
    assert sum(map(len, found.values())) == len(set().union(*found.values()))


def test_hashes_are_those_of_every_process() -> None:
    """Two processes with other PYTHONHASHSEEDs tell the same languages, splits and rows."""
    code = (
        "import hashlib;"
        "from closedloop.tasks.automata import *;"
        "from closedloop.tasks.icll import ICLL;"
        "tables = [minimised(random_edges(random.Random(i), 3, 4)) for i in range(50)];"
        "print([(language_hash(t), split_of(t)) for t in tables]);"
        "rows = ICLL().sample(64, 24, 0, 'test').inputs;"
        "print(hashlib.sha256(rows.numpy().tobytes()).hexdigest())"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "CLOSEDLOOP_CACHE": f"{folder}/{seed}"},
            stdout=subprocess.PIPE,
        )
        for seed, folder in (("1", os.environ["CLOSEDLOOP_CACHE"]), ("2", "/dev/null"))
    ]
    told = [run.communicate()[0].decode() for run in runs]
    here = [minimised(random_edges(random.Random(i), 3, 4)) for i in range(50)]
    assert told[0] == told[1] and str([(language_hash(t), split_of(t)) for t in here]) in told[0]
