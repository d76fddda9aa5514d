"""E5: what EqT costs: parameters, training, inference at K = 8.

Counted, not estimated; seconds only from a machine that did nothing else.
"""

from __future__ import annotations

from ..campaign import Campaign
from ..trial import OK, Record
from .claim import Claim, Finding, Verdict, exact, not_run
from .evidence import Evidence
from .pairing import TASK, lengths_of, records_of, wanted
from .plots import cost_ratios

STANDARD, ROW, BUDGET = "transformer", "eqt", 8
PRINTED = {"parameters": 1.08, "training FLOPs": 1.15, "FLOPs of an answer at K = 8": 3.0}
TOLERANCE = 0.05
"""How far above the printed ratio a counted one may be, relative to it."""


def ratios(campaign: Campaign, length: int) -> dict[str, tuple[float, tuple[str, ...]]]:
    """Name -> EqT's cost over the transformer's, and the trials counted."""
    mine, other = (records_of(campaign, row, TASK, length) for row in (ROW, STANDARD))
    if not mine or not other:
        return {}
    a, b = mine[0], other[0]
    ids = (a.trial.id, b.trial.id)
    answer = float(a.costs["answer_flops_per_token"][str(BUDGET)])
    plain = float(b.costs["answer_flops_per_token"]["0"])
    return {
        "parameters": (a.costs["parameters"] / b.costs["parameters"], ids),
        "training FLOPs": (a.costs["train_flops"] / b.costs["train_flops"], ids),
        "FLOPs of an answer at K = 8": (answer / plain, ids),
    }


def examine(evidence: Evidence) -> list[Finding]:
    """Each ratio at the longest length; the other lengths after it; seconds where they count."""
    campaign = evidence.main
    if campaign is None:
        missing = wanted("small", [ROW, STANDARD])
        return [not_run(name, "ratio", missing, headline=True) for name in PRINTED]
    findings = []
    for place, length in enumerate(reversed(lengths_of(campaign))):
        seen = ratios(campaign, length)
        for name, printed in PRINTED.items():
            part, measured = f"{name}, {TASK} {length}", f"EqT / transformer, printed {printed:g}"
            if name not in seen:
                missing = wanted(campaign.preset, [ROW, STANDARD])
                findings.append(not_run(part, measured, missing, headline=place == 0))
                continue
            ratio, ids = seen[name]
            findings.append(judged(part, measured, ratio, printed, ids, place == 0))
    return [*findings, seconds(campaign)]


def judged(
    part: str, measured: str, ratio: float, printed: float, ids: tuple[str, ...], headline: bool
) -> Finding:
    """A counted ratio against the printed one."""
    cheap = ratio <= printed * (1 + TOLERANCE)
    return Finding(
        part=part,
        measured=measured,
        verdict=Verdict.SUPPORTED if cheap else Verdict.CONTRADICTED,
        figure=exact(ratio, 1),
        units="counts",
        trials=ids,
        headline=headline,
        note="of nets of this size; shares of heads and blocks change with width and depth",
    )


def seconds(campaign: Campaign) -> Finding:
    """The training seconds' ratio, if trials had the machine for themselves."""
    printed = PRINTED["training FLOPs"]  # the paper says it of an epoch's time
    part, measured = "training seconds", f"EqT / transformer, printed {printed:g}"
    for length in reversed(lengths_of(campaign)):
        mine, other = (records_of(campaign, row, TASK, length) for row in (ROW, STANDARD))
        pairs = [(a, b) for a in mine for b in other if alone(a) and alone(b)]
        if pairs:
            a, b = pairs[0]
            ratio = a.costs["train_seconds"] / b.costs["train_seconds"]
            return judged(part, measured, ratio, printed, (a.trial.id, b.trial.id), False)
    return not_run(
        part, measured, "trials ran beside others: run with `--jobs 1` on a quiet machine"
    )


def alone(record: Record) -> bool:
    """Whether a trial ran with no other beside it."""
    return record.status == OK and record.environment.get("jobs") == 1


CLAIM = Claim(
    name="E5",
    statement="EqT costs 8 % more parameters, 15 % more training, 3 times the inference at K = 8.",
    source="arXiv:2511.21882v1, §5",
    measure="EqT's parameters, training FLOPs and FLOPs of an answer at K = 8 over the "
    "transformer's, counted, at the longest planned length of parity.",
    rule="supported where a counted ratio is at most 5 % above the printed one, contradicted where "
    "it is higher; a headline each",
    examine=examine,
    draw=lambda evidence: cost_ratios(evidence, "e5", ratios, PRINTED),
)
