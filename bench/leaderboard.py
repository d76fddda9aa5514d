"""From records to the leaderboard: accuracies, what the iterations did, costs, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .conditions import conditions
from .errors import Misuse
from .levels import forms, level_rows
from .overview import overview_tables
from .registry import Registry
from .side_tables import cost_table, failure_table, refinement_table
from .stats.intervals import seed_interval
from .tables import Table, cell, tidy
from .trial import OK, Record, Trial
from .view import View, extrapolation, in_length

EFFECTIVE = 0.9
"""A test length counts as solved from this share of the task's metric on."""


def leaderboard(
    trials: Sequence[Trial], records: Sequence[Record], registry: Registry
) -> list[Table]:
    """Every table of the leaderboard: accuracies by length, costs, and what did not finish."""
    frame = tidy(records)
    frame = frame[frame["split"] == "test"]
    tables = overview_tables(trials, records, frame, registry)
    for task in sorted({trial.question for trial in trials}):
        of_task = [trial for trial in trials if trial.question == task]
        seen = [record for record in records if record.trial.question == task]
        tables += task_tables(task, of_task, seen, frame, registry)
    failures = [record for record in records if record.status not in (OK,)]
    if failures:
        tables.append(failure_table(trials, failures))
    return tables


def task_tables(
    task: str,
    trials: Sequence[Trial],
    records: Sequence[Record],
    frame: pd.DataFrame,
    registry: Registry,
) -> list[Table]:
    """The tables of one task."""
    view = in_length(task, trials, records, frame, registry)
    tables = [score_table(view, metric) for metric in view.metrics()]
    own = view.task.metric if view.task else "token"
    for trained in sorted({trial.length for trial in trials if len(trial.test_lengths) > 1}):
        further = extrapolation(task, trained, trials, records, frame, registry)
        tables += [
            effective_table(further, metric) if metric == own else score_table(further, metric)
            for metric in dict.fromkeys((own, "token", "sequence"))
        ]
    if (view.scores["iterations"] > 0).any():
        tables.append(refinement_table(task, trials, records, view.scores))
    return [*tables, cost_table(task, trials, records, registry)]


def score_table(view: View, metric: str) -> Table:
    """Methods and budgets by lengths: mean over seeds with its 95 % interval."""
    share, trials = view.is_share(metric), view.trials
    scores = view.scores[view.scores["metric"] == metric]
    values = scores["sum"] / scores["n"] * (100 if share else 1)
    grouped = values.groupby([scores["method"], scores["iterations"], scores["length"]])
    cells: dict[Any, list[float]] = {key: list(group) for key, group in grouped}
    budgets: dict[str, set[int]] = {}
    for method, budget, _ in cells:
        budgets.setdefault(method, set()).add(budget)
    broken, counts = statuses(view), standing(trials, view.records)
    rows: list[list[Any]] = []
    for method in sorted({trial.row for trial in trials}):
        known: list[Any] = sorted(budgets.get(method, ())) or [""]
        for budget in known:
            texts = []
            for length in view.lengths:
                found = cells.get((method, budget, length), [])
                most = 100 if share else length if metric == "prefix" else np.inf
                text = cell(seed_interval(found, 0, most), share)
                texts.append(text if found else broken.get((method, length), text))
            rows.append([method, budget, *texts, counts[method]])
    rows += level_rows(view, metric)
    columns = ["method", "K", *(f"L={length}" for length in view.lengths), "trials"]
    frame = with_promises(pd.DataFrame(rows, columns=columns), view)
    title = f"{view.title}: {view.metric_title(metric)}"
    return Table(f"leaderboard-{view.name}-{metric}", title, frame, notes(view), keys=2)


def effective_table(view: View, metric: str) -> Table:
    """Methods and budgets by lengths, with the longest length at which a seed still scores 90 %."""
    table = score_table(view, metric)
    scores = view.scores[view.scores["metric"] == metric]
    reached: dict[Any, list[int]] = {}
    for (method, budget, _), group in scores.groupby(["method", "iterations", "seed"]):
        reached.setdefault((method, budget), []).append(solved_up_to(group))
    told = {key: spread(values) for key, values in reached.items()}
    frame = table.frame.copy()
    pairs = zip(frame["method"], frame["K"], strict=True)
    title = f"L at ≥ {100 * EFFECTIVE:.0f} %"
    frame.insert(2 + len(view.lengths), title, [told.get(pair, "") for pair in pairs])
    note = f"{title}: up to which test length a seed scores that, median [least, greatest]"
    return replace(table, frame=frame, notes=(*table.notes, note))


def solved_up_to(scores: pd.DataFrame) -> int:
    """The longest of one seed's test lengths with no failure at it or below; 0 if there is none."""
    reached = 0
    for length, n, total in scores.sort_values("length")[["length", "n", "sum"]].values:
        if total < EFFECTIVE * n:
            break
        reached = int(length)
    return reached


def spread(values: Sequence[float]) -> str:
    """Median [least, greatest], or the one value where all agree."""
    middle = f"{float(np.median(values)):g}"
    low, high = min(values), max(values)
    return middle if low == high else f"{middle} [{low:g}, {high:g}]"


def with_promises(frame: pd.DataFrame, view: View) -> pd.DataFrame:
    """The frame with a column of what rows declare not to be, if any does."""
    lacking = {trial.row: is_not(trial, view.registry) for trial in view.trials}
    if any(lacking.values()):
        frame["is not"] = [lacking.get(row, "") for row in frame["method"]]
    return frame


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
    except (ImportError, Misuse):
        return ""
    return ", ".join(word for name, word in PROMISES.items() if not getattr(method, name))


def notes(view: View) -> tuple[str, ...]:
    """What a reader must know to read the numbers."""
    trials = view.trials
    told = [
        f"Mean over seeds [95 % t interval]; {conditions(trials, view.records)}; K is the "
        "iteration budget at test time; trials: with scores / planned; is not: what the method "
        "declares it is not"
    ]
    own, asked = own_recipes(trials), forms(view.records)
    told += [f"Recipes differ: {own}"] if own else []
    told += [f"Asked in another form: {asked}"] if asked else []
    seen = seen_rows(view)
    told += [f"Test rows that stand in training too, at most over seeds: {seen}"] if seen else []
    return tuple(told)


def seen_rows(view: View) -> str:
    """`L=16 43.2 %`: the largest share of a length's test rows met in training, where any is."""
    shares = {
        length: max(
            (r.data.get(str(length), {}).get("overlap", 0.0) for r in view.records), default=0
        )
        for length in view.lengths
    }
    return ", ".join(f"L={n} {100 * share:.1f} %" for n, share in shares.items() if share > 0)


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


def statuses(view: View) -> dict[tuple[str, int], str]:
    """(row, length) -> what became of its trials that gave no scores: `diverged, error`."""
    found: dict[tuple[str, int], set[str]] = {}
    alone = len({trial.length for trial in view.trials}) == 1
    for record in view.records:
        if record.status != OK:
            trial = record.trial
            for length in trial.test_lengths if alone else (trial.length,):
                found.setdefault((trial.row, length), set()).add(record.status)
    return {place: ", ".join(sorted(seen)) for place, seen in found.items()}


def standing(trials: Sequence[Trial], records: Sequence[Record]) -> dict[str, str]:
    """`with scores / planned` of every row."""
    planned = Counter(trial.row for trial in trials)
    scored = Counter(record.trial.row for record in records if record.status == OK)
    return {row: f"{scored[row]}/{count}" for row, count in planned.items()}
