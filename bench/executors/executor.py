"""The interface of an executor: trials in, their ids as they finish."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

from ..run import Settings
from ..store import Store
from ..trial import Trial

Say = Callable[[str], None]
"""Prints one line for the user."""

SAY_SECONDS = 10.0


class Executor(ABC):
    """Runs trials; each leaves a record in the store, whatever becomes of it."""

    @abstractmethod
    def run(self, trials: Sequence[Trial], settings: Settings, say: Say) -> Iterator[Trial]:
        """Yield every trial once its record is in the store; closing the iterator stops all."""


def default_jobs(device: str) -> int:
    """As many trials at once as the CPU has cores for us; one on an accelerator."""
    if device != "cpu":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def told(values: dict) -> str:
    """A heartbeat as one line: trial, step, loss, iterations a second, time left."""
    loss = "" if values.get("loss") is None else f" loss {values['loss']:.4f}"
    left = "" if values.get("left") is None else f", {values['left']:.0f} s left"
    return (
        f"{values['name']} {values['phase']} {values['step']}/{values['steps']}"
        f"{loss} {values['rate']:.1f} it/s{left}"
    )


def in_running_order(trials: Sequence[Trial]) -> list[Trial]:
    """The longest rows first, so that no long trial is left running alone at the end."""
    return sorted(trials, key=lambda trial: (-trial.length, trial.seed, trial.name))


def finished(store: Store, trial: Trial) -> bool:
    """Whether another run has finished the trial meanwhile."""
    record = store.load(trial.id)
    return record is not None and not record.failed
