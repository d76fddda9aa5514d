"""The shipped results: they read, they cover their preset, and nothing failed unseen."""

import re
from pathlib import Path

import pytest

from closedloop.bench.campaign import open_campaign
from closedloop.bench.claims.evidence import Evidence
from closedloop.bench.claims.table import claim_table
from closedloop.bench.claims.verdicts import judged
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.report import reference_of, sheets
from closedloop.bench.speed import LINES
from closedloop.bench.speed.report import outcomes, read, told_by
from closedloop.bench.store import Store

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
SPEED = [REFERENCE / "speed" / name for name in ("speed.json", "speed-again.json")]
FOLDERS = sorted(path.parent.name for path in REFERENCE.glob("*/trials"))


def test_every_shipped_run_but_that_of_speed_has_trials() -> None:
    shipped = {path.name for path in REFERENCE.iterdir() if path.is_dir()}
    assert shipped == {*FOLDERS, "speed"}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_planned_trial_has_a_record_that_reads(name: str) -> None:
    """Of the folder's preset, and of every other one that lies beside it."""
    store = Store(REFERENCE / name)
    found = {(record.trial.preset, record.trial.name) for record in store.records()}
    assert not store.set_aside
    presets = {name} | {preset for preset, _ in found}
    planned = {
        (preset, trial.name)
        for preset in presets
        for trial in plan(Request(preset=preset), Registry())
    }
    assert planned == found


@pytest.mark.parametrize("name", FOLDERS)
def test_records_come_from_one_clean_commit_or_from_those_that_the_readme_names(name: str) -> None:
    """What made a number must be findable: a dirty tree is not."""
    codes = [record.environment["code"] for record in Store(REFERENCE / name).records()]
    assert {code["dirty"] for code in codes} == {False}
    commits, text = {code["commit"] for code in codes}, (REFERENCE / name / "README.md").read_text()
    assert len(commits) == 1 or all(commit[:7] in text for commit in commits)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_report_s_tables_are_what_the_records_give(name: str) -> None:
    """The main ones; a figure or a table that was not drawn anew would mislead."""
    campaign = open_campaign(REFERENCE / name)
    for table in sheets(campaign, reference_of(campaign, None), ["main", "pairs", "paper"]):
        drawn = (REFERENCE / name / "report" / "tables" / f"{table.name}.md").read_text()
        assert drawn == table.render("md"), table.name


@pytest.mark.parametrize("name", FOLDERS)
def test_the_report_s_verdicts_are_what_the_records_give(name: str) -> None:
    """Those that read records; the closed forms have tests of their own."""
    evidence = Evidence(REFERENCE / name)
    drawn = REFERENCE / name / "report" / "tables"
    if not (drawn / "claims.md").is_file():
        return
    for found in judged(evidence, ["C5", "T6", "T7", "E1", "E2", "E3", "E4", "E5", "A1"]):
        table = claim_table(found)
        assert (drawn / f"{table.name}.csv").read_text() == table.render("csv"), table.name


@pytest.mark.parametrize("name", FOLDERS)
def test_a_report_has_its_page_and_its_figures(name: str) -> None:
    folder = REFERENCE / name / "report"
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert figures and (folder / "page.html").stat().st_size < 5_000_000
    for suffix in ("pdf", "csv"):  # PNGs are the heaviest, and drawn anew by `closedloop report`
        assert figures == {path.stem for path in (folder / "figures").glob(f"*.{suffix}")}


@pytest.mark.parametrize(("page", "least"), [("README.md", 2), ("docs/speed.md", 2)])
def test_a_page_shows_the_tables_of_the_report(page: str, least: int) -> None:
    """No number in them is written by hand: each table stands behind the name of its file."""
    root = REFERENCE.parents[1]
    text = (root / page).read_text()
    shown = re.findall(r"<!-- (results/\S+\.md) -->\n", text)
    assert len(shown) >= least
    for path in shown:
        table = (root / path).read_text().strip()
        assert f"<!-- {path} -->\n{table}\n" in text, path


def test_the_speed_runs_have_every_line_from_clean_commits_and_their_table() -> None:
    folder = REFERENCE / "speed"
    runs = [read(path) for path in SPEED]
    assert {name for run in runs for name in outcomes(run)} == set(LINES)
    for run in runs:
        assert not run["not_run"] and run["commit_info"]["dirty"] is False
    assert (folder / "speed.md").read_text() == told_by(*runs).render("md")


def test_a_speed_line_that_misses_has_its_profile() -> None:
    """What is not reached must be explained, by where its time goes."""
    folder, text = REFERENCE / "speed", (REFERENCE.parents[1] / "docs/speed.md").read_text()
    found = {name: each for path in SPEED for name, each in outcomes(read(path)).items()}
    for name, each in found.items():
        if not each.reached:
            assert f"**`{name}`**" in text, name
            assert (folder / f"speed-profile-{name}.md").is_file(), name
