"""The leaderboard's lines: one a task, trained length, test length, method and budget.

A line is counted twice where a trial failed: with failed trials at chance, and without them. Lines
of the default view are at the trained length and budget, failures at chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..campaign import Campaign
from ..errors import Misuse
from ..leaderboard import is_not
from ..scores import scores
from ..stats.intervals import LEVEL
from ..trial import OK, Record, Trial

CELL = ["task", "trained_length", "method"]
KEYS = ["task", "trained_length", "length", "method", "iterations"]
NUMBERS = ["score", "low", "high", "normalised", "chance", "whole"]
BOTH, CHANCE, OUT = "both", "chance", "out"
"""How failed trials are counted in a line: it has none, they are at chance, they are left out."""


def board(campaign: Campaign, own: pd.DataFrame) -> pd.DataFrame:
    """The lines; `own` are the scores by the tasks' own metrics, failures at chance.

    score, low, high, whole (whole-sequence accuracy) and chance are in percent, NaN where there is
    none. A method without any score in a cell has one line, at the trained length.
    """
    whole = scores(campaign, "sequence")
    broken = own.assign(broken=own["status"] != OK).groupby(KEYS, observed=True)["broken"]
    failed = broken.transform("any").astype(bool)
    clean = summary(own[~failed], whole)
    chance = summary(own[failed], whole)
    out = summary(own[failed & (own["status"] == OK)], whole[whole["status"] == OK])
    told = ["trained", "metric", "form"]
    out = chance[told].join(out.drop(columns=told))  # a line without a score where none is left
    named = {BOTH: clean, CHANCE: chance, OUT: out}
    parts = [part.reset_index().assign(counted=name) for name, part in named.items()]
    lines = pd.concat([part for part in (*parts, blanks(campaign, own)) if len(part)])
    facts = pd.DataFrame(list(cell_facts(campaign)))
    found = lines.merge(facts, on=CELL, how="inner")
    budgets = zip(found.pop("flops_by_budget"), found["iterations"], strict=True)
    found["flops"] = [by.get(str(int(k)), np.nan) if k == k else np.nan for by, k in budgets]
    order = ["task", "trained_length", "length", "method", "iterations", "counted"]
    return found.sort_values(order, ignore_index=True)


def summary(own: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds by KEYS, with Student's interval (stats.intervals.seed_interval)."""
    grouped = own.groupby(KEYS, observed=True)
    mean, n = 100 * grouped["value"].mean(), grouped["value"].count()
    error: pd.Series[float] = 100 * grouped["value"].std() / np.sqrt(n)
    half = error * stats.t.ppf(0.5 + LEVEL / 2, (n - 1).where(n > 1))
    low, high = (mean - half).clip(lower=0), (mean + half).clip(upper=100)
    found = pd.DataFrame({"score": mean, "low": low, "high": high}).round(2)
    normalised = grouped["normalised"].mean().round(4)
    found["normalised"] = normalised.replace([np.inf, -np.inf], np.nan)
    found["chance"] = (100 * grouped["chance"].mean()).round(2)
    rows = 100 * whole.groupby(KEYS, observed=True)["value"].mean()
    found["whole"] = rows.round(2).reindex(found.index)
    for name in ("trained", "metric", "form"):
        found[name] = grouped[name].first()
    return found


def blanks(campaign: Campaign, own: pd.DataFrame) -> pd.DataFrame:
    """A line without a score for every planned cell that has none."""
    seen = set(map(tuple, own[CELL].drop_duplicates().values))
    planned = {(trial.question, trial.length, trial.row) for trial in campaign.trials}
    lines = pd.DataFrame(sorted(planned - seen), columns=CELL)
    lines["length"] = lines["trained_length"]
    lines = lines.assign(trained=True, metric="", form="", counted=BOTH)
    return lines.reindex(columns=[*KEYS, *NUMBERS, "trained", "metric", "form", "counted"])


def cell_facts(campaign: Campaign) -> Iterator[dict[str, Any]]:
    """What holds for all lines of a task, trained length and method."""
    planned: dict[tuple[str, int, str], list[Trial]] = {}
    for trial in campaign.trials:
        planned.setdefault((trial.question, trial.length, trial.row), []).append(trial)
    for cell, trials in planned.items():
        known = [campaign.by_id.get(trial.id) for trial in trials]
        records = [record for record in known if record is not None and record.status == OK]
        costs = [record.costs for record in records]
        flops = [record.costs.get("answer_flops_per_token") or {} for record in records]
        yield {
            **dict(zip(CELL, cell, strict=True)),
            **declared(campaign, trials[0]),
            "trained_on": span(trials[0].trained_on),
            "flops_by_budget": flops[0] if flops else {},
            "parameters": middle(costs, "parameters"),
            "train_flops": middle(costs, "train_flops"),
            "seeds": len(records),
            "planned": len(trials),
            "missing": standing(known),
        }


def declared(campaign: Campaign, trial: Trial) -> dict[str, str]:
    """What the trial's method says of itself; blanks where it is not at hand."""
    try:
        method = campaign.registry.method(trial.method)
    except (ImportError, Misuse):
        return dict.fromkeys(("family", "causal", "iterates", "is_not"), "")
    return {
        "family": method.family,
        "causal": "yes" if method.causal else "no",
        "iterates": method.iterates,
        "is_not": is_not(trial, campaign.registry),
    }


def middle(costs: Sequence[Mapping[str, Any]], name: str) -> float:
    """The median of a cost over records; NaN where none has it."""
    known = [cost[name] for cost in costs if cost.get(name) is not None]
    return float(np.median(known)) if known else np.nan


def standing(known: Sequence[Record | None]) -> str:
    """What became of the trials without a score: `1 oom, 2 not run`."""
    counts = Counter("not run" if record is None else record.status for record in known)
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items()) if status != OK)


def span(lengths: Sequence[int]) -> str:
    """`16`, or `2–9` of several trained lengths."""
    least, most = min(lengths), max(lengths)
    return f"{most}" if least == most else f"{least}–{most}"
