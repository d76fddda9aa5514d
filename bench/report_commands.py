"""The console commands that read a results folder: table, figure, page, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .arena import DEFAULT_RESULTS
from .campaign import Campaign, narrowed, open_campaign
from .errors import Misuse, unknown
from .tables import FORMATS


def reading() -> argparse.ArgumentParser:
    """The options of every command that reads a results folder."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--results", default=DEFAULT_RESULTS, help="results folder")
    parser.add_argument("--preset", help="default: the one with most records in the folder")
    parser.add_argument("--tasks", default="", help="a,b,…; default: all that were planned")
    parser.add_argument("--methods", default="", help="a,b,…; default: all that were planned")
    parser.add_argument("--reference", metavar="ROW", help="gains are told against it")
    parser.add_argument("--plugin", action="append", default=[], help="file or module")
    return parser


def register(commands) -> None:  # noqa: ANN001 - argparse names no public type for it
    """Add the commands to the console's parser."""

    def add(name: str, command) -> argparse.ArgumentParser:  # noqa: ANN001
        found = commands.add_parser(name, help=command.__doc__, parents=[reading()])
        found.set_defaults(command=command)
        return found

    tabled = add("table", print_tables)
    tabled.add_argument("name", nargs="?", help="a table or a kind of tables; default: all")
    tabled.add_argument("--format", default="text", choices=sorted(FORMATS))
    drawn = add("figure", write_figures)
    drawn.add_argument("name", nargs="?", help="a figure or a kind of figures; default: all")
    drawn.add_argument("--out", help="folder; default: figures/ in the results folder")
    paged = add("page", write_page_file)
    paged.add_argument("--out", help="file; default: page.html in the results folder")
    reported = add("report", write_report_folder)
    reported.add_argument("--out", help="folder; default: report/ in the results folder")


def opened(arguments: argparse.Namespace) -> tuple[Campaign, str]:
    """The campaign that the options describe, remarks told, and its reference row."""
    from .report import reference_of

    campaign = open_campaign(arguments.results, arguments.preset, arguments.plugin)
    rows = [word for word in arguments.methods.split(",") if word]
    tasks = [word for word in arguments.tasks.split(",") if word]
    campaign = narrowed(campaign, rows, tasks)
    for remark in campaign.remarks:
        print(f"closedloop: {remark}", file=sys.stderr)
    return campaign, reference_of(campaign, arguments.reference)


def print_tables(arguments: argparse.Namespace) -> None:
    """tables from a results folder, all or by name"""
    from .report import SHEETS, sheets

    campaign, reference = opened(arguments)
    if arguments.name in SHEETS:
        tables = sheets(campaign, reference, [arguments.name])
        if not tables:
            print(f"no {arguments.name} table: the records hold nothing for it")
    else:
        tables = sheets(campaign, reference)
        names = [table.name for table in tables]
        if arguments.name is not None:
            if arguments.name not in names:
                raise unknown("table", arguments.name, [*SHEETS, *names])
            tables = [table for table in tables if table.name == arguments.name]
    for table in tables:
        print(table.render(arguments.format))


def write_figures(arguments: argparse.Namespace) -> None:
    """figures from a results folder as PDF, SVG, PNG and CSV, all or by name"""
    from .figures.figure import Missing, write_drawing
    from .report import FIGURES, figures

    campaign, reference = opened(arguments)
    folder = Path(arguments.out or campaign.store.folder / "figures")
    kinds = [arguments.name] if arguments.name in FIGURES else list(FIGURES)
    seen = []
    for found in figures(campaign, reference, kinds):
        seen.append(found.name)
        if arguments.name not in (None, *kinds, found.name):
            continue
        if isinstance(found, Missing):
            print(f"{found.name}: not drawn, {found.reason}")
        else:
            print(write_drawing(found, folder)[0].with_suffix(".*"))
    if arguments.name not in (None, *kinds, *seen):
        raise unknown("figure", arguments.name, [*FIGURES, *seen])


def write_page_file(arguments: argparse.Namespace) -> None:
    """one self-contained HTML file with leaderboard, figures and every trial"""
    from .report import report, write_page

    campaign, reference = opened(arguments)
    path = Path(arguments.out or campaign.store.folder / "page.html")
    write_page(campaign, reference, report(campaign, reference), writable(path))
    print(path)


def write_report_folder(arguments: argparse.Namespace) -> None:
    """every table, every figure and the page into one folder"""
    from .report import write_report

    campaign, reference = opened(arguments)
    folder = Path(arguments.out or campaign.store.folder / "report")
    for line in write_report(campaign, reference, folder):
        print(line)


def writable(path: Path) -> Path:
    """The path of a file that can be made.

    Raises:
        Misuse: it is a folder, or its folder cannot be made.
    """
    if path.is_dir():
        raise Misuse(f"expected a file to write, got the folder {path}: name a file in it")
    return path
