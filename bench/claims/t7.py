"""T7: sample complexity like a transformer's: as good from as many rows."""

from __future__ import annotations

from ..stats.intervals import Interval
from .claim import Claim, Finding, Verdict, not_run, within
from .evidence import Evidence
from .findings import POINTS, found
from .pairing import TASK, Side, difference, lengths_of, wanted
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
        rows = campaign.trials[0].train["rows"]
        made = difference(campaign, Side(ROW), Side(STANDARD), TASK, LENGTH)
        part = f"{rows:,} training rows, {TASK} {LENGTH}"
        findings.append(found(part, POINTS, made, missing, rule=alike, headline=head))
    return findings


CLAIM = Claim(
    name="T7",
    statement="EqT needs as many training rows as a transformer.",
    source="arXiv:2511.21882v1, Theorem 7",
    measure=f"Token accuracy of EqT minus the transformer's on parity {LENGTH}, trained K, at each "
    "number of training rows, the number of updates held.",
    rule=f"supported where the 95 % t interval over seeds lies within ±{LIKE:g} points, "
    "contradicted where all of it is outside, not supported otherwise; the fewest rows are the "
    "headline",
    examine=examine,
    draw=lambda evidence: samples(evidence, "t7", (STANDARD, ROW), PRESETS, LENGTH),
)
