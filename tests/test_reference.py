"""The shipped results: they read, they cover their preset, and nothing failed unseen."""

from pathlib import Path

import pytest

from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.store import Store

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
FOLDERS = sorted(path.name for path in REFERENCE.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", FOLDERS)
def test_every_planned_trial_has_a_record_that_reads(name: str) -> None:
    store = Store(REFERENCE / name)
    found = {record.trial.name: record for record in store.records()}
    assert not store.set_aside
    planned = {trial.name for trial in plan(Request(preset=name), Registry())}
    assert planned == set(found)


@pytest.mark.parametrize("name", FOLDERS)
def test_records_come_from_one_clean_commit(name: str) -> None:
    """What made a number must be findable: a dirty tree is not."""
    codes = [record.environment["code"] for record in Store(REFERENCE / name).records()]
    assert {code["dirty"] for code in codes} == {False}
    assert len({code["commit"] for code in codes}) == 1
