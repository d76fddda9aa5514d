"""Scores over inference FLOPs: every row at every budget, and the best at each cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd

from ..campaign import Campaign
from ..stats.intervals import seed_interval
from ..tables import Table, engineering
from .budgets import Place, Spent
from .gather import closing, told

COLUMNS = ["L", "FLOPs/answer", "method", "K", "score, %", "best so far"]


def anytime_tables(
    campaign: Campaign, found: pd.DataFrame, costs: Mapping[Place, Spent]
) -> list[Table]:
    """A table for every task on which a row was scored at several budgets."""
    inside = found[found["length"] == found["trained_length"]]
    tables = []
    for task, scored in inside.groupby("task", observed=True):
        if scored.groupby(["trained_length", "method"])["iterations"].nunique().max() > 1:
            tables.append(anytime_table(campaign, str(task), scored, costs))
    return tables


def anytime_table(
    campaign: Campaign, task: str, scored: pd.DataFrame, costs: Mapping[Place, Spent]
) -> Table:
    """Lines by length and cost, the cheapest first."""
    lines, unknown = [], set()
    keys = ["trained_length", "method", "iterations"]
    for key, group in scored.groupby(keys, observed=True):
        length, row, budget = cast(tuple[int, str, int], key)
        mine = costs.get((task, int(length), str(row)))
        flops = mine.answering.get(int(budget)) if mine else None
        if flops is None:
            unknown.add(str(row))
            continue
        interval = seed_interval(100 * group["value"].to_numpy(), 0, 100)
        lines.append((int(length), flops, str(row), int(budget), interval))
    rows, best, at = [], -1.0, 0
    for length, flops, row, budget, interval in sorted(lines, key=lambda line: line[:4]):
        best, at = (-1.0, length) if length != at else (best, at)
        mark = "best" if interval.mean > best else ""
        best = max(best, interval.mean)
        rows.append([str(length), engineering(flops), row, str(budget), told(interval, 2), mark])
    notes = [
        "Mean over seeds [95 % t interval], tested at the trained length, at every budget K; "
        "FLOPs/answer: inference per scored token; best so far: no line of this length that costs "
        "less scores as much, by the mean alone"
    ]
    if unknown:
        notes.append(f"Left out, costs unknown: {', '.join(sorted(unknown))}")
    notes.append(closing(campaign, task))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    title = f"{task}: scores over inference FLOPs"
    return Table(f"compute-anytime-{task}", title, frame, tuple(notes), keys=1)
