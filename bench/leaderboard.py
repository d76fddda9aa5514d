"""From records to the leaderboard: accuracies, what the iterations did, costs, failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .registry import Registry
from .side_tables import cost_table, failure_table, refinement_table
from .stats import seed_interval
from .tables import Table, cell, tidy
from .trial import OK, Record, Trial

SHARES = {
    "token": "Token accuracy, %",
    "sequence": "Whole-sequence accuracy, %",
    "transition": "Transition accuracy, %",
}
PREFIX = "Solved prefix, tokens before the first error"


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


def leaderboard(
    trials: Sequence[Trial], records: Sequence[Record], registry: Registry
) -> list[Table]:
    """Every table of the leaderboard: accuracies by length, costs, and what did not finish."""
    frame, tables = tidy(records), []
    for task in sorted({trial.task for trial in trials}):
        of_task = [trial for trial in trials if trial.task == task]
        seen = [record for record in records if record.trial.task == task]
        view = in_length(task, of_task, seen, frame, registry)
        tables += [score_table(view, metric) for metric in shown_metrics(view)]
        for trained in sorted({trial.length for trial in of_task if len(trial.test_lengths) > 1}):
            further = extrapolation(task, trained, of_task, seen, frame, registry)
            tables += [score_table(further, metric) for metric in ("token", "sequence")]
        if (view.scores["iterations"] > 0).any():
            tables.append(refinement_table(task, of_task, view.scores))
        tables.append(cost_table(task, of_task, seen))
    failures = [record for record in records if record.status not in (OK,)]
    if failures:
        tables.append(failure_table(failures))
    return tables


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
    """The trials of one training length, tested at theirs and beyond."""
    chosen = [trial for trial in trials if trial.length == trained]
    seen = [record for record in records if record.trial.length == trained]
    scores = frame[(frame["task"] == task) & (frame["trained_length"] == trained)]
    lengths = sorted({length for trial in chosen for length in trial.test_lengths})
    title = f"{task}, trained at L={trained}"
    return View(f"{task}-from-{trained}", title, chosen, seen, scores, lengths, registry)


def shown_metrics(view: View) -> list[str]:
    """The accuracies that the view has, then the solved prefix."""
    present = set(view.scores["metric"])
    shares = [metric for metric in SHARES if metric in ("token", "sequence") or metric in present]
    return [*shares, "prefix"]


def score_table(view: View, metric: str) -> Table:
    """Methods and budgets by lengths: mean over seeds with its 95 % interval."""
    share, trials = metric in SHARES, view.trials
    scores = view.scores[view.scores["metric"] == metric]
    values = scores["sum"] / scores["n"] * (100 if share else 1)
    grouped = values.groupby([scores["method"], scores["iterations"], scores["length"]])
    cells: dict[Any, list[float]] = {key: list(group) for key, group in grouped}
    rows: list[list[Any]] = []
    for method in sorted({trial.row for trial in trials}):
        counts = standing(method, trials, view.records)
        for budget in sorted({k for m, k, _ in cells if m == method}) or [""]:
            texts = []
            for length in view.lengths:
                found = cells.get((method, budget, length), [])
                texts.append(cell(seed_interval(found, 0, 100 if share else length), share))
            rows.append([method, budget, *texts, counts])
    if metric == "token":
        rows += level_rows(trials, view.lengths, view.registry)
    columns = ["method", "K", *(f"L={length}" for length in view.lengths), "trials"]
    frame = pd.DataFrame(rows, columns=columns)
    lacking = {trial.row: is_not(trial, view.registry) for trial in trials}
    if any(lacking.values()):
        frame["is not"] = [lacking.get(row, "") for row in frame["method"]]
    title = f"{view.title}: {SHARES.get(metric, PREFIX)}"
    return Table(f"leaderboard-{view.name}-{metric}", title, frame, notes(trials))


PROMISES = {
    "causal": "causal",
    "deterministic": "deterministic",
    "row_independent": "row-independent",
    "anytime": "anytime",
}
"""What a method may declare -> how a table calls it."""


def is_not(trial: Trial, registry: Registry) -> str:
    """What the trial's method declares not to be, such as `causal, anytime`."""
    try:
        method = registry.method(trial.method)
    except ImportError:
        return ""
    return ", ".join(word for name, word in PROMISES.items() if not getattr(method, name))


def notes(trials: Sequence[Trial]) -> tuple[str, ...]:
    """What a reader must know to read the numbers."""
    seeds = len({trial.seed for trial in trials})
    presets = ", ".join(sorted({trial.preset for trial in trials}))
    told = (
        f"Mean over seeds [95 % t interval]; preset {presets}, {seeds} seed(s) planned; K is the "
        "iteration budget at test time; trials: with scores / planned; is not: what the method "
        "declares it is not",
    )
    own = own_recipes(trials)
    return (*told, f"Recipes differ: {own}") if own else told


def own_recipes(trials: Sequence[Trial]) -> str:
    """What rows were trained with where they differ: `learning_rate 0.001 (eqt), 0.003 (gru)`."""
    tables = {trial.row: trial.train for trial in trials}
    texts = []
    for key in sorted({key for table in tables.values() for key in table}):
        rows: dict[Any, list[str]] = {}
        for row, table in sorted(tables.items()):
            rows.setdefault(table[key], []).append(row)
        if len(rows) > 1:
            values = [f"{value} ({', '.join(names)})" for value, names in rows.items()]
            texts.append(f"{key} {', '.join(values)}")
    return "; ".join(texts)


def standing(method: str, trials: Sequence[Trial], records: Sequence[Record]) -> str:
    """`in / planned` of a method."""
    planned = sum(trial.row == method for trial in trials)
    scored = sum(record.trial.row == method and record.status == OK for record in records)
    return f"{scored}/{planned}"


def level_rows(
    trials: Sequence[Trial], lengths: Sequence[int], registry: Registry
) -> list[list[str]]:
    """The task's own levels: chance and the strongest trivial rule."""
    try:
        task = registry.task(trials[0].task)(**trials[0].task_options)
    except ImportError:
        return []
    levels: list[tuple[str, Callable[[int], float]]] = [
        ("(shortcut)", task.shortcut),
        ("(chance)", task.chance),
    ]
    return [
        [name, "", *(f"{100 * level(length):.2f}" for length in lengths), ""]
        for name, level in levels
    ]
