"""The verdict table: a line a headline; and a table a claim with every part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ..tables import Table
from .claim import Finding
from .findings import number
from .verdicts import Judged

NOTES = (
    "supported, contradicted: by the rule that stands in the claim's own table, fixed before the "
    "run; not supported: the interval holds no effect; [95 % interval], none where the figure is "
    "exact; n: what was drawn, or cases of a computation",
)


def figure_text(finding: Finding) -> str:
    """`+1.99 [+0.38, +3.61]`, three digits; `-` where nothing was measured."""
    figure = finding.figure
    if figure is None:
        return "-"
    text = number(figure.mean)
    if math.isnan(figure.low):
        return text
    return f"{text} [{number(figure.low)}, {number(figure.high)}]"


def count_text(finding: Finding) -> str:
    """`5 seeds`."""
    return "-" if finding.figure is None else f"{finding.figure.n:,} {finding.units}"


def verdict_table(found: Sequence[Judged], links: Mapping[str, str] | None = None) -> Table:
    """One line a headline finding of every claim; links: claim -> where its plot is."""
    lines = [
        {
            "claim": each.name,
            "says": each.claim.statement if each.claim else "-",
            "part": finding.part,
            "verdict": finding.verdict.value,
            "figure": figure_text(finding),
            "measured": finding.measured,
            "n": count_text(finding),
            "plot": (links or {}).get(each.name, "-"),
            "note": finding.note,
        }
        for each in found
        for finding in each.headlines
    ]
    return Table("claims", "The paper's claims", pd.DataFrame(lines), NOTES, keys=1)


def claim_table(each: Judged) -> Table:
    """Every part of a claim, with its trials."""
    lines = [
        {
            "part": finding.part,
            "verdict": finding.verdict.value,
            "figure": figure_text(finding),
            "measured": finding.measured,
            "n": count_text(finding),
            "trials": " ".join(trial[:8] for trial in finding.trials) or "-",
            "note": finding.note,
        }
        for finding in each.findings
    ]
    claim = each.claim
    notes = [] if claim is None else [f"Source: {claim.source}", f"Measured: {claim.measure}"]
    if claim is not None:
        notes += [f"Rule: {claim.rule}", *([f"Errata: {claim.errata}"] if claim.errata else [])]
    notes.append("trials: the first eight digits of their ids; the csv has every one")
    title = f"{each.name}: {claim.statement if claim else 'not loaded'}"
    return Table(f"claim-{each.name.lower()}", title, pd.DataFrame(lines), tuple(notes))
