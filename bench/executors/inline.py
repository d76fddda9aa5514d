"""Trials one after the other in this process: simple to debug, nothing survives its crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..registry import Registry
from ..run import Settings, run_trial
from ..store import Store
from ..trial import Trial
from .executor import SAY_SECONDS, Executor, Say, finished, told


class Inline(Executor):
    """Runs in the order given."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def run(self, trials: Sequence[Trial], settings: Settings, say: Say) -> Iterator[Trial]:
        """Wait for a trial that another run holds, then see whether it is done."""
        store = Store(settings.results)
        for trial in trials:
            with store.lock(trial.id):
                if not finished(store, trial):
                    run_trial(trial, self.registry, settings, sometimes(say))
            yield trial


def sometimes(say: Say) -> Callable[[dict[str, Any]], None]:
    """Tells a heartbeat in a line, and the next one SAY_SECONDS later at the earliest."""
    told_at = time.monotonic()

    def tell(values: dict[str, Any]) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= SAY_SECONDS:
            told_at = time.monotonic()
            say(told(values))

    return tell
