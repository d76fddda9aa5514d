"""Trials one after the other in this process: simple to debug, nothing survives its crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..registry import Registry
from ..run import Settings, run_trial
from ..store import Store
from ..trial import Trial
from .executor import Executor, Say, finished


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
                    run_trial(trial, self.registry, settings)
            yield trial
