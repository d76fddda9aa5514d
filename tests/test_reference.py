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
from closedloop.bench.store import Store

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
FOLDERS = sorted(path.name for path in REFERENCE.iterdir() if path.is_dir())


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


def test_the_readme_shows_the_tables_of_the_report() -> None:
    """No number in it is written by hand: each table stands behind the name of its file."""
    root = REFERENCE.parents[1]
    text = (root / "README.md").read_text()
    shown = re.findall(r"<!-- (results/\S+\.md) -->\n", text)
    assert len(shown) >= 2
    for path in shown:
        table = (root / path).read_text().strip()
        assert f"<!-- {path} -->\n{table}\n" in text, path
