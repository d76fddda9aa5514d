"""T7: sample complexity like a transformer's: as good from as many rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..campaign import Campaign
from ..stats.intervals import Interval
from .claim import Claim, Finding, Verdict, not_run, within
from .evidence import Evidence
from .findings import POINTS, found
from .pairing import TASK, Side, difference, lengths_of, records_of, score, wanted
from .plots import samples

STANDARD, ROW = "transformer", "eqt"
PRESETS = ("small-samples-2k", "small-samples-6k", "")
"""Fewest training rows first; the last is the folder's main preset."""
LENGTH, LIKE = 16, 2.0
"""Points within which two accuracies are alike."""


def alike(figure: Interval) -> Verdict:
    """The whole interval within ± LIKE."""
    return within(figure, -LIKE, LIKE)


def examine(evidence: Evidence) -> list[Finding]:
    """EqT minus the transformer at every number of rows; the fewest are the headline."""
    findings = []
    for place, preset in enumerate(PRESETS):
        campaign = evidence.campaign(preset) if preset else evidence.main
        missing, head = wanted(preset or "small", [STANDARD, ROW]), place == 0
        if campaign is None or LENGTH not in lengths_of(campaign):
            findings.append(
                not_run(f"{preset or 'all rows'}, {TASK} {LENGTH}", POINTS, missing, head)
            )
            continue
        findings.append(at(campaign, missing, head))
    return findings


def at(campaign: Campaign, missing: str, headline: bool) -> Finding:
    """The difference at one number of training rows; alike at chance, nothing was learnt."""
    made = difference(campaign, Side(ROW), Side(STANDARD), TASK, LENGTH)
    part = f"{campaign.trials[0].train['rows']:,} training rows, {TASK} {LENGTH}"
    if made is None:
        return not_run(part, POINTS, missing, headline)
    level, chance = standard(campaign)
    note = f"{STANDARD} {level:.1f} %, chance {chance:.1f} %"
    finding = found(part, POINTS, made, missing, rule=alike, headline=headline, note=note)
    if finding.verdict is Verdict.SUPPORTED and level <= chance + LIKE:
        return replace(
            finding, verdict=Verdict.NOT_SUPPORTED, note=f"{note}: alike in not learning"
        )
    return finding


def standard(campaign: Campaign) -> tuple[float, float]:
    """Percent right of the standard row, mean over seeds, and the chance level of its data."""
    values = score(campaign, Side(STANDARD), TASK, LENGTH).values.values()
    data = records_of(campaign, STANDARD, TASK, LENGTH)[0].data
    return float(np.mean(list(values))), 100 * float(data[str(LENGTH)]["levels"]["chance"])


CLAIM = Claim(
    name="T7",
    statement="EqT needs as many training rows as a transformer.",
    source="arXiv:2511.21882v1, Theorem 7",
    measure=f"Token accuracy of EqT minus the transformer's on parity {LENGTH}, trained K, at each "
    "number of training rows, the number of updates held.",
    rule=f"supported where the 95 % t interval over seeds lies within ±{LIKE:g} points, "
    "contradicted where all of it is outside, not supported otherwise, nor where the transformer "
    f"is within {LIKE:g} points of chance; the fewest rows are the headline",
    examine=examine,
    draw=lambda evidence: samples(evidence, "t7", (STANDARD, ROW), PRESETS, LENGTH),
)
