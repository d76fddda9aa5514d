"""Every metric by stratum of difficulty, a table a task and axis, and the slope of the gain.

Lengths are never pooled: those beyond the trained one have lines of their own, and say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..campaign import Campaign
from ..difficulty import (
    SEEN,
    Measure,
    axes_in_order,
    chosen_reference,
    measure,
    strata_scores,
    stratum_name,
    tasks_by_name,
)
from ..levels import form_text
from ..stats.intervals import Interval, seed_interval
from ..tables import Table
from ..trial import Record
from .slopes import slope_table

SOLVER = ("gained", "lost", "change", "settled", "used", "energy")
"""Metrics of iterations: of a row that has none they are left out."""

NOTE = (
    "Mean over seeds [95 % t interval], at the trained budget K, seeds: with scores / planned; "
    "trials without scores are not in; (n a seed): scored tokens of a stratum, or test rows where "
    "the metric is one of rows; (rule: …): a trivial rule on the very test rows, where it was run"
)


@dataclass
class Block:
    """One metric at one trained and test length: values by method and stratum, a seed each."""

    values: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    trials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


Blocks = dict[str, dict[tuple[int, int], Block]]
"""Metric -> (trained length, test length) -> block."""


@dataclass(frozen=True)
class Strip:
    """One task's strata on one axis: names in order, how metrics are written, what was planned."""

    campaign: Campaign
    task: str
    axis: str
    names: Mapping[int, str]
    measures: Mapping[str, Measure]
    reference: str
    planned: Mapping[tuple[str, str, int], int]


def strata_tables(campaign: Campaign, reference: str) -> list[Table]:
    """Two tables or three a task and axis: own metric, whole rows, further ones; then slopes."""
    reference, remark = chosen_reference(campaign, reference)
    found = strata_scores(campaign)
    found = found[found["trained"].astype(bool)]
    planned = Counter((t.question, t.row, t.length) for t in campaign.trials)
    tasks, tables = tasks_by_name(campaign), []
    groups: dict[Any, pd.DataFrame] = dict(iter(found.groupby(["task", "axis"])))
    for name, task in tasks.items():
        for axis in axes_in_order(task, [axis for of, axis in groups if of == name]):
            part = groups[name, axis]
            metrics = {metric: measure(task, metric) for metric in sorted(set(part["metric"]))}
            names = {s: stratum_name(task, axis, s) for s in sorted(set(part["stratum"]))}
            if axis != SEEN or len(names) > 1:
                strip = Strip(campaign, name, axis, names, metrics, reference, planned)
                tables += tables_of(strip, blocks(part), task.metric if task else "token")
    return [*tables, slope_table(campaign, found, reference, remark)]


def blocks(part: pd.DataFrame) -> Blocks:
    """The scores of one task and axis, block by block."""
    found: Blocks = {}
    names = ["metric", "trained_length", "length", "method", "stratum", "value", "iterations"]
    columns = [part[name].tolist() for name in (*names, "form", "n", "trial_id")]
    for metric, trained, length, method, stratum, value, k, form, n, trial in zip(
        *columns, strict=True
    ):
        block = found.setdefault(metric, {}).setdefault((trained, length), Block())
        block.values.setdefault(method, {}).setdefault(stratum, []).append(value)
        block.budgets[method] = k
        block.forms[method] = form
        block.counts.setdefault(stratum, n)
        block.trials[method].add(trial)
    return found


def tables_of(strip: Strip, found: Blocks, own: str) -> list[Table]:
    """The tables of one axis."""
    first = [m for m in dict.fromkeys((own, "sequence")) if m in found]
    further = [m for m in strip.measures if m not in (*first, "nonfinite")]
    tables = [table(strip, found, [m], m, strip.measures[m].title) for m in first]
    return tables + (
        [table(strip, found, further, "further", "further metrics")] if further else []
    )


def table(strip: Strip, found: Blocks, metrics: Sequence[str], name: str, what: str) -> Table:
    """Methods by strata of some metrics."""
    single = len(metrics) == 1 and name != "further"
    rows = [
        line if single else [strip.measures[metric].title, *line]
        for metric in metrics
        for place, block in sorted(found[metric].items())
        for line in lines(strip, metric, place, block)
    ]
    keys = ["L", "tested", "method", "K"] if single else ["metric", "L", "tested", "method", "K"]
    frame = pd.DataFrame(rows, columns=[*keys, *strip.names.values(), "seeds"])
    forms = {
        f"{form} ({row})"
        for m in metrics
        for b in found[m].values()
        for row, form in b.forms.items()
        if form
    }
    star = f"* asked in another form, whose scored tokens may differ: {', '.join(sorted(forms))}"
    title = f"{strip.task} by {strip.axis}: {what}"
    notes = (NOTE, star) if forms else (NOTE,)
    return Table(f"strata-{strip.task}-{strip.axis}-{name}", title, frame, notes, len(keys))


def lines(strip: Strip, metric: str, place: tuple[int, int], block: Block) -> list[list[str]]:
    """The lines of one block: methods, then rules, then how much a stratum holds."""
    trained, length = place
    by_id = strip.campaign.by_id
    records = [by_id[trial] for trials in block.trials.values() for trial in sorted(trials)]
    head = [str(trained), tested(trained, length, records)]
    methods = method_lines(strip, metric, trained, block)
    if not methods:
        return []
    counts = [str(block.counts.get(s, "-")) for s in strip.names]
    rules = rule_lines(strip, metric, length, records)
    return [[*head, *line] for line in [*methods, *rules, ["(n a seed)", "", *counts, ""]]]


def tested(trained: int, length: int, records: Iterable[Record]) -> str:
    """The test length, and whether it lies outside of the trained ones."""
    if length > trained:
        return f"{length} (beyond)"
    inside = any(length in record.trial.trained_on for record in records)
    return f"{length}" if inside else f"{length} (not trained)"


def method_lines(strip: Strip, metric: str, trained: int, block: Block) -> list[list[str]]:
    """A line a method: its name, budget, a cell a stratum, seeds."""
    scale, found = strip.measures[metric], []
    for method, values in sorted(block.values.items()):
        if metric in SOLVER and block.budgets[method] == 0:
            continue
        cells = [cell(values.get(stratum, []), scale) for stratum in strip.names]
        role = " (reference)" if method == strip.reference else ""
        mark = " *" if block.forms[method] else ""
        seeds = f"{len(block.trials[method])}/{strip.planned[strip.task, method, trained]}"
        found.append([f"{method}{role}{mark}", str(block.budgets[method]), *cells, seeds])
    return found


def cell(values: Sequence[float], scale: Measure) -> str:
    """`98.10 [97.02, 99.18]` with the metric's decimals; of one seed the mean alone."""
    if not values:
        return "-"
    found: Interval = seed_interval([scale.scale * v for v in values], scale.floor, scale.ceiling)
    mean, low, high = (f"{v:.{scale.digits}f}" for v in (found.mean, found.low, found.high))
    return mean if found.n < 2 else f"{mean} [{low}, {high}]"


def rule_lines(
    strip: Strip, metric: str, length: int, records: Iterable[Record]
) -> list[list[str]]:
    """A line a trivial rule and form of the task, as the records have them for this axis."""
    if not strip.measures[metric].title.endswith("%"):
        return []
    found: dict[str, dict[int, float]] = {}
    for record in records:
        told: Mapping[str, Any] = record.data.get(str(length), {})
        form = form_text(told.get("form", {}))
        for rule, rows in told.get("rules", {}).items():
            name = f"(rule: {rule}{'; ' + form if form else ''})"
            for axis, stratum, of, n, total in rows:
                if axis == strip.axis and of == metric and n:
                    found.setdefault(name, {}).setdefault(stratum, 100 * total / n)
    return [
        [name, "", *(f"{values[s]:.2f}" if s in values else "-" for s in strip.names), ""]
        for name, values in sorted(found.items())
    ]
