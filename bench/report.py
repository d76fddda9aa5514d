"""Everything that can be made from a results folder: the tables, the figures, the page.

A table maker takes a campaign and the name of the reference method's row and gives tables; a figure
maker gives drawings, or says why it cannot. A new kind is one file and one line here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .campaign import Campaign
from .errors import Misuse, one_line, unknown
from .figures.figure import Drawing, Maker, Missing, write_drawing
from .leaderboard import leaderboard
from .page import page as page_module
from .tables import SUFFIXES, Table, write_text

REFERENCE = "transformer"
"""The row that gains are told against, unless another is asked for."""

Sheet = Callable[[Campaign, str], list[Table]]


def leaderboard_tables(campaign: Campaign, reference: str) -> list[Table]:
    """The leaderboard task by task, costs and failures, as pytest prints it."""
    return leaderboard(campaign.trials, campaign.records, campaign.registry)


SHEETS: dict[str, str] = {
    "leaderboard": "closedloop.bench.report:leaderboard_tables",
    "main": "closedloop.bench.sheets.main:main_tables",
    "claims": "closedloop.bench.claims.reported:claim_tables",
    "pairs": "closedloop.bench.sheets.pairs:pair_tables",
    "paper": "closedloop.bench.sheets.paper:paper_tables",
    "compute": "closedloop.bench.sheets.compute:compute_tables",
    "strata": "closedloop.bench.sheets.strata:strata_tables",
    "hardness": "closedloop.bench.sheets.hardness:hardness_tables",
    "failures": "closedloop.bench.sheets.failures:failure_tables",
}
"""Name -> where its table maker is; the page keeps the first ones where not all fit."""

FIGURES: dict[str, str] = {
    "claims": "closedloop.bench.claims.reported:claim_figures",
    "paper": "closedloop.bench.figures.paper:paper",
    "lengths": "closedloop.bench.figures.lengths:lengths",
    "anytime": "closedloop.bench.figures.anytime:anytime",
    "convergence": "closedloop.bench.figures.convergence:convergence_figures",
    "energy": "closedloop.bench.figures.energy:energy_figures",
    "heatmaps": "closedloop.bench.figures.heatmaps:heatmap_figures",
    "strata": "closedloop.bench.figures.strata:strata_figures",
    "hardness": "closedloop.bench.figures.hardness:hardness_figures",
    "profiles": "closedloop.bench.figures.profiles:profiles",
    "ranks": "closedloop.bench.figures.ranks:ranks",
    "training": "closedloop.bench.figures.training:training",
}
"""Name -> where its figure maker is; the page keeps the first ones where not all fit."""


@dataclass
class Report:
    """What was made of a campaign, and what could not be made, with reasons."""

    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def reference_of(campaign: Campaign, asked: str | None) -> str:
    """The row that gains are told against: the asked one, the transformer, or the first there is.

    Raises:
        Misuse: the asked row is not in the campaign.
    """
    if asked is not None and asked not in campaign.rows:
        raise unknown("reference row", asked, campaign.rows)
    if asked is None and REFERENCE not in campaign.rows:
        return campaign.rows[0]
    return asked or REFERENCE


def sheets(campaign: Campaign, reference: str, names: Sequence[str] = tuple(SHEETS)) -> list[Table]:
    """The tables of these makers, in their order, each name once."""
    found: dict[str, Table] = {}
    for name in names:
        maker: Sheet = pkgutil.resolve_name(SHEETS[name])
        for table in maker(campaign, reference):
            found.setdefault(table.name, table)
    return list(found.values())


def figures(
    campaign: Campaign, reference: str, names: Sequence[str] = tuple(FIGURES)
) -> Iterator[Drawing | Missing]:
    """What these makers draw, one by one, so that a figure can be written and let go."""
    for name in names:
        maker: Maker = pkgutil.resolve_name(FIGURES[name])
        yield from maker(campaign, reference)


def report(campaign: Campaign, reference: str) -> Report:
    """Everything there is."""
    made = Report(tables=sheets(campaign, reference))
    for found in figures(campaign, reference):
        (made.drawings if isinstance(found, Drawing) else made.missing).append(found)  # type: ignore[arg-type]
    return made


def write_page(campaign: Campaign, reference: str, made: Report, path: Path) -> None:
    """Write the page.

    Raises:
        Misuse: the file cannot be written.
    """
    try:
        page_module.write_page(campaign, reference, made.drawings, made.tables, path)
    except OSError as error:
        raise Misuse(f"cannot write {path}: {one_line(error)}. Choose another --out") from error


def write_report(campaign: Campaign, reference: str, folder: Path) -> list[str]:
    """Write OUT/page.html, OUT/tables, OUT/figures and OUT/README.md; returns what to tell.

    Raises:
        Misuse: the folder cannot be written.
    """
    made = report(campaign, reference)
    try:
        for table in made.tables:
            for form, suffix in SUFFIXES.items():
                write_text(folder / "tables" / f"{table.name}.{suffix}", table.render(form))
        for drawing in made.drawings:
            write_drawing(drawing, folder / "figures")
        write_text(folder / "README.md", contents(campaign, reference, made))
    except OSError as error:
        raise Misuse(
            f"cannot write to {folder}: {one_line(error)}. Choose another --out"
        ) from error
    write_page(campaign, reference, made, folder / "page.html")
    told = [f"{found.name}: not drawn, {found.reason}" for found in made.missing]
    return [
        *told,
        f"{len(made.tables)} tables, {len(made.drawings)} figures and the page: {folder}",
    ]


def contents(campaign: Campaign, reference: str, made: Report) -> str:
    """The list of what the folder holds, and of what it lacks with the reasons."""
    lines = [
        f"# Report on preset {campaign.preset}",
        "",
        f"{len(campaign.records)} of {len(campaign.trials)} planned trials are in; gains are told "
        f"against {reference}. [The page](page.html) has everything in one file.",
        *[f"- {remark}" for remark in campaign.remarks],
        "",
        "## Tables (md, tex, csv, html)",
        "",
        *[f"- [{table.title}](tables/{table.name}.md)" for table in made.tables],
        "",
        "## Figures (pdf, svg, png, and their numbers as csv)",
        "",
        *[f"- [{d.title}](figures/{d.name}.svg)" for d in made.drawings],
    ]
    if made.missing:
        lines += ["", "## Not drawn", "", *[f"- {m.name}: {m.reason}" for m in made.missing]]
    return "\n".join([*lines, ""])
