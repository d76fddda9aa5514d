"""E1: Table 2's gains, and their growth with difficulty.

Every planned length is reported. Difficulty is not the standard model's own score: gains binned by
it regress to the mean (a run that did badly by chance is beaten by any other).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .claim import Claim, Finding, not_run
from .evidence import Evidence
from .findings import POINTS, found
from .pairing import TASK, Side, averaged, difference, lengths_of, sampled, score, wanted
from .plots import gains_by_length

STANDARD, CANDIDATE = "transformer", "eqt"
BUDGETS = (8, 32)
ROWS = (STANDARD, CANDIDATE)


def examine(evidence: Evidence) -> list[Finding]:
    """The mean gain over lengths, each length's, and the slope of the gain against difficulty."""
    campaign = evidence.main
    if campaign is None:
        return [not_run("mean over lengths", POINTS, wanted("small", ROWS), headline=True)]
    missing = wanted(campaign.preset, ROWS)
    lengths = lengths_of(campaign)
    findings = []
    for budget in BUDGETS:
        parts = {
            length: difference(
                campaign, Side(CANDIDATE, budget), Side(STANDARD), TASK, length, "token"
            )
            for length in lengths
        }
        seen = [part for part in parts.values() if part is not None]
        whole = averaged(seen) if len(seen) == len(lengths) else None
        name = f"mean over lengths {', '.join(map(str, lengths))} at K = {budget}"
        findings.append(found(name, POINTS, whole, missing, headline=budget == BUDGETS[0]))
        findings += [
            found(f"{TASK} {length} at K = {budget}", POINTS, part, missing)
            for length, part in parts.items()
        ]
    return [*findings, *growth(evidence)]


def growth(evidence: Evidence) -> list[Finding]:
    """Points of gain for every doubling of length, and for every 10 points of lower mean score."""
    campaign = evidence.main
    assert campaign is not None
    lengths = lengths_of(campaign)
    first = {n: score(campaign, Side(CANDIDATE, BUDGETS[0]), TASK, n, "token") for n in lengths}
    second = {n: score(campaign, Side(STANDARD), TASK, n, "token") for n in lengths}
    sides = [*first.values(), *second.values()]
    seeds = sorted(set.intersection(*(set(side.values) for side in sides))) if sides else []
    by_length, by_score = "points a doubling of length", "points a 10 points harder"
    missing = wanted(campaign.preset, ROWS)
    if len(lengths) < 3 or not seeds:
        return [not_run("growth with length", by_length, missing)]
    ids = tuple(dict.fromkeys(t for side in sides for t in side.trials.values()))
    doublings = np.log2(lengths)
    slopes, harder = {}, {}
    for seed in seeds:
        a = np.array([first[n].values[seed] for n in lengths])
        b = np.array([second[n].values[seed] for n in lengths])
        slopes[seed] = slope(doublings, a - b)
        harder[seed] = slope(-(a + b) / 20, a - b)
    level = "growth with difficulty, the mean of both"
    flat = not np.isfinite(list(harder.values())).all()
    return [
        found("growth with length", by_length, sampled(slopes, ids), missing),
        not_run(level, by_score, "all lengths are equally hard: run longer ones")
        if flat
        else found(level, by_score, sampled(harder, ids), missing),
    ]


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Of a straight line through the points; NaN where x does not vary."""
    away = x - x.mean()
    return float(away @ y / (away @ away)) if np.ptp(x) > 1e-9 else float("nan")


CLAIM = Claim(
    name="E1",
    statement="EqT is above the standard transformer on parity, and the more so the harder it is.",
    source="arXiv:2511.21882v1, §5, Table 2 and Figure 1",
    errata="One number a cell there, and the gain's growth is told by the standard model's score.",
    measure="Token accuracy of EqT at K = 8 minus the transformer's, same seeds and rows, at every "
    "planned length; mean over lengths; slope over log2 length and over the mean of both scores.",
    rule="supported where the 95 % t interval over seeds of the mean difference is above 0, "
    "contradicted where it is below 0, not supported where it holds 0",
    examine=examine,
    draw=lambda evidence: gains_by_length(evidence, "e1", ROWS, BUDGETS),
)
