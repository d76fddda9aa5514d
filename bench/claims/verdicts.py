"""All claims over a results folder: findings and plots, and what went wrong on the way."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Misuse, one_line, unknown
from ..figures.figure import Drawing, Missing
from . import CLAIMS
from .claim import Claim, Finding, not_run
from .evidence import Evidence


@dataclass(frozen=True)
class Judged:
    """A claim with its findings; claim is None where its file did not load."""

    name: str
    claim: Claim | None
    findings: tuple[Finding, ...]

    @property
    def headlines(self) -> list[Finding]:
        """The findings that decide the claim's row; all of them where none is marked."""
        return [each for each in self.findings if each.headline] or list(self.findings)


def load(name: str) -> Claim:
    """A claim by its id.

    Raises:
        Misuse: no such claim.
    """
    if name not in CLAIMS:
        raise unknown("claim", name, CLAIMS)
    found = pkgutil.resolve_name(CLAIMS[name])
    assert isinstance(found, Claim)
    return found


@functools.lru_cache(maxsize=256)
def judge(name: str, evidence: Evidence) -> Judged:
    """Examine one claim; what cannot be examined is `not run here`, with the reason."""
    try:
        claim = load(name)
    except Misuse:
        raise
    except Exception as error:  # a broken claim must not take the others with it
        return Judged(name, None, (failed(f"does not load: {one_line(error)}"),))
    try:
        return Judged(name, claim, tuple(claim.examine(evidence)))
    except Exception as error:  # nor one that these records break
        return Judged(name, claim, (failed(f"could not be examined: {one_line(error)}"),))


def failed(reason: str) -> Finding:
    """The finding of a claim that raised."""
    return not_run("the whole claim", "-", reason, headline=True)


def judged(evidence: Evidence, names: Sequence[str] = ()) -> list[Judged]:
    """Every claim, or those named, in the table's order."""
    return [judge(name, evidence) for name in (names or CLAIMS)]


def plots(found: Judged, evidence: Evidence) -> list[Drawing | Missing]:
    """A claim's plots, or why there are none."""
    stem = f"claim-{found.name.lower()}"
    if found.claim is None:
        return [Missing(stem, found.findings[0].note)]
    try:
        return list(found.claim.draw(evidence))
    except Exception as error:  # a plot that fails is told, and fails alone
        return [Missing(stem, f"could not be drawn: {one_line(error)}")]
