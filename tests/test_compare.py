"""Two results folders compared: what moved is told apart from noise, and nothing is left out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from closedloop.bench.cli import main
from closedloop.bench.compare import compare
from closedloop.bench.errors import Misuse
from closedloop.bench.registry import Registry
from closedloop.bench.store import Store
from closedloop.bench.tables import Table
from closedloop.bench.trial import Record, Trial

TRIAL = Trial(
    task="parity",
    task_version=1,
    task_options={"sampler": "natural"},
    method="gru",
    method_version=1,
    method_options={"width": 8},
    length=8,
    test_lengths=(8,),
    seed=0,
    preset="tiny",
    preset_version=1,
    train={"rows": 32, "learning_rate": 1e-3},
    evaluate={"rows": 100, "batch": 16, "iterations": [0]},
)
COSTS = {
    "parameters": 1000,
    "train_flops": 2e9,
    "train_seconds": 10.0,
    "answer_flops_per_token": {"0": 3e4},
}
PLACE = {"device_name": "one CPU", "code": {"commit": "a" * 40, "dirty": False}}


def made(right: int | None, seed: int = 0, costs: dict[str, Any] | None = None, **changes: Any):
    """A record with so many right tokens of 800; None: an infinite sum."""
    total = math.inf if right is None else right
    metrics = [["test", 8, 0, "all", 0, "token", 800, total]]
    metrics += [
        ["test", 8, 0, "all", 0, "sequence", 100, 7],
        ["test", 8, 0, "all", 0, "nats", 9, 1],
    ]
    trial = replace(TRIAL, seed=seed, **changes)
    paid = {**COSTS, **(costs or {})}
    return Record(trial=trial, status="ok", metrics=metrics, costs=paid, environment=PLACE)


def failed(status: str = "oom", seed: int = 0) -> Record:
    return Record(trial=replace(TRIAL, seed=seed), status=status, reason="<script>\nmore")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Store, Store]:
    return Store(tmp_path / "a"), Store(tmp_path / "b")


def compared(
    folders: tuple[Store, Store], first: Sequence[Record], second: Sequence[Record]
) -> dict[str, Table]:
    """The tables of two folders with these records."""
    for store, records in zip(folders, (first, second), strict=True):
        for record in records:
            store.save(record)
    return {t.name.removeprefix("compare-"): t for t in compare(*folders, Registry())}


def rows(table: Table) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table.frame.itertuples(index=False)]


def test_equal_folders_are_identical_throughout(folders: tuple[Store, Store]) -> None:
    records = [made(400 + seed, seed) for seed in range(3)]
    tables = compared(folders, records, records)
    assert set(tables) == {"summary", "costs"}
    assert rows(tables["summary"]) == [("same", "identical metrics", 3)]
    assert any(note.startswith("2 of 2 places") for note in tables["summary"].notes)
    assert rows(tables["costs"]) == [("parity", 8, "gru", "same", "=", "=", "=", "×1.00")]


def test_a_difference_beyond_noise_is_called_moved(folders: tuple[Store, Store]) -> None:
    """The interval is that of scipy's paired t test."""
    before, after = [400, 410, 390, 405], [480, 500, 465, 490]
    first = [made(right, seed) for seed, right in enumerate(before)]
    second = [made(right, seed) for seed, right in enumerate(after)]
    tables = compared(folders, first, second)
    (row,) = rows(tables["scores"])  # every seed has the same 7 sequences
    found = stats.ttest_rel(after, before).confidence_interval()
    low, high = found.low / 8, found.high / 8
    mean = statistics.fmean(b - a for a, b in zip(before, after, strict=True)) / 8
    means = (f"{statistics.fmean(before) / 8:.2f}", f"{statistics.fmean(after) / 8:.2f}")
    told = f"{mean:.2f} [{low:.2f}, {high:.2f}]"
    assert row == ("parity", 8, "gru", "same", 8, 0, "token", *means, told, 4, "moved")
    assert rows(tables["summary"]) == [("same", "other metrics", 4)]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([400, 410, 390], [410, 400, 395], "not beyond noise"),
        ([400, 400, 400], [401, 401, 401], "moved"),
        ([400, 410], [480, 491], "too few seeds"),
        ([400], [800], "too few seeds"),
    ],
)
def test_verdicts(
    before: list[int], after: list[int], verdict: str, folders: tuple[Store, Store]
) -> None:
    first = [made(right, seed) for seed, right in enumerate(before)]
    second = [made(right, seed) for seed, right in enumerate(after)]
    (row,) = rows(compared(folders, first, second)["scores"])
    assert row[-2:] == (len(before), verdict)


def test_differences_pair_by_seed(folders: tuple[Store, Store]) -> None:
    """Seeds differ by far more than A and B do: unpaired, nothing would be seen."""
    first = [made(100 * seed, seed) for seed in range(1, 5)]
    second = [made(100 * seed + 8 + seed % 2, seed) for seed in range(1, 5)]
    (row,) = rows(compared(folders, first, second)["scores"])
    assert row[-1] == "moved" and row[-3].startswith("1.06 [")


def test_a_seed_of_one_folder_only_is_left_out_of_the_pairs(folders: tuple[Store, Store]) -> None:
    first = [made(400, 0), made(410, 1), made(420, 2)]
    second = [made(401, 0), made(412, 1), made(430, 3)]
    tables = compared(folders, first, second)
    (row,) = rows(tables["scores"])
    assert row[-2:] == (2, "too few seeds")
    assert rows(tables["single"]) == [
        ("parity-gru-L8-s2", "tiny", "A (missing in B)", "ok"),
        ("parity-gru-L8-s3", "tiny", "B (new)", "ok"),
    ]


def test_another_version_of_a_trial_is_matched_and_marked(folders: tuple[Store, Store]) -> None:
    changes = {"preset": "other", "preset_version": 9, "method_version": 2, "task_version": 3}
    first = [made(400, seed) for seed in range(3)]
    second = [made(500 + seed, seed, **changes) for seed in range(3)]
    tables = compared(folders, first, second)
    assert rows(tables["summary"]) == [("other", "other metrics", 3)]
    assert [row[3] for row in rows(tables["scores"])] == ["other"] and "single" not in tables


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"rows": 33}},
        {"evaluate": {**TRIAL.evaluate, "rows": 7}},
        {"length": 9},
        {"test_lengths": (8, 12)},
        {"variant": "wide"},
        {"task_variant": "parity-odd"},
    ],
    ids=str,
)
def test_a_trial_of_another_protocol_or_row_is_no_match(
    change: dict[str, Any], folders: tuple[Store, Store]
) -> None:
    tables = compared(folders, [made(400)], [made(400, **change)])
    assert [row[2] for row in rows(tables["single"])] == ["A (missing in B)", "B (new)"]
    assert "scores" not in tables and "costs" not in tables


def test_trials_that_only_their_options_tell_apart_are_not_guessed(
    folders: tuple[Store, Store],
) -> None:
    first = [made(400, method_options={"width": width}) for width in (16, 32)]
    tables = compared(folders, first, [made(400, method_options={"width": 64})])
    assert len(rows(tables["single"])) == 3


def test_statuses_that_changed_are_listed(folders: tuple[Store, Store]) -> None:
    first = [made(400, 0), failed("oom", 1), failed("error", 2)]
    second = [failed("timeout", 0), made(400, 1), failed("error", 2)]
    tables = compared(folders, first, second)
    assert rows(tables["statuses"]) == [
        ("parity-gru-L8-s0", "same", "ok", "timeout", "<script>"),
        ("parity-gru-L8-s1", "same", "oom", "ok", "<script>"),
    ]
    assert ("same", "error in both", 1) in rows(tables["summary"])


def test_folders_of_failures_only_have_a_summary(folders: tuple[Store, Store]) -> None:
    tables = compared(folders, [failed(seed=s) for s in (0, 1)], [failed(seed=s) for s in (0, 1)])
    assert set(tables) == {"summary"} and rows(tables["summary"]) == [("same", "oom in both", 2)]


def test_a_sum_that_is_null_is_not_compared(folders: tuple[Store, Store]) -> None:
    tables = compared(folders, [made(None)], [made(400)])
    assert rows(tables["summary"]) == [("same", "other metrics", 1)] and "scores" not in tables


def test_costs_are_exact_but_seconds_are_a_ratio(folders: tuple[Store, Store]) -> None:
    dearer = {
        "parameters": 1234567,
        "train_flops": 3e9,
        "train_seconds": 25.0,
        "answer_flops_per_token": {"0": 3e4, "8": 9e9},
    }
    tables = compared(folders, [made(400)], [made(400, costs=dearer)])
    told = ("1,000 → 1,234,567", "2 G → 3 G", "=", "×2.50")
    assert rows(tables["costs"]) == [("parity", 8, "gru", "same", *told)]
    assert "machines differ" in tables["costs"].notes[0]


def test_flops_that_differ_in_the_last_digit_are_no_equals(folders: tuple[Store, Store]) -> None:
    tables = compared(folders, [made(400)], [made(400, costs={"train_flops": 2e9 + 1})])
    assert "→" in rows(tables["costs"])[0][5]


def test_costs_that_are_not_told_are_a_dash(folders: tuple[Store, Store]) -> None:
    bare = replace(made(400), costs={})
    tables = compared(folders, [bare], [bare])
    assert rows(tables["costs"])[0][4:] == ("-", "-", "-", "-")


def test_a_task_that_is_not_at_hand_is_compared_by_token(folders: tuple[Store, Store]) -> None:
    first, second = ([made(right, task="<b>mine</b>")] for right in (400, 500))
    tables = compared(folders, first, second)
    assert rows(tables["scores"])[0][0] == "<b>mine</b>" and rows(tables["scores"])[0][6] == "token"


def test_a_folder_without_records_is_told_in_a_line(folders: tuple[Store, Store]) -> None:
    folders[0].save(made(400))
    for pair in (folders, folders[::-1]):
        with pytest.raises(Misuse, match=f"no records in {folders[1].folder}"):
            compare(*pair, Registry())


def test_a_record_under_a_wrong_id_is_set_aside_and_told(folders: tuple[Store, Store]) -> None:
    folders[0].save(made(500, 1))
    folders[0].path("0" * 16).parent.mkdir(parents=True)
    text = made(400).to_json().replace(TRIAL.id, "0" * 16)
    folders[0].path("0" * 16).write_text(text)
    tables = compared(folders, [made(400)], [made(400)])
    assert any(note.startswith("Set aside: 0000000000000000") for note in tables["summary"].notes)


@pytest.mark.parametrize("form", ["text", "md", "latex", "csv"])
def test_the_tables_render(form: str, folders: tuple[Store, Store]) -> None:
    for table in compared(folders, [made(400)], [made(500), failed(seed=1)]).values():
        assert table.frame.columns[0] in table.render(form)


def test_the_command_prints_the_tables(
    folders: tuple[Store, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    compared(folders, [made(400)], [made(500)])
    words = ["compare", *(str(store.folder) for store in folders)]
    assert main([*words, "--format", "md"]) == 0
    assert "too few seeds" in capsys.readouterr().out
    assert main([words[0], words[1], "nowhere"]) == 4
    assert "no results folder nowhere" in capsys.readouterr().err
