"""The commands that read a results folder: every kind of table and figure, the page, one report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from closedloop.bench.campaign import narrowed, open_campaign
from closedloop.bench.cli import main
from closedloop.bench.figures.figure import Drawing, Missing
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.report import FIGURES, SHEETS, figures, reference_of, sheets
from closedloop.bench.run import Settings, run_trial
from closedloop.bench.store import Store
from closedloop.bench.trial import Record

SETTINGS = ["train.rows=64", "train.epochs=1", "evaluate.rows=48", "evaluate.iterations=[0, 1, 2]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Preset smoke with two seeds, trained for a moment, and one trial that broke."""
    folder = tmp_path_factory.mktemp("results")
    asked = Request(preset="smoke", lengths=[8, 12], seeds=2, settings=SETTINGS)
    trials, store = plan(asked, Registry()), Store(folder)
    store.save_plan("smoke", trials)
    for trial in trials[:-1]:
        assert run_trial(trial, Registry(), Settings(results=str(folder))).status == "ok"
    store.save(Record(trial=trials[-1], status="crash", reason="signal 9 <script>"))
    return folder


@pytest.fixture(scope="module")
def reported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on it."""
    out = tmp_path_factory.mktemp("report")
    assert main(words(folder, "report", "--out", str(out))) == 0
    return out


def words(folder: Path, command: str, *more: str) -> list[str]:
    return [command, *more, "--results", str(folder)]


@pytest.mark.parametrize("kind", SHEETS)
def test_every_kind_of_table_is_printed_by_name(folder: Path, kind: str, capsys) -> None:
    assert main(words(folder, "table", kind, "--format", "md")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("**") or f"no {kind} table" in printed
    if kind in ("leaderboard", "main", "pairs", "compute", "failures"):
        assert printed.startswith("**")


@pytest.mark.parametrize("kind", FIGURES)
def test_every_kind_of_figure_is_drawn_or_says_why_not(folder: Path, kind: str) -> None:
    campaign = open_campaign(folder)
    found = list(figures(campaign, "transformer", [kind]))
    assert found
    for drawing in found:
        if isinstance(drawing, Missing):
            assert drawing.reason and "\n" not in drawing.reason
        else:
            assert drawing.caption and drawing.title and len(drawing.data)
            assert all(axes.has_data() or axes.texts for axes in drawing.figure.axes)


def test_a_report_has_every_table_every_figure_and_the_page(folder: Path, reported: Path) -> None:
    campaign = open_campaign(folder)
    for table in sheets(campaign, "transformer"):
        for suffix in ("md", "tex", "csv", "html"):
            assert (reported / "tables" / f"{table.name}.{suffix}").stat().st_size
    drawn = [d for d in figures(campaign, "transformer") if isinstance(d, Drawing)]
    assert drawn
    for drawing in drawn:
        for suffix in ("pdf", "svg", "png", "csv"):
            assert (reported / "figures" / f"{drawing.name}.{suffix}").stat().st_size
    assert (reported / "page.html").read_text().startswith("<!doctype html>")
    contents = (reported / "README.md").read_text()
    assert all(f"figures/{drawing.name}.svg" in contents for drawing in drawn)


def test_the_same_records_give_the_same_report(
    folder: Path, reported: Path, tmp_path: Path, capsys
) -> None:
    assert main(words(folder, "report", "--out", str(tmp_path))) == 0
    assert "figures and the page" in capsys.readouterr().out
    for path in sorted(path for path in reported.rglob("*") if path.is_file()):
        other = tmp_path / path.relative_to(reported)
        assert path.read_bytes() == other.read_bytes(), path.name


def test_a_figure_by_name_is_written_in_every_form(folder, tmp_path, capsys) -> None:
    assert main(words(folder, "figure", "lengths", "--out", str(tmp_path))) == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".pdf", ".svg", ".png", ".csv"}
    assert "lengths" in capsys.readouterr().out


def test_a_table_by_its_own_name_comes_alone(folder: Path, capsys) -> None:
    every = sheets(open_campaign(folder), "transformer", ["failures"])
    (alone,) = (table for table in every if table.name == "standing")
    assert main(words(folder, "table", "standing", "--format", "csv")) == 0
    assert capsys.readouterr().out == f"{alone.render('csv')}\n"


def test_a_part_of_the_folder_is_reported_by_tasks_and_methods(folder: Path) -> None:
    campaign = narrowed(open_campaign(folder), ["gru"], [])
    assert campaign.rows == ["gru"] and {r.trial.row for r in campaign.records} == {"gru"}
    assert reference_of(campaign, None) == "gru"


def test_all_failed_is_a_report_too(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "failed")
    for record in open_campaign(folder).records:
        broken = replace(record, status="oom", reason="no memory", metrics=[], costs={}, curves={})
        store.save(replace(broken, traces={}, rows="", data={}))
    assert main(words(store.folder, "report", "--out", str(tmp_path / "out"))) == 0
    assert "no memory" in (tmp_path / "out" / "page.html").read_text()


@pytest.mark.parametrize(
    "more",
    [
        ["table", "leaderbord"],
        ["figure", "lenghts"],
        ["page", "--out", "."],
        ["report", "--reference", "transfomer"],
        ["table", "--methods", "gruu"],
        ["table", "--tasks", "paritty"],
        ["table", "--preset", "smok"],
        ["page", "--out", "/dev/null/x.html"],
        ["report", "--out", "/dev/null/x"],
    ],
)
def test_misuse_is_told_in_one_line(folder: Path, more: list[str], capsys) -> None:
    assert main([*more, "--results", str(folder)]) == 4
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("closedloop: ") and "Traceback" not in "".join(errors)


@pytest.mark.parametrize("command", ["table", "figure", "page", "report"])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, command: str, capsys) -> None:
    assert main([command, "--results", str(tmp_path / "none")]) == 4
    assert "no results folder" in capsys.readouterr().err
