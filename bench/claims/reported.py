"""The claims in a report: the verdict table, a table a claim with its trials, a plot a claim.

A campaign that was asked none of the rows that the claims are about has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..campaign import Campaign
from ..figures.figure import Drawing, Missing
from ..tables import Table
from . import a1, e1
from .arms import arms_table
from .evidence import Evidence
from .table import claim_table, verdict_table
from .verdicts import Judged, judged, plots

SUBJECTS = (e1.CANDIDATE, a1.ROW)


def concerned(campaign: Campaign) -> bool:
    """Whether the claims say anything of the rows that were planned."""
    return bool(set(SUBJECTS) & set(campaign.rows))


def claim_tables(campaign: Campaign, reference: str) -> list[Table]:
    """The tables of all claims; plots are named by their figure."""
    if not concerned(campaign):
        return []
    evidence = Evidence.of(campaign)
    found = judged(evidence)
    links = {}
    for each in found:
        drawn = plots(each, evidence)
        links[each.name] = ", ".join(plot.name for plot in drawn if isinstance(plot, Drawing))
    told = {name: link or "-" for name, link in links.items()}
    return tables_of(found, told, evidence)


def tables_of(found: Sequence[Judged], links: Mapping[str, str], evidence: Evidence) -> list[Table]:
    """The verdicts, then every claim with its parts, and beside A1 the arms of EqT-plus."""
    arms = arms_table(evidence) if a1.CLAIM.name in {each.name for each in found} else []
    return [verdict_table(found, links), *map(claim_table, found), *arms]


def claim_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Every claim's plot, or what to run for it."""
    if not concerned(campaign):
        return [Missing("claims", f"no row of {' or '.join(SUBJECTS)} was planned")]
    evidence = Evidence.of(campaign)
    return [plot for each in judged(evidence) for plot in plots(each, evidence)]
