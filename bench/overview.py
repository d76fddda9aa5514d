"""Task by method: one line a task and length, one column a method, at the trained budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from .conditions import conditions
from .levels import forms, stated, strongest_rule
from .registry import Registry
from .stats.intervals import seed_interval
from .tables import Table, cell
from .trial import Record, Trial
from .view import View, in_length

NOTE = (
    "Mean over seeds [95 % t interval], tested at the trained length, at the budget of training; "
    "rule: the strongest trivial rule on the test rows of the plain form; "
)


def overview_tables(
    trials: Sequence[Trial], records: Sequence[Record], frame: pd.DataFrame, registry: Registry
) -> list[Table]:
    """The tasks' own metrics in one table, whole-sequence accuracy in the other."""
    views = [
        in_length(
            task,
            [trial for trial in trials if trial.question == task],
            [record for record in records if record.trial.question == task],
            frame,
            registry,
        )
        for task in sorted({trial.question for trial in trials})
    ]
    if len(views) < 2:
        return []
    methods = sorted({trial.row for trial in trials})
    told = NOTE + conditions(trials, records)
    return [overview(views, methods, own, told) for own in (True, False)]


def overview(views: Sequence[View], methods: Sequence[str], own: bool, note: str) -> Table:
    """One of the two tables."""
    rows = [line for view in views for line in lines(view, methods, own)]
    levels = ["chance", "rule"] if own else ["rule"]
    columns = ["task", "L", "metric", *levels, *methods] if own else ["task", "L", "rule", *methods]
    asked = [f"{view.name}: {told}" for view in views if (told := forms(view.records))]
    told = f"* asked in another form, whose rows may differ: {'; '.join(asked)}"
    notes = (note, *([told] if asked else []))
    title = "Tasks: each by its own metric, %" if own else "Tasks: whole-sequence accuracy, %"
    name = "overview" if own else "sequence-overview"
    frame = pd.DataFrame(rows, columns=columns)
    return Table(f"leaderboard-{name}", title, frame, notes, keys=3 if own else 2)


def lines(view: View, methods: Sequence[str], own: bool) -> list[list[str]]:
    """The lines of one task, one for every length that was trained."""
    task = view.task
    metric = (task.metric if task else "token") if own else "sequence"
    values, found = shares(view, metric), []
    for length in view.lengths:
        seen = [record for record in view.records if record.trial.length == length]
        best = strongest_rule(seen, length, metric)
        rule = f"{100 * best[1]:.2f} ({best[0]})" if best else "-"
        levels = [chance_text(view, seen, length), rule] if own else [rule]
        mine: dict[str, list[Record]] = {}
        for record in seen:
            mine.setdefault(record.trial.row, []).append(record)
        head = [view.name, str(length), *([metric] if own else []), *levels]
        cells = (score(mine.get(row, []), values.get((row, length), {})) for row in methods)
        found.append([*head, *cells])
    return found


def shares(view: View, metric: str) -> dict[tuple[str, int], dict[int, list[float]]]:
    """(row, length) -> budget -> percent of the metric, a value a seed."""
    scores = view.scores[view.scores["metric"] == metric]
    found: dict[tuple[str, int], dict[int, list[float]]] = {}
    columns = (scores[name] for name in ("method", "length", "iterations", "sum", "n"))
    for row, length, budget, total, n in zip(*columns, strict=True):
        found.setdefault((row, length), {}).setdefault(budget, []).append(100 * total / n)
    return found


def chance_text(view: View, seen: Sequence[Record], length: int) -> str:
    """The task's chance level; of its plain form, where a method was asked that."""
    if view.task is None:
        return "-"
    levels = stated(view.task, seen, length)
    name = min((name for name in levels if name.startswith("(chance")), key=len)
    return f"{100 * levels[name]:.2f}"


def score(mine: Sequence[Record], values: Mapping[int, list[float]]) -> str:
    """Mean and interval of a row at its trained budget, or what became of it."""
    if not values:
        return ", ".join(sorted({record.status for record in mine})) or "-"
    budget = trained_budget(mine, sorted(values))
    text = cell(seed_interval(values[budget], 0, 100), True)
    return f"{text} *" if forms(mine) else text


def trained_budget(records: Sequence[Record], budgets: Sequence[int]) -> int:
    """The scored budget that is nearest to the trained one from below, else the least."""
    trained = max(
        (
            record.costs.get("trained_iterations", record.trial.method_options.get("iterations", 0))
            for record in records
        ),
        default=0,
    )
    return max((k for k in budgets if k <= trained), default=budgets[0])
