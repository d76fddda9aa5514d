"""The results folder: records survive full disks, torn files and each other."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from closedloop.bench.errors import Misuse
from closedloop.bench.leaderboard import leaderboard
from closedloop.bench.registry import Registry
from closedloop.bench.run import Settings, run_trial
from closedloop.bench.store import Store, write_whole
from closedloop.bench.tables import tidy
from closedloop.bench.trial import METRIC_COLUMNS, SCHEMA, Record, Trial, read_record

TRIAL = Trial(
    task="parity",
    task_version=1,
    task_options={"sampler": "natural"},
    method="gru",
    method_version=1,
    method_options={"width": 8, "depth": 1},
    length=8,
    test_lengths=(8, 12),
    seed=0,
    preset="tiny",
    preset_version=1,
    train={
        "rows": 32,
        "epochs": 1,
        "batch": 16,
        "validation_rows": 16,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "clip": 1.0,
        "warmup": 0.0,
    },
    evaluate={"rows": 16, "batch": 16, "iterations": [0, 1]},
)


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a real trial."""
    folder = tmp_path_factory.mktemp("record")
    found = run_trial(TRIAL, Registry(), Settings(results=str(folder)))
    assert found.status == "ok", found.reason
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def files(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- records ---------------------------------------------------------------------------------


def test_a_record_reads_back_as_it_was_written(record: Record, store: Store) -> None:
    store.save(record)
    loaded = store.load(TRIAL.id)
    assert loaded is not None
    assert loaded.trial == TRIAL and loaded.trial.id == TRIAL.id
    assert loaded.to_json() == record.to_json()
    assert loaded.metrics == record.metrics and loaded.curves == record.curves
    assert read_record(record.to_json()).to_json() == record.to_json()


def test_a_record_holds_metrics_costs_and_where_it_ran(record: Record) -> None:
    assert record.metrics and all(len(row) == len(METRIC_COLUMNS) for row in record.metrics)
    assert {row[1] for row in record.metrics} == {8, 12}
    assert record.costs["parameters"] > 0 and record.environment["device"] == "cpu"
    assert set(record.data) == {"8", "12"} and all(
        len(d["sha256"]) == 64 for d in record.data.values()
    )


def test_numbers_that_are_not_finite_are_stored_as_null(record: Record, store: Store) -> None:
    odd = replace(
        record,
        curves={"loss": [1.0, math.nan, math.inf, -math.inf]},
        costs={"deep": {"deeper": [math.nan]}},
    )
    store.save(odd)
    text = store.path(TRIAL.id).read_text()
    body = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert body["curves"]["loss"] == [1.0, None, None, None]
    assert body["costs"]["deep"]["deeper"] == [None]
    loaded = store.load(TRIAL.id)
    assert loaded is not None and loaded.curves["loss"] == [1.0, None, None, None]


def test_any_changed_option_is_another_trial() -> None:
    others = [
        replace(TRIAL, seed=1),
        replace(TRIAL, length=9),
        replace(TRIAL, method_version=2),
        replace(TRIAL, task_version=2),
        replace(TRIAL, preset_version=2),
        replace(TRIAL, test_lengths=(8,)),
        replace(TRIAL, method_options={"width": 8, "depth": 2}),
        replace(TRIAL, train={**TRIAL.train, "clip": 2.0}),
        replace(TRIAL, evaluate={**TRIAL.evaluate, "iterations": [0]}),
    ]
    assert len({TRIAL.id, *(trial.id for trial in others)}) == len(others) + 1
    assert Trial.from_dict(TRIAL.to_dict()).id == TRIAL.id


def test_nothing_is_created_before_the_first_write(store: Store) -> None:
    assert store.load(TRIAL.id) is None
    assert list(store.records()) == [] and store.beats() == {}
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"\0" * 4096,
        b"null",
        b"[]",
        b"3",
        b"{}",
        b'{"schema": "one"}',
        b'{"schema": 0}',
        b'{"schema": 1, "trial": {}}',
        b'{"schema": 1, "trial": {}, "trial_id": "x"}',
    ],
)
def test_a_file_that_is_no_record_is_set_aside_by_name(body: bytes, store: Store) -> None:
    path = store.path(TRIAL.id)
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    assert store.load(TRIAL.id) is None
    assert not path.exists()
    (aside,) = (store.folder / "aside").iterdir()
    assert aside.name.startswith(TRIAL.id) and aside.read_bytes() == body
    (line,) = store.set_aside
    assert TRIAL.id in line and "\n" not in line


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_half_written_record_is_set_aside(share: float, record: Record, store: Store) -> None:
    store.save(record)
    path = store.path(TRIAL.id)
    body = path.read_bytes()
    path.write_bytes(body[: int(share * len(body))])
    assert store.load(TRIAL.id) is None and len(store.set_aside) == 1


@pytest.mark.parametrize(
    "change", [{"status": "fine"}, {"trial_id": "0" * 16}, {"further": 1}], ids=str
)
def test_a_record_that_contradicts_itself_is_set_aside(
    change: dict, record: Record, store: Store
) -> None:
    store.save(record)
    path = store.path(TRIAL.id)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert store.load(TRIAL.id) is None and len(store.set_aside) == 1


def test_a_newer_schema_is_refused_and_its_record_left_alone(record: Record, store: Store) -> None:
    store.save(record)
    path = store.path(TRIAL.id)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA + 1}))
    before = path.read_bytes()
    with pytest.raises(Misuse, match=f"schema {SCHEMA + 1}") as raised:
        store.load(TRIAL.id)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before and store.set_aside == []


def test_a_saved_record_ends_the_signs_of_life(record: Record, store: Store) -> None:
    store.beat(TRIAL, {"step": 3})
    assert store.beats()[TRIAL.id]["step"] == 3
    store.save(record)
    assert store.beats() == {}


# ---- full disks and torn writes --------------------------------------------------------------


def test_a_full_disk_leaves_the_old_record_and_no_temporary_file(
    record: Record, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(record)
    before, listed = store.path(TRIAL.id).read_bytes(), files(store.folder)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(replace(record, status="error", reason="new"))
    assert store.path(TRIAL.id).read_bytes() == before
    assert files(store.folder) == listed


LIMITED = """
import resource, sys
from pathlib import Path
from closedloop.bench.store import Store
from closedloop.bench.trial import read_record
store, record = Store(sys.argv[1]), read_record(Path(sys.argv[2]).read_text())
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.save(record)
except OSError as error:
    print("refused", error.errno)
"""


def test_a_write_that_the_system_cuts_short_leaves_the_old_record(
    record: Record, store: Store, tmp_path: Path
) -> None:
    pytest.importorskip("resource")
    store.save(record)
    before, listed = store.path(TRIAL.id).read_bytes(), files(store.folder)
    text = tmp_path / "new.json"
    text.write_text(replace(record, reason="new").to_json())
    assert text.stat().st_size > 2000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(store.folder), str(text)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == f"refused {errno.EFBIG}", done.stderr
    assert store.path(TRIAL.id).read_bytes() == before
    assert files(store.folder) == listed


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
def test_a_write_that_breaks_off_leaves_the_old_file(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, lambda file: file.write(b"old"))

    def torn(file) -> None:
        file.write(b"half of the new")
        raise error

    with pytest.raises(type(error)):
        write_whole(path, torn)
    assert path.read_bytes() == b"old" and files(tmp_path) == ["file"]


def test_a_file_is_written_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, lambda file: file.write(b"one"))
    write_whole(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two" and files(tmp_path) == ["a/b/file"]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="cannot write to the results folder") as raised:
        Store(tmp_path / "file" / "results").require_writable()
    assert "\n" not in str(raised.value) and "--results" in str(raised.value)


# ---- many at once ----------------------------------------------------------------------------


def test_writers_at_the_same_time_leave_a_whole_record_at_every_moment(
    record: Record, store: Store
) -> None:
    store.save(record)
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(10):
                Store(store.folder).save(replace(record, reason=f"{number} " * (100 * turn + 1)))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    reads = 0
    while any(thread.is_alive() for thread in threads):
        loaded = store.load(TRIAL.id)
        assert loaded is not None and loaded.trial == TRIAL
        reads += 1
    for thread in threads:
        thread.join()
    assert failures == [] and store.set_aside == [] and reads > 0
    assert store.load(TRIAL.id) is not None
    assert files(store.folder / "trials") == [f"{TRIAL.id[:2]}/{TRIAL.id}.json"]


def test_a_lock_is_held_by_one_at_a_time(store: Store) -> None:
    from filelock import Timeout

    with store.lock(TRIAL.id), pytest.raises(Timeout):
        store.lock(TRIAL.id).acquire(timeout=0)
    store.lock(TRIAL.id).acquire(timeout=0).lock.release()


def test_two_thousand_records_are_all_in_the_tables(record: Record) -> None:
    records = [replace(record, trial=replace(TRIAL, seed=seed)) for seed in range(2000)]
    frame = tidy(records)
    wanted = [row for row in record.metrics if row[METRIC_COLUMNS.index("axis")] == "all"]
    assert len(frame) == 2000 * len(wanted)
    assert frame["trial_id"].nunique() == 2000 and set(frame["seed"]) == set(range(2000))
    assert len(tidy(records[:3], axes=None)) == 3 * len(record.metrics)
    tables = {t.name: t for t in leaderboard([r.trial for r in records], records, Registry())}
    token = tables["leaderboard-parity-token"].frame
    row = token[token["method"] == "gru"].iloc[0]
    assert row["trials"] == "2000/2000" and row["L=8"][0].isdigit()
    assert "failures" not in tables


def test_records_are_found_by_id_and_all_together(record: Record, store: Store) -> None:
    trials = [replace(TRIAL, seed=seed) for seed in range(20)]
    for trial in trials:
        store.save(replace(record, trial=trial))
    assert [found.trial.id for found in store.records()] == sorted(trial.id for trial in trials)
    chosen = [trials[3].id, trials[1].id, "0" * 16]
    assert [found.trial.seed for found in store.records(chosen)] == [3, 1]


def test_a_record_that_is_run_again_is_kept_aside(record: Record, store: Store) -> None:
    store.save(record)
    before = store.path(record.trial.id).read_bytes()
    kept = store.retire(record.trial.id)
    assert kept is not None and kept.read_bytes() == before
    assert store.load(record.trial.id) is None and store.set_aside == []
    assert store.retire(record.trial.id) is None


def test_what_is_written_is_open_to_whom_the_user_s_files_are(tmp_path: Path) -> None:
    """A page on a server, records in a shared folder: not its maker's alone, as a temporary is."""
    own, ours = tmp_path / "own", tmp_path / "ours"
    own.write_bytes(b"")
    write_whole(ours, lambda file: file.write(b""))
    assert ours.stat().st_mode == own.stat().st_mode
