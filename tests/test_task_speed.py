"""Rows a second: making data is never what a training waits for.

The floors are a fifth of what two quiet cores are asked for, since machines are shared; what was
measured stands in the README of `results/reference/tour/`.
"""

import time

import pytest

from closedloop.bench.registry import Registry

FLOORS = [
    ("parity", {}, 500_000),
    ("group_word", {"sampler": "natural"}, 300_000),
    ("flipflop", {}, 80_000),
    ("mqar", {"vocab_size": 8192, "pairs": 32}, 15_000),
    ("dyck", {"kinds": 2, "depth": 10}, 10_000),
]
LENGTH, ROWS, TRIES = 256, 8192, 3


@pytest.mark.parametrize("name, options, asked", FLOORS, ids=[name for name, *_ in FLOORS])
def test_rows_come_fast_enough(name: str, options: dict, asked: int) -> None:
    task, seconds = Registry().task(name)(**options), []
    task.sample(64, LENGTH, 0, "train")  # tables are made once
    for _ in range(TRIES):
        start = time.perf_counter()
        task.sample(ROWS, LENGTH, 0, "train")
        seconds.append(time.perf_counter() - start)
    assert ROWS / min(seconds) > asked / 5
