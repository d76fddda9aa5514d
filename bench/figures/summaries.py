"""What several figures draw: means in percent, levels to read them against, complete rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..campaign import Campaign
from ..levels import strongest_rule
from ..scopes import widest
from ..scores import by_task, complete_rows, scores, task_of
from ..stats.intervals import seed_interval
from ..trial import OK
from ..view import TITLES

CHANCE, RULE = "(chance)", "(strongest rule)"
"""How the levels are called among the methods of a drawing's data."""


@dataclass(frozen=True)
class Block:
    """Rows that are in on every task: row -> task -> score of every seed; who is not, and why.

    campaign: all of it, or its part that tells of most rows and tasks; of_tasks: tasks of all.
    """

    campaign: Campaign
    of_tasks: int
    scores: dict[str, dict[str, list[float]]]
    left_out: dict[str, str]
    seeds: dict[str, dict[str, list[int]]]

    def joint(self, rows: Sequence[str]) -> bool:
        """Whether rows have the same seeds of every task, so that these can be drawn jointly."""
        return all(self.seeds[row] == self.seeds[rows[0]] for row in rows)

    def told(self) -> str:
        """What a caption says of the tasks and rows left out."""
        tasks = len(self.campaign.tasks)
        text = f"; the {tasks} of {self.of_tasks} tasks that most rows were asked"
        text = text if tasks < self.of_tasks else ""
        if not self.left_out:
            return text
        first = [f"{row} ({why})" for row, why in sorted(self.left_out.items())[:5]]
        more = ", …" if len(self.left_out) > len(first) else ""
        return f"{text}; {len(self.left_out)} row(s) left out: {', '.join(first)}{more}"


def block(every: Campaign) -> Block:
    """Normalised scores by task at the trained budgets, of the rows that are planned and in on all.

    A task counts once, as the mean over its trained lengths. Failed trials are at chance. Where
    few rows were asked everything, it is of the part that more of them were asked.
    """
    campaign = widest(every)
    found = by_task(scores(campaign))
    whole = complete_rows(campaign) if campaign.trials else []
    left_out = {row: "not planned on every task" for row in every.rows if row not in whole}
    counted: dict[str, dict[str, list[float]]] = {row: {} for row in whole}
    seeds: dict[str, dict[str, list[int]]] = {row: {} for row in whole}
    lengths: Counter[str] = Counter()
    for key, group in found.groupby(["method", "task"]):
        row, task = str(key[0]), str(key[1])
        lengths[row] += int(group["lengths"].sum())
        ordered = group.sort_values("seed")
        counted.setdefault(row, {})[task] = list(ordered["value"])
        seeds.setdefault(row, {})[task] = list(ordered["seed"])
    planned = Counter(trial.row for trial in campaign.trials)
    kept = {row: counted[row] for row in whole if lengths[row] == planned[row]}
    short = {row: f"{lengths[row]}/{planned[row]} trials with a score" for row in whole}
    left_out |= {row: short[row] for row in whole if row not in kept}
    return Block(campaign, len(every.tasks), kept, left_out, seeds)


def metric_title(campaign: Campaign, task: str, metric: str) -> str:
    """How a task's metric is called, such as `Token accuracy, %`."""
    trial = next(trial for trial in campaign.trials if trial.question == task)
    found = task_of(campaign, trial)
    known = {**TITLES, **dict(found.titles if found else {})}
    return known.get(metric, f"{metric.capitalize()}, %")


def percent(found: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Mean over seeds in percent with its t interval cut at 0 and 100, by keys; `failed` trials."""
    rows = []
    for key, group in found.groupby(list(keys), observed=True):
        interval = seed_interval(100 * group["value"].to_numpy(), 0, 100)
        failed = int((group["status"] != OK).sum())
        rows.append([*key, interval.mean, interval.low, interval.high, interval.n, failed])
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "seeds", "failed"])


def failures_told(data: pd.DataFrame) -> str:
    """What a caption says of failed trials."""
    return "; failed and diverged trials count as chance" if data["failed"].any() else ""


def chance_levels(found: pd.DataFrame) -> pd.DataFrame:
    """Chance in percent by length, of the task's plain form where one was asked it."""
    plain_first = found.sort_values(["length", "form"]).drop_duplicates("length")
    values = {"length": plain_first["length"], "mean": 100 * plain_first["chance"]}
    return pd.DataFrame({"method": CHANCE, **values}).reset_index(drop=True)


def rule_levels(campaign: Campaign, found: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The best trivial rule's score in percent by length, on the test rows of these scores."""
    rows = []
    for length in sorted(found["length"].unique()):
        names = found[found["length"] == length]["trial_id"].unique()
        best = strongest_rule([campaign.by_id[name] for name in names], int(length), metric)
        if best is not None:
            rows.append([RULE, length, 100 * best[1]])
    return pd.DataFrame(rows, columns=["method", "length", "mean"])
