"""The console command `closedloop claims`: verdicts on the paper's claims from a results folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import Misuse, one_line, unknown
from .tables import SUFFIXES, write_text

if TYPE_CHECKING:  # loaded when the command runs
    from .claims.evidence import Evidence
    from .claims.verdicts import Judged


def register(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the console's parser."""
    found = add("claims", print_claims)
    found.add_argument("--results", help="results folder; without one the closed forms alone run")
    found.add_argument("--claims", default="", help="P1,T2,…; default: all")
    found.add_argument("--details", action="store_true", help="every part of every claim too")
    found.add_argument("--out", help="folder for all tables (md, tex, csv, html) and plots")


def print_claims(arguments: argparse.Namespace) -> None:
    """the paper's claims, each with its verdict, figure and interval"""
    from .claims import CLAIMS
    from .claims.evidence import Evidence
    from .claims.table import claim_table, verdict_table
    from .claims.verdicts import judged

    names = [word for word in arguments.claims.split(",") if word]
    for name in names:
        if name not in CLAIMS:
            raise unknown("claim", name, CLAIMS)
    if arguments.results is not None and not Path(arguments.results).is_dir():
        raise Misuse(f"no results folder {arguments.results}: expected one of `pytest bench/`")
    evidence = Evidence(arguments.results, arguments.plugin)
    found = judged(evidence, names)
    links = write_all(found, evidence, Path(arguments.out)) if arguments.out else {}
    print(verdict_table(found, links).render(arguments.format))
    for each in found if arguments.details else ():
        print()
        print(claim_table(each).render(arguments.format))


def write_all(found: Sequence[Judged], evidence: Evidence, folder: Path) -> dict[str, str]:
    """Write tables and plots; claim -> the name of its plot.

    Raises:
        Misuse: the folder cannot be written.
    """
    from .claims.reported import tables_of
    from .claims.verdicts import plots
    from .figures.figure import Drawing, write_drawing

    links: dict[str, str] = {}
    try:
        for each in found:
            for plot in plots(each, evidence):
                if isinstance(plot, Drawing):
                    write_drawing(plot, folder)
                    links.setdefault(each.name, f"{plot.name}.svg")
                else:
                    links.setdefault(each.name, f"none: {plot.reason}")
        for table in tables_of(found, links, evidence):
            for form, suffix in SUFFIXES.items():
                write_text(folder / f"{table.name}.{suffix}", table.render(form))
    except OSError as error:
        raise Misuse(
            f"cannot write to {folder}: {one_line(error)}. Choose another --out"
        ) from error
    return links
