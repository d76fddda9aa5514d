"""Folders of several machines united: nothing is lost, nothing is changed, choices are told."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closedloop.bench.cli import main
from closedloop.bench.errors import Misuse
from closedloop.bench.merge import merge
from closedloop.bench.store import Store
from closedloop.bench.trial import SCHEMA, Record, Trial, read_record

TRIAL = Trial(
    task="parity",
    task_version=1,
    task_options={},
    method="gru",
    method_version=1,
    method_options={},
    length=8,
    test_lengths=(8,),
    seed=0,
    preset="tiny",
    preset_version=1,
    train={},
    evaluate={"iterations": [0]},
)


def made(right: int = 5, seed: int = 0, dirty: bool | None = False, **changes: Any) -> Record:
    """A record; dirty None: from no clone."""
    code = {} if dirty is None else {"commit": "a" * 40, "dirty": dirty}
    metrics = [["test", 8, 0, "all", 0, "token", 8, right]]
    record = Record(trial=replace(TRIAL, seed=seed), status="ok", metrics=metrics)
    return replace(record, environment={"code": code}, **changes)


def failed(status: str = "crash", seed: int = 0) -> Record:
    return replace(made(seed=seed), status=status, metrics=[], reason="why")


@pytest.fixture
def a(tmp_path: Path) -> Store:
    return Store(tmp_path / "a")


@pytest.fixture
def b(tmp_path: Path) -> Store:
    return Store(tmp_path / "b")


@pytest.fixture
def goal(tmp_path: Path) -> Store:
    return Store(tmp_path / "goal")


def dated(store: Store, record: Record, second: int) -> None:
    """Save a record as of a second of 1970."""
    store.save(record)
    os.utime(store.path(record.trial.id), (second, second))


def state(store: Store) -> dict[str, tuple[str, int]]:
    """Hash and time of change of every file."""
    return {
        str(path.relative_to(store.folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in store.folder.rglob("*")
        if path.is_file()
    }


def test_records_are_united_and_equal_ones_kept_once(a: Store, b: Store, goal: Store) -> None:
    a.save(made(seed=0))
    for record in (made(seed=0), made(seed=1)):
        b.save(record)
    before = state(a), state(b)
    done = merge([a.folder, b.folder], goal.folder)
    assert (done.records, done.added, done.conflicts, done.remarks) == (2, 2, (), ())
    assert sorted(record.trial.seed for record in goal.records()) == [0, 1]
    assert goal.path(TRIAL.id).read_bytes() == a.path(TRIAL.id).read_bytes()
    assert (state(a), state(b)) == before
    again = merge([a.folder, b.folder], goal.folder)
    assert (again.records, again.added, again.conflicts) == (2, 0, ())


BETTER = {
    "ok before a failure": (made(), failed()),
    "ok before diverged": (made(dirty=True), failed("diverged")),
    "a result without scores before a failure": (failed("unsupported"), failed("timeout")),
    "a clean commit before a dirty one": (made(5, dirty=False), made(6, dirty=True)),
    "a clean commit before none": (made(5, dirty=False), made(6, dirty=None)),
}


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("case", BETTER)
def test_the_better_record_is_kept_and_the_other_put_aside(
    case: str, order: str, a: Store, b: Store, goal: Store
) -> None:
    better, worse = BETTER[case]
    dated(a, better, 100)
    dated(b, worse, 200)  # newer, which does not help it
    sources = [a.folder, b.folder] if order == "first" else [b.folder, a.folder]
    done = merge(sources, goal.folder)
    assert goal.path(TRIAL.id).read_text() == better.to_json()
    (aside,) = (goal.folder / "aside").iterdir()
    assert aside.read_text() == worse.to_json() and aside.name.startswith(TRIAL.id)
    (line,) = done.conflicts
    assert TRIAL.id in line and f"kept that of {a.folder}" in line and "\n" not in line


def test_of_equal_standing_the_newest_is_kept(a: Store, b: Store, goal: Store) -> None:
    dated(a, made(5), 200)
    dated(b, made(6), 100)
    (line,) = merge([b.folder, a.folder], goal.folder).conflicts
    assert goal.path(TRIAL.id).read_text() == made(5).to_json() and "another result" in line


def test_records_that_differ_in_costs_only_are_said_to(a: Store, b: Store, goal: Store) -> None:
    a.save(made(costs={"train_seconds": 1.0}))
    b.save(made(costs={"train_seconds": 2.0}))
    (line,) = merge([a.folder, b.folder], goal.folder).conflicts
    assert line.endswith("the same result")


def test_the_target_may_be_a_source_and_always_counts(a: Store, b: Store) -> None:
    a.save(made(seed=0))
    a.save(failed(seed=1))
    b.save(failed(seed=0))
    b.save(made(seed=1))
    before = state(b)
    for sources in ([a.folder, b.folder], [b.folder], [b.folder, b.folder]):
        done = merge(sources, a.folder)
        assert {record.status for record in a.records()} == {"ok"}
        assert done.records == 2 and done.added == 0 and state(b) == before
    assert len(list((a.folder / "aside").iterdir())) == 2  # each loser once, however often merged


def test_side_files_come_with_their_record(a: Store, b: Store, goal: Store) -> None:
    ours = a.save_rows(TRIAL.id, {"8/scored": np.array([1])})
    theirs = b.save_rows(TRIAL.id, {"8/scored": np.array([2])})
    assert ours != theirs
    a.save(made(5, dirty=True, rows=ours))
    b.save(made(6, dirty=False, rows=theirs))
    merge([a.folder, b.folder], goal.folder)
    kept = goal.load(TRIAL.id)
    assert kept is not None and goal.load_rows(kept)["8/scored"].tolist() == [2]
    (aside,) = (goal.folder / "aside").glob("*.npz")
    assert hashlib.sha256(aside.read_bytes()).hexdigest() == ours


def test_a_side_file_is_taken_from_whoever_has_it(a: Store, b: Store, goal: Store) -> None:
    digest = b.save_rows(TRIAL.id, {"8/scored": np.array([1])})
    for store in (a, b):
        store.save(made(rows=digest))
    merge([a.folder, b.folder], goal.folder)
    assert goal.rows_path(TRIAL.id).read_bytes() == b.rows_path(TRIAL.id).read_bytes()


def test_plans_are_united_by_the_trials_names(a: Store, b: Store, goal: Store) -> None:
    for store in (a, b):
        store.save(made())
    first, second = (replace(TRIAL, seed=seed) for seed in (0, 1))
    a.save_plan("tiny", [first])
    b.save_plan("tiny", [second, replace(first, method_version=2)])
    b.save_plan("other", [second])
    os.utime(a.folder / "plans" / "tiny.json", (100, 100))
    merge([b.folder, a.folder], goal.folder)
    assert {(t.seed, t.method_version) for t in goal.load_plan("tiny")} == {(0, 2), (1, 1)}
    assert goal.load_plan("other") == [second]


def test_a_plan_that_does_not_read_is_told(a: Store, goal: Store) -> None:
    a.save(made())
    (a.folder / "plans").mkdir()
    (a.folder / "plans" / "tiny.json").write_text("{")
    (remark,) = merge([a.folder], goal.folder).remarks
    assert "tiny.json is left out" in remark and not (goal.folder / "plans").exists()


def test_a_record_that_does_not_read_is_left_out_and_told(a: Store, goal: Store) -> None:
    a.save(made(seed=1))
    for name, text in (("0" * 16, made(seed=0).to_json()), ("f" * 16, "{")):
        a.path(name).parent.mkdir(parents=True, exist_ok=True)
        a.path(name).write_text(text)
    before = state(a)
    done = merge([a.folder], goal.folder)
    assert done.records == 1 and len(done.remarks) == 2 and state(a) == before
    assert "it holds the record of trial" in done.remarks[0]


def test_a_newer_schema_stops_the_merge_before_it_writes(a: Store, goal: Store) -> None:
    a.save(made())
    path = a.path(TRIAL.id)
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    with pytest.raises(Misuse, match=f"schema {SCHEMA + 1}"):
        merge([a.folder], goal.folder)
    assert not goal.folder.exists()


def test_a_source_that_is_no_results_folder_is_told(a: Store, b: Store, goal: Store) -> None:
    a.save(made())
    with pytest.raises(Misuse, match="expected a results folder"):
        merge([a.folder, b.folder], goal.folder)
    (b.folder / "trials").mkdir(parents=True)
    with pytest.raises(Misuse, match=f"no records in {b.folder}"):
        merge([a.folder, b.folder], goal.folder)
    assert not goal.folder.exists()


def test_a_target_that_cannot_be_written_is_told(a: Store, tmp_path: Path) -> None:
    a.save(made())
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="cannot write to the results folder"):
        merge([a.folder], tmp_path / "file" / "goal")


def test_a_name_that_does_not_print_is_written_out(a: Store, b: Store, goal: Store) -> None:
    odd = replace(TRIAL, variant="<script>\n\x1b[31m")
    a.save(replace(made(5), trial=odd))
    b.save(replace(made(6), trial=odd))
    (line,) = merge([a.folder, b.folder], goal.folder).conflicts
    assert "<script>\\n\\x1b[31m" in line
    assert read_record(goal.path(odd.id).read_text()).trial.row == odd.variant


def test_the_command_tells_every_conflict(
    a: Store, b: Store, goal: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    a.save(made(5))
    b.save(failed())
    words = ["merge", str(a.folder), str(b.folder), "--into", str(goal.folder)]
    assert main(words) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "put aside" in first and "holds 1 record(s), 1 of them new; 1 trial(s)" in last
    assert main([*words[:2], "nowhere", *words[3:]]) == 4
    assert "expected a results folder" in capsys.readouterr().err
