"""One score a trial, test length and budget, with its levels: what statistics are made from.

A score is a share of the task's own metric (or of another one). Normalised, chance is 0 and the
task's ceiling 1, clipped nowhere: a net below chance is below 0. A trial that failed or diverged
counts as chance at every budget, or is left out, as asked; `unsupported` is no score either way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from ..tasks.task import Task
from .campaign import Campaign
from .errors import Misuse
from .levels import form_text, rule_shares
from .overview import trained_budget
from .trial import OK, UNSUPPORTED, Record, Trial

Failures = Literal["chance", "out"]

COLUMNS = (
    "trial_id",
    "task",
    "trained_length",
    "length",
    "method",
    "seed",
    "iterations",
    "trained",
    "metric",
    "value",
    "chance",
    "ceiling",
    "normalised",
    "status",
    "form",
)
"""trained: whether the budget is the row's trained one; form: `layout=copy` where asked so."""


def scores(
    campaign: Campaign, metric: str | None = None, failures: Failures = "chance"
) -> pd.DataFrame:
    """Rows of COLUMNS; metric None is each task's own, `token` where the task is not at hand."""
    found = measured(campaign, metric)
    if failures == "chance":
        broken = [r for r in campaign.records if r.status not in (OK, UNSUPPORTED)]
        lines = [line for record in broken for line in imputed(campaign, record, metric, found)]
        if lines:
            parts = [part for part in (found, pd.DataFrame(lines, columns=COLUMNS)) if len(part)]
            found = pd.concat(parts, ignore_index=True)
    keys = ["task", "trained_length", "length", "method", "iterations", "seed"]
    return found.sort_values(keys, ignore_index=True)


def own_metric(campaign: Campaign, trial: Trial) -> str:
    """The metric by which a trial's task is scored."""
    task = task_of(campaign, trial)
    return task.metric if task else "token"


def task_of(campaign: Campaign, trial: Trial) -> Task | None:
    """The trial's task with its options; None where it is not at hand."""
    try:
        return campaign.registry.task(trial.task)(**trial.task_options)
    except (ImportError, Misuse, TypeError):
        return None


def measured(campaign: Campaign, metric: str | None) -> pd.DataFrame:
    """The scores of the trials that gave some."""
    frame = campaign.totals
    frame = frame[frame["split"] == "test"]
    wanted = {r.trial.id: metric or own_metric(campaign, r.trial) for r in campaign.records}
    frame = frame[frame["metric"] == frame["trial_id"].map(wanted)].copy()
    budgets = trained_budgets(campaign, frame)
    keys = zip(frame["task"], frame["trained_length"], frame["method"], strict=True)
    frame["trained"] = frame["iterations"].to_numpy() == [budgets.get(key, 0) for key in keys]
    frame["value"] = frame["sum"] / frame["n"]
    pairs = list(zip(frame["trial_id"], frame["length"], strict=True))
    told = {pair: levels(campaign, campaign.by_id[pair[0]], pair[1], metric) for pair in set(pairs)}
    frame["chance"] = [told[pair]["chance"] for pair in pairs]
    frame["ceiling"] = [told[pair]["ceiling"] for pair in pairs]
    frame["form"] = [told[pair]["form"] for pair in pairs]
    frame["normalised"] = (frame["value"] - frame["chance"]) / (frame["ceiling"] - frame["chance"])
    frame["status"] = OK
    return frame[list(COLUMNS)].reset_index(drop=True)


def trained_budgets(campaign: Campaign, frame: pd.DataFrame) -> dict[tuple[str, int, str], int]:
    """(task, trained length, row) -> the scored budget nearest to the trained one from below."""
    seen = frame.groupby(["task", "trained_length", "method"], observed=True)["iterations"].unique()
    records: dict[Any, list[Record]] = {}
    for record in campaign.records:
        if record.status == OK:
            trial = record.trial
            records.setdefault((trial.question, trial.length, trial.row), []).append(record)
    budgets: dict[Any, Any] = seen.to_dict()
    return {key: trained_budget(records[key], sorted(budgets[key])) for key in budgets}


@functools.lru_cache(maxsize=4096)
def chance_of(task: Task, length: int) -> float:
    """The task's stated chance, which it may have to measure: once."""
    return task.chance(length)


def levels(campaign: Campaign, record: Record, length: int, metric: str | None) -> dict[str, Any]:
    """Chance, ceiling and form of a record at a test length.

    Of another metric than the task's own no chance is stated: the commonest class's score on the
    very test rows stands for it, and 1 for the ceiling.
    """
    told: Mapping[str, Any] = record.data.get(str(length), {})
    task = task_of(campaign, record.trial)
    found = {"form": form_text(told.get("form", {})), "ceiling": task.ceiling if task else 1.0}
    if metric is None or (task and metric == task.metric):
        stated = told.get("levels", {}).get("chance")
        if stated is None:
            stated = chance_of(task, length) if task else 0.0
        return {**found, "chance": float(stated)}
    shares = rule_shares(record, length, metric)
    majority = [share for name, share in shares.items() if name.startswith("(rule: majority")]
    return {**found, "ceiling": 1.0, "chance": max(majority, default=0.0)}


def imputed(
    campaign: Campaign, record: Record, metric: str | None, known: pd.DataFrame
) -> list[list[Any]]:
    """A failed trial's lines: chance, at the budgets and levels of its row's other trials.

    Where a row has no score at all, its budget is 0 and its levels are the task's.
    """
    trial = record.trial
    peers = known[(known["task"] == trial.question) & (known["trained_length"] == trial.length)]
    mine = peers[peers["method"] == trial.row]
    lines = []
    for length in trial.test_lengths:
        own = mine[mine["length"] == length].drop_duplicates("iterations")
        told = own if len(own) else peers[peers["length"] == length].iloc[:1]
        stated = levels(campaign, record, length, metric)
        places = (
            [
                (row.iterations, row.trained, row.chance, row.ceiling, row.form)
                for row in own.itertuples()
            ]
            if len(own)
            else [(0, True, *level_of(told, stated), "")]
        )
        name = metric or own_metric(campaign, trial)
        head = [trial.id, trial.question, trial.length, length, trial.row, trial.seed]
        lines += [
            [*head, k, is_trained, name, chance, chance, ceiling, 0.0, record.status, form]
            for k, is_trained, chance, ceiling, form in places
        ]
    return lines


def level_of(peers: pd.DataFrame, stated: Mapping[str, Any]) -> tuple[float, float]:
    """Chance and ceiling as another method's trial has them, else as the task states them."""
    if len(peers):
        return float(peers["chance"].iloc[0]), float(peers["ceiling"].iloc[0])
    return float(stated["chance"]), float(stated["ceiling"])


def by_task(
    found: pd.DataFrame, value: str = "normalised", budget: int | None = None
) -> pd.DataFrame:
    """Mean over the trained lengths of a task, tested there: columns task, method, seed, value.

    At the trained budget, or at a given one (a row that does not iterate keeps its own). A task
    weighs once, however many lengths it was trained at.
    """
    inside = found[found["length"] == found["trained_length"]]
    if budget is None:
        inside = inside[inside["trained"]]
    else:
        most = inside.groupby(["task", "trained_length", "method"])["iterations"].transform("max")
        inside = inside[inside["iterations"] == most.clip(upper=budget)]
    grouped = inside.groupby(["task", "method", "seed"], as_index=False)
    return grouped.agg(value=(value, "mean"), lengths=("trained_length", "nunique"))


def complete_rows(campaign: Campaign) -> list[str]:
    """The rows that are planned on every task of the preset at every trained length."""
    cells: dict[str, set[tuple[str, int]]] = {}
    for trial in campaign.trials:
        cells.setdefault(trial.row, set()).add((trial.question, trial.length))
    every = set().union(*cells.values())
    return sorted(row for row, seen in cells.items() if seen == every)


def matrix(values: pd.DataFrame, row: str, tasks: Sequence[str]) -> list[list[float]]:
    """A row's values by task, seeds in order: what the aggregates of stats take."""
    mine = values[values["method"] == row]
    return [list(mine[mine["task"] == task].sort_values("seed")["value"]) for task in tasks]
