"""Parts of a campaign that several rows were asked alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from page_makers import campaign, record, trial

from closedloop.bench.campaign import Campaign
from closedloop.bench.figures.figure import Drawing
from closedloop.bench.figures.profiles import profiles
from closedloop.bench.figures.summaries import block
from closedloop.bench.scopes import parts, widest
from closedloop.bench.sheets.main import main_tables

TASKS = ("addition", "dyck", "parity")
EVERYTHING = {"gru": TASKS, "transformer": TASKS}
NARROWER = {"deltanet": TASKS[1:], "eqt": TASKS[1:], "looped": TASKS[1:]}


def made(folder: Path, asked: Mapping[str, tuple[str, ...]], seeds: int = 3) -> Campaign:
    """Rows with a record of every seed on each of their tasks."""
    trials = [
        replace(trial(row, 8, seed, "gru"), task_variant=task)
        for row, tasks in asked.items()
        for task in tasks
        for seed in range(seeds)
    ]
    return campaign(folder, trials, [record(each) for each in trials])


def test_a_campaign_that_asks_all_rows_alike_has_no_parts(tmp_path: Path) -> None:
    whole = made(tmp_path, EVERYTHING)
    assert parts(whole) == [] and widest(whole) is whole


def test_a_part_has_every_row_that_was_asked_its_tasks(tmp_path: Path) -> None:
    single = {"trm": ("parity",), "ebt": ("dyck",)}
    whole = made(tmp_path, EVERYTHING | NARROWER | single)
    (part,) = parts(whole)
    assert part.tasks == ["dyck", "parity"]
    assert part.rows == ["deltanet", "eqt", "gru", "looped", "transformer"]
    assert {each.trial.question for each in part.records} == {"dyck", "parity"}
    assert widest(whole).rows == part.rows  # five rows on two tasks tell more than two on three


def test_a_part_of_as_many_rows_tells_nothing_new(tmp_path: Path) -> None:
    """Three rows on everything, one on less: the part's four rows are on fewer cells."""
    rows = dict.fromkeys(("gru", "lstm", "transformer"), TASKS) | {"eqt": TASKS[1:]}
    whole = made(tmp_path, rows)
    assert len(parts(whole)) == 1 and widest(whole) is whole


def test_unsupported_cells_were_not_asked(tmp_path: Path) -> None:
    whole = made(tmp_path, EVERYTHING | {"eqt": TASKS})
    records = [
        replace(each, status="unsupported", metrics=[])
        if (each.trial.row, each.trial.question) == ("eqt", "addition")
        else each
        for each in whole.records
    ]
    (part,) = parts(replace(whole, records=records))
    assert part.rows == ["eqt", "gru", "transformer"] and part.tasks == ["dyck", "parity"]


def test_the_leaderboard_comes_again_over_what_more_rows_were_asked(tmp_path: Path) -> None:
    whole = made(tmp_path, EVERYTHING | NARROWER)
    main, part = main_tables(whole, "transformer")
    assert (main.name, part.name) == ("main", "main-part1")
    blank = main.frame.set_index("method")["IQM, these tasks"]
    full = part.frame.set_index("method")["IQM, these tasks"]
    assert blank["eqt"] == "" and full["eqt"].startswith("0.")
    assert "5 rows were asked: dyck, parity" in part.render("md")


def test_figures_over_tasks_are_of_the_widest_part(tmp_path: Path) -> None:
    whole = made(tmp_path, EVERYTHING | NARROWER | {"trm": ("parity",)})
    found = block(whole)
    assert set(found.scores) == {"deltanet", "eqt", "gru", "looped", "transformer"}
    assert found.left_out == {"trm": "not planned on every task"}
    assert found.told().startswith("; the 2 of 3 tasks that most rows were asked; 1 row(s)")
    profile = profiles(whole, "transformer")[0]
    assert isinstance(profile, Drawing) and "2 task(s) weighing alike" in profile.caption
