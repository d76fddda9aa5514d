"""The interface of a claim: what is said, what is measured, and the rule that judges it.

A claim is judged part by part: as printed, as corrected, in closed form, on trained models, at
every length. Its rule is fixed in its file before anything is run, and says what makes a
measurement `supported`, `contradicted` or `not supported`; without the records that a part needs
it is `not run here`, with what to run. No figure is written by hand: a finding holds what was
measured, and the ids of the trials that it was measured on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..figures.figure import Drawing, Missing
from ..stats.intervals import Interval
from .evidence import Evidence


class Verdict(Enum):
    """What a rule makes of a measurement."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    CONTRADICTED = "contradicted"
    NOT_RUN = "not run here"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measurement and its verdict.

    part: which part of the claim, such as `as printed` or `parity 32`. measured: what the figure
    is, with its unit. figure: the estimate, with limits where it was drawn from a population and
    NaN limits where it is exact; None where nothing was measured. units: what figure.n counts.
    trials: ids of the trials that it rests on, empty in closed form. headline: whether it decides
    the claim's row of the verdict table; the other parts stand in the claim's own table. note: why
    it was not run, or what a reader must know.
    """

    part: str
    measured: str
    verdict: Verdict
    figure: Interval | None = None
    units: str = "seeds"
    trials: tuple[str, ...] = ()
    headline: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if (self.figure is None) != (self.verdict is Verdict.NOT_RUN):
            raise ValueError(f"{self.part}: expected a figure, or `not run here`, never both")
        if self.verdict is Verdict.NOT_RUN and not self.note:
            raise ValueError(f"{self.part}: expected a note on what to run")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper, or of the arena on it.

    statement, as the paper means it; source, its place; errata, what is wrong as printed and what
    is held instead (empty where nothing is). measure and rule are sentences: the rule names the
    thresholds that `examine` applies. draw gives the claim's plot, or why there is none.
    """

    name: str
    statement: str
    source: str
    measure: str
    rule: str
    examine: Callable[[Evidence], Sequence[Finding]]
    draw: Callable[[Evidence], Sequence[Drawing | Missing]]
    errata: str = ""


def not_run(part: str, measured: str, note: str, headline: bool = False) -> Finding:
    """A part whose records are missing, with what to run."""
    return Finding(
        part=part, measured=measured, verdict=Verdict.NOT_RUN, note=note, headline=headline
    )


def exact(value: float, n: int) -> Interval:
    """A figure that was computed, not sampled: no limits, n cases."""
    return Interval(value, float("nan"), float("nan"), n)


def computed(
    part: str,
    measured: str,
    verdict: Verdict,
    value: float,
    n: int,
    units: str,
    headline: bool = False,
) -> Finding:
    """A finding in closed form: its worst case, or its only one, over n cases."""
    return Finding(
        part=part,
        measured=measured,
        verdict=verdict,
        figure=exact(value, n),
        units=units,
        headline=headline,
    )


# ---- rules -------------------------------------------------------------------------------------


def above(figure: Interval, bound: float = 0.0) -> Verdict:
    """Supported where the whole interval is above the bound, contradicted where it is below.

    One that holds the bound, or has no limits (one seed), supports nothing.
    """
    if figure.low > bound:
        return Verdict.SUPPORTED
    return Verdict.CONTRADICTED if figure.high < bound else Verdict.NOT_SUPPORTED


def below(figure: Interval, bound: float) -> Verdict:
    """`above`, turned round."""
    return above(Interval(-figure.mean, -figure.high, -figure.low, figure.n), -bound)


def within(figure: Interval, low: float, high: float) -> Verdict:
    """Supported where the whole interval is in [low, high], contradicted where all of it is out."""
    if low <= figure.low and figure.high <= high:
        return Verdict.SUPPORTED
    outside = figure.high < low or figure.low > high
    return Verdict.CONTRADICTED if outside else Verdict.NOT_SUPPORTED


def holds(worst: float, tolerance: float) -> Verdict:
    """The rule of an exact statement: its worst violation is within rounding, or it is refuted.

    A worst violation that is NaN refutes.
    """
    return Verdict.SUPPORTED if worst <= tolerance else Verdict.CONTRADICTED
