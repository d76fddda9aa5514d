"""E4: convergence by k = 6 on 94 % of tokens."""

from __future__ import annotations

import math

from ..campaign import Campaign
from ..outcomes import LOWEST, PER_DECADE
from ..trial import OK
from .claim import Claim, Finding, not_run
from .evidence import Evidence
from .findings import found
from .pairing import TASK, Paired, averaged, lengths_of, records_of, sampled, wanted
from .plots import settling

ROW, STEP, THRESHOLD, PRINTED = "eqt", 6, 1e-3, 94.0
EDGE = round((math.log10(THRESHOLD) - LOWEST) * PER_DECADE) + 1
"""The first bin of a trace that is not under the threshold."""

SHARE = f"% of tokens under {THRESHOLD:g} at k = {STEP}, less {PRINTED:g}"


def share_under(histogram: list[list[int]]) -> float:
    """Percent of a trace's tokens under the threshold."""
    total = sum(count for _, count in histogram)
    return 100 * sum(count for place, count in histogram if place < EDGE) / total


def shares(campaign: Campaign, row: str, length: int, step: int) -> dict[int, tuple[float, str]]:
    """Seed -> percent of tokens settled at an iteration, and the trial."""
    seen = {}
    for record in records_of(campaign, row, TASK, length):
        trace = record.traces.get(str(length), {}).get("change", {}).get(str(step))
        if record.status == OK and trace:
            seen[record.trial.seed] = (share_under(trace), record.trial.id)
    return seen


def examine(evidence: Evidence) -> list[Finding]:
    """The share at k = 6, mean over lengths and length by length."""
    campaign = evidence.main
    if campaign is None:
        return [not_run("mean over lengths", SHARE, wanted("small", [ROW]), headline=True)]
    missing = wanted(campaign.preset, [ROW])
    parts = {n: excess(shares(campaign, ROW, n, STEP)) for n in lengths_of(campaign)}
    seen = [part for part in parts.values() if part is not None]
    whole = averaged(seen) if len(seen) == len(parts) else None
    note = "small from the first iteration on: settled is not solved (see E2)"
    return [
        found("mean over lengths", SHARE, whole, missing, headline=True, note=note),
        *(found(f"{TASK} {n}", SHARE, part, missing) for n, part in parts.items()),
        *(
            found(f"{TASK} {n} at k = 1", SHARE.replace(f"k = {STEP}", "k = 1"), part, missing)
            for n in lengths_of(campaign)
            for part in [excess(shares(campaign, ROW, n, 1))]
        ),
    ]


def excess(seen: dict[int, tuple[float, str]]) -> Paired | None:
    """Points above the printed share, by seed."""
    values = {seed: share - PRINTED for seed, (share, _) in seen.items()}
    return sampled(values, [trial for _, trial in seen.values()])


CLAIM = Claim(
    name="E4",
    statement="Refinement has converged at k = 6 on 94 % of tokens.",
    source="arXiv:2511.21882v1, §5: ||h^{k+1} − h^k|| / ||h^k|| < 1e-3",
    measure="Share of scored test tokens whose relative change at iteration 6 is under 1e-3, less "
    "the printed 94 %; mean over the planned lengths of parity.",
    rule="supported where the 95 % t interval over seeds of the share is above 94 %, contradicted "
    "where it is below, not supported where it holds 94 %",
    examine=examine,
    draw=lambda evidence: settling(evidence, "e4", ROW, shares, PRINTED),
)
