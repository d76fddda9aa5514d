"""Pools: rows kept and read again, made again where torn, by one process or two."""

import functools
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import torch

from closedloop.tasks import pool
from closedloop.tasks.pool import BLOCK, heard_by, pooled, sources

ROWS = 3 * BLOCK + 5


class Maker:
    """Rows from their numbers alone; notes which it was asked for."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.asked, self.fail_at = [], fail_at

    def __call__(self, rows: torch.Tensor) -> pool.Columns:
        self.asked.append(int(rows[0]) // BLOCK)
        if len(self.asked) == self.fail_at:
            raise KeyboardInterrupt
        return {"square": rows**2, "pair": torch.stack([rows, -rows], 1)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CLOSEDLOOP_CACHE", str(tmp_path))
    pool.warn_once.cache_clear()
    return tmp_path


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def check(columns: pool.Columns, n: int = ROWS) -> None:
    rows = torch.arange(n)
    assert torch.equal(columns["square"], rows**2)
    assert torch.equal(columns["pair"], torch.stack([rows, -rows], 1))


def test_rows_are_made_once_and_read_again(cache) -> None:
    first, second = Maker(), Maker()
    check(pooled("p", 1, ROWS, first))
    check(pooled("p", 1, ROWS, second))
    assert sorted(first.asked) == [0, 1, 2, 3] and second.asked == []
    assert [path.name for path in files(cache)] == [f"{k:06d}.pt" for k in range(4)]


def test_a_shorter_pool_is_the_beginning_of_a_longer_one() -> None:
    maker = Maker()
    check(pooled("p", 1, 10, maker), 10)
    check(pooled("p", 1, ROWS, maker))
    check(pooled("p", 1, BLOCK + 1, maker), BLOCK + 1)
    check(pooled("p", 1, 0, maker), 0)
    assert sorted(maker.asked) == [0, 1, 2, 3]


def test_another_key_is_another_pool() -> None:
    maker = Maker()
    pooled("p", 1, 1, maker)
    pooled("p", -1, 1, maker)
    assert maker.asked == [0, 0]


@pytest.mark.parametrize("torn", [b"", b"PK\x03\x04 half", b"not a file of ours"])
def test_a_torn_block_is_made_again(cache, torn) -> None:
    pooled("p", 1, ROWS, Maker())
    files(cache)[2].write_bytes(torn)
    maker = Maker()
    check(pooled("p", 1, ROWS, maker))
    assert maker.asked == [2]
    pooled("p", 1, ROWS, maker)
    assert maker.asked == [2]


def test_a_block_cut_short_is_made_again(cache) -> None:
    pooled("p", 1, ROWS, Maker())
    path = files(cache)[1]
    path.write_bytes(path.read_bytes()[:-200])
    torch.save({"square": torch.arange(3)}, files(cache)[0])  # whole, but not a block
    maker = Maker()
    check(pooled("p", 1, ROWS, maker))
    assert sorted(maker.asked) == [0, 1]


def test_an_interrupted_make_leaves_whole_blocks_only(cache) -> None:
    with pytest.raises(KeyboardInterrupt):
        pooled("p", 1, ROWS, Maker(fail_at=3))
    assert len(files(cache)) == 2 and all(pool.read(path) for path in files(cache))
    maker = Maker()
    check(pooled("p", 1, ROWS, maker))
    assert len(maker.asked) == 2


def test_an_interrupted_write_leaves_nothing(cache, monkeypatch) -> None:
    def half(columns, file) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(KeyboardInterrupt):
            pooled("p", 1, ROWS, Maker())
    assert files(cache) == []
    check(pooled("p", 1, ROWS, Maker()))


def test_a_full_disk_costs_the_files_and_not_the_rows(cache, monkeypatch) -> None:
    def full(columns, file) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        check(pooled("p", 1, ROWS, Maker()))
    assert files(cache) == []


def test_a_cache_that_cannot_be_written_warns_once_and_still_gives_rows(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CLOSEDLOOP_CACHE", str(tmp_path / "file"))
    maker = Maker()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(pooled("p", 1, ROWS, maker))
        check(pooled("p", 1, ROWS, maker))
    assert len(caught) == 1 and "CLOSEDLOOP_CACHE" in str(caught[0].message)
    assert "\n" not in str(caught[0].message) and len(maker.asked) == 8


def test_progress_is_told_block_by_block() -> None:
    told = []
    with heard_by(lambda *told_now: told.append(told_now)):
        pooled("name", 1, ROWS, Maker())
        pooled("name", 1, ROWS, Maker())
    assert told == [("name", ready, ROWS) for ready in (64, 128, 192, ROWS)]


def test_a_listener_may_stop_the_making_and_what_is_made_stays(cache) -> None:
    class Stop(Exception):
        pass

    def stop(name: str, ready: int, wanted: int) -> None:
        if ready > BLOCK:
            raise Stop

    with heard_by(stop), pytest.raises(Stop):
        pooled("p", 1, ROWS, Maker())
    assert len(files(cache)) == 2


def test_the_terminal_is_told_only_after_some_seconds(monkeypatch, capsys) -> None:
    pooled("p", 1, ROWS, Maker())
    assert capsys.readouterr().err == ""
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(pool.time, "monotonic", lambda: float(next(clock)))
    pooled("p", 2, ROWS, Maker())
    assert capsys.readouterr().err.splitlines()[-1] == f"making p: {ROWS} of {ROWS} rows"


def test_changed_source_makes_a_pool_of_its_own_and_only_its_own(tmp_path) -> None:
    """What the generator's file imports counts, what lies beside it does not."""
    (tmp_path / "maker.py").write_text("from .helper import x\nfrom copy import copy\n")
    (tmp_path / "helper.py").write_text(f"from {pool.__package__}.counter import mix\n")
    (tmp_path / "other.py").write_text("")
    found = sources(tmp_path / "maker.py")
    tasks = Path(pool.__file__).parent
    assert found == {tmp_path / "maker.py", tmp_path / "helper.py", tasks / "counter.py"}
    before = pool.sources_hash(tuple(sorted(found)))
    (tmp_path / "helper.py").write_text("x = 1\n")
    pool.sources_hash.cache_clear()
    assert pool.sources_hash(tuple(sorted(found))) != before


def test_a_part_of_a_function_is_told_by_the_function_s_file(cache) -> None:
    def make(factor: int, rows: torch.Tensor) -> pool.Columns:
        return {"x": factor * rows}

    part, whole = functools.partial(make, 2), lambda rows: {"x": 2 * rows}
    assert pool.source_hash(part) == pool.source_hash(whole)
    assert len(pool.source_hash(part)) == 8


def test_two_processes_at_once_end_with_the_same_rows(cache) -> None:
    """They share the work, and no block is left half written."""
    script = textwrap.dedent("""
        import hashlib, sys, time, torch
        from closedloop.tasks.pool import pooled
        made = []
        def make(rows):
            time.sleep(0.02)
            made.append(1)
            return {"x": rows * 3}
        sys.stdin.readline()  # both are ready
        x = pooled("p", 5, 64 * 24, make)["x"]
        print(len(made), hashlib.sha256(x.numpy().tobytes()).hexdigest())
    """)
    environment = {**os.environ, "CLOSEDLOOP_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [process.communicate(timeout=60)[0].split() for process in pair]
    assert lines[0][1] == lines[1][1]
    assert 24 <= sum(int(made) for made, _ in lines) <= 48
    blocks = files(cache)
    assert [path.name for path in blocks] == [f"{k:06d}.pt" for k in range(24)]
    assert all(pool.read(path) for path in blocks)
