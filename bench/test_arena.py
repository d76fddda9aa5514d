"""`pytest bench/`: one test a trial. It passes when the trial gave a result."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from closedloop.bench.arena import Arena
from closedloop.bench.trial import DIVERGED, UNSUPPORTED


def test_trial(trial: str, arena: Arena, told: Callable[[str], None], record_property) -> None:
    """The trial's record is in the store, and it is a result."""
    planned = arena.by_name[trial]
    record = arena.store.load(planned.id)
    if record is None and arena.executor == "inline":
        for _ in arena.make_executor().run([planned], arena.settings, told):
            record = arena.store.load(planned.id)
    if record is None:
        pytest.fail("no record was saved: see the lines above", pytrace=False)
    record_property("trial_id", planned.id)
    if record.status == DIVERGED:
        record_property("closedloop", "diverged")
    elif planned.id in arena.cached:
        record_property("closedloop", "cached")
    if record.status == UNSUPPORTED:
        pytest.skip(record.reason)
    if record.failed:
        pytest.fail(f"{record.status}: {record.reason}", pytrace=False)
