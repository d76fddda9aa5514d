"""T6: the energy regularises: training with β L leaves a smaller gap between train and test."""

from __future__ import annotations

from ..campaign import Campaign
from .claim import Claim, Finding, not_run
from .e2 import planned
from .evidence import Evidence
from .findings import found
from .pairing import TASK, Paired, Scores, Side, lengths_of, paired, score, wanted
from .plots import gaps

WITH, WITHOUT = "eqt", "eqt-beta0"
PRESETS = ("small-samples-2k", "small-samples-6k", "")
"""Fewest training rows first; the last is the folder's main preset, of rows seen once."""
GAP = "points of train − test, without β less with β"


def gap(campaign: Campaign, row: str, length: int) -> Scores:
    """Percent right on training rows minus on test rows, by seed, at the trained budget."""
    train, test = (score(campaign, Side(row, None, s), TASK, length) for s in ("train", "test"))
    seeds = set(train.values) & set(test.values)
    values = {seed: train.values[seed] - test.values[seed] for seed in sorted(seeds)}
    return Scores(values, {seed: test.trials[seed] for seed in values})


def difference_of_gaps(campaign: Campaign, length: int) -> Paired | None:
    """How much larger the gap is without β, by seed."""
    return paired(gap(campaign, WITHOUT, length), gap(campaign, WITH, length))


def examine(evidence: Evidence) -> list[Finding]:
    """The difference of the gaps where rows repeat (a headline), and where they do not."""
    findings = []
    for place, preset in enumerate(PRESETS):
        campaign = evidence.campaign(preset) if preset else evidence.main
        name, head = preset or "rows seen once", place == 0
        missing = wanted(preset or "small", [WITH, WITHOUT])
        if campaign is None:
            findings.append(not_run(f"{name}, {TASK}", GAP, missing, head))
            continue
        note = "" if preset else "fresh rows leave no gap to close"
        findings += [
            found(
                f"{name}, {TASK} {length}",
                GAP,
                difference_of_gaps(campaign, length),
                missing,
                headline=head,
                note=note,
            )
            for length in lengths_of(campaign)
            if planned(campaign, WITHOUT, TASK, length)
        ]
    return findings


CLAIM = Claim(
    name="T6",
    statement="The energy regularises.",
    source="arXiv:2511.21882v1, Theorem 6",
    measure="(Train − test accuracy) of EqT without β minus that of EqT with β, same seeds, at the "
    "trained K; headline with 2,048 training rows seen twelve times.",
    rule="supported where the 95 % t interval over seeds is above 0, contradicted where it is "
    "below, not supported where it holds 0",
    examine=examine,
    draw=lambda evidence: gaps(evidence, "t6", (WITHOUT, WITH), PRESETS, gap),
)
