"""Findings made of paired differences: one sentence a call, the same for every claim."""

from __future__ import annotations

from collections.abc import Callable

from ..campaign import Campaign
from ..stats.intervals import Interval
from .claim import Finding, Verdict, above, not_run
from .pairing import Paired, Side, difference, wanted

Rule = Callable[[Interval], Verdict]
POINTS = "points"


def found(
    part: str,
    measured: str,
    made: Paired | None,
    missing: str,
    rule: Rule = above,
    headline: bool = False,
    note: str = "",
) -> Finding:
    """A difference under a rule, or `not run here` with what to run."""
    if made is None:
        return not_run(part, measured, missing, headline)
    return Finding(
        part=part,
        measured=measured,
        verdict=rule(made.figure),
        figure=made.figure,
        trials=made.trials,
        headline=headline,
        note=note,
    )


def compared(
    campaign: Campaign,
    first: Side,
    second: Side,
    task: str,
    length: int,
    note: str = "",
) -> Finding:
    """First minus second at one length, in points."""
    made = difference(campaign, first, second, task, length)
    missing = wanted(campaign.preset, [first.row, second.row])
    return found(f"{task} {length}: {first} − {second}", POINTS, made, missing, note=note)


def number(value: float) -> str:
    """Two decimals, or three digits where these would show nothing."""
    if value == 0 or 0.1 <= abs(value) < 1e5:
        return f"{value:.2f}"
    return f"{value:.3g}"
