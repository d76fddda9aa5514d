"""Compute to target: training FLOPs until a row's validation accuracy is good enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..conditions import conditions
from ..scores import levels, own_metric
from ..tables import Table, engineering
from ..trial import OK, UNSUPPORTED, Record
from .budgets import multiple
from .runs import SLACK, TARGET

COLUMNS = ["task", "L", "method", "target, %", "reached", "FLOPs to target", "fastest", "slowest"]
COLUMNS += ["looks"]
MISS = "not reached"

NOTE = (
    f"Training FLOPs until the accuracy on validation rows first comes {100 * TARGET:.0f} % of the "
    "way from chance to the ceiling: median over seeds, a run that never does (or failed) at "
    "infinity; reached: runs that do; looks: validations a run, between which nothing is seen, so "
    "that one look bounds it from above only; validation itself is not counted"
)


def target_table(campaign: Campaign, reference: str) -> list[Table]:
    """One line a task, trained length and row; none where no task is scored by its tokens."""
    groups: dict[tuple[str, int, str], list[Record]] = {}
    skipped = set()
    for record in campaign.records:
        trial = record.trial
        if record.status == UNSUPPORTED:
            continue
        if own_metric(campaign, trial) != "token":
            skipped.add(trial.question)
            continue
        groups.setdefault((trial.question, trial.length, trial.row), []).append(record)
    flops = {place: [to_target(campaign, r) for r in group] for place, group in groups.items()}
    rows = []
    for place, group in sorted(groups.items()):
        task, length, row = place
        spent, base = flops[place], flops.get((task, length, reference), [])
        middle, theirs = typical(spent), typical(base)
        scored = [record for record in group if record.status == OK]
        text = multiple(middle, theirs if np.isfinite(theirs) else None)
        rows.append(
            [
                *(task, str(length), row),
                f"{100 * target(campaign, scored[0]):.2f}" if scored else "-",
                f"{sum(map(np.isfinite, spent))}/{len(spent)}",
                text if np.isfinite(middle) else MISS,
                *(engineering(x) if np.isfinite(x) else MISS for x in (min(spent), max(spent))),
                looks(scored),
            ]
        )
    if not rows:
        return []
    notes = [NOTE, f"(×): of {reference}'s"]
    if skipped:
        notes.append(
            "Left out, not scored by tokens, of which alone the curve tells: "
            f"{', '.join(sorted(skipped))}"
        )
    notes.append(conditions(campaign.trials, campaign.records))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return [Table("compute-to-target", "Compute to target", frame, tuple(notes), keys=3)]


def to_target(campaign: Campaign, record: Record) -> float:
    """Training FLOPs at the first validation on target; infinity where there is none."""
    total, steps = record.costs.get("train_flops"), record.costs.get("steps")
    if record.status != OK or not total or not steps:
        return np.inf
    wanted = target(campaign, record) - SLACK
    curve = zip(
        record.curves.get("validation_step", []),
        record.curves.get("validation_accuracy", []),
        strict=False,
    )
    hits = [step for step, accuracy in curve if accuracy is not None and accuracy >= wanted]
    return total * hits[0] / steps if hits else np.inf


def target(campaign: Campaign, record: Record) -> float:
    """The accuracy that counts as reached, at the trained length."""
    told = levels(campaign, record, record.trial.length, None)
    return told["chance"] + TARGET * (told["ceiling"] - told["chance"])


def typical(values: Sequence[float]) -> float:
    """The median with misses at infinity; NaN without a value."""
    return float(np.median(values)) if values else np.nan


def looks(records: Sequence[Record]) -> str:
    """How many validations a run has: `4`, or `3 to 4`."""
    counts = {len(record.curves.get("validation_step", [])) for record in records}
    if not counts:
        return "-"
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
