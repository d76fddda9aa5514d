"""What a table shows: some trials of one task, their scores, and how its metrics are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..tasks.task import Task
from .errors import Misuse
from .registry import Registry
from .trial import Record, Trial

TITLES = {"token": "Token accuracy, %", "sequence": "Whole-sequence accuracy, %"}
PREFIX = "Solved prefix, tokens before the first error"
SOLVER = {"nats", "nonfinite", "gained", "lost", "change", "settled", "used", "energy"}
"""Metrics of every method's steps, which have a table of their own or none."""


@dataclass(frozen=True)
class View:
    """What a table shows: some trials of one task, their scores, and test lengths as columns."""

    name: str
    title: str
    trials: Sequence[Trial]
    records: Sequence[Record]
    scores: pd.DataFrame
    lengths: Sequence[int]
    registry: Registry

    @property
    def task(self) -> Task | None:
        """The task of the trials; None where its plug-in is not at hand."""
        first = self.trials[0]
        try:
            return self.registry.task(first.task)(**first.task_options)
        except (ImportError, Misuse, TypeError):
            return None

    def metrics(self) -> list[str]:
        """Token, sequence, the task's own metrics as far as they were scored, the solved prefix."""
        own = sorted(set(self.scores["metric"]) - {*TITLES, *SOLVER, "prefix"})
        return [*TITLES, *own, "prefix"]

    def metric_title(self, metric: str) -> str:
        """How a metric is called in a table."""
        own = dict(self.task.titles) if self.task else {}
        known = {**TITLES, "prefix": PREFIX, **own}
        return known.get(metric, f"{metric.capitalize()}, %")

    def is_share(self, metric: str) -> bool:
        """Whether a metric is a share, shown in percent."""
        return self.metric_title(metric).endswith("%")


def in_length(
    task: str,
    trials: Sequence[Trial],
    records: Sequence[Record],
    frame: pd.DataFrame,
    registry: Registry,
) -> View:
    """Every trial of the task, tested at the length it was trained at."""
    scores = frame[(frame["task"] == task) & (frame["length"] == frame["trained_length"])]
    lengths = sorted({trial.length for trial in trials})
    return View(task, task, trials, records, scores, lengths, registry)


def extrapolation(
    task: str,
    trained: int,
    trials: Sequence[Trial],
    records: Sequence[Record],
    frame: pd.DataFrame,
    registry: Registry,
) -> View:
    """The trials of one training length, or of a range up to it, tested at theirs and beyond."""
    chosen = [trial for trial in trials if trial.length == trained]
    seen = [record for record in records if record.trial.length == trained]
    scores = frame[(frame["task"] == task) & (frame["trained_length"] == trained)]
    lengths = sorted({length for trial in chosen for length in trial.test_lengths})
    least = min(trial.trained_on[0] for trial in chosen)
    title = f"{task}, trained at L={f'{least}…{trained}' if least < trained else trained}"
    return View(f"{task}-from-{trained}", title, chosen, seen, scores, lengths, registry)
