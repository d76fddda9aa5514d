"""The leaderboard at the end of a pytest session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .arena import Arena
from .errors import Misuse, one_line
from .tables import Table

OVERVIEW, MANY = ("overview", "failures"), 4


def write_leaderboard(reporter: Any, here: Arena) -> None:
    """Write the tables to pytest's terminal, and all of them to the results folder."""
    write = reporter.write_line
    for path, reason in here.registry.broken.items():
        write(f"plug-in {path} did not import: {reason}", yellow=True)
    for line in here.store.set_aside:
        write(f"set aside: {line}", yellow=True)
    try:
        tables = here.tables()
        scored = sum(record.status == "ok" for record in here.records())
    except Misuse:  # a record that this version refuses has stopped the session already
        return
    for table in summary_tables(tables):
        reporter.section(table.title, sep="-")
        for line in table.render("text").splitlines()[2:]:
            write(line)
    write("")
    write(f"{scored} of {len(here.trials)} planned trials have scores")
    try:
        write(f"tables: {here.write(tables)} (also .tex and .csv)")
    except OSError as error:
        write(f"cannot write the tables: {one_line(error)}", yellow=True)


def summary_tables(tables: Sequence[Table]) -> Iterator[Table]:
    """The tables that fit a terminal; all of them are in the files.

    Of many tasks the overview and what failed; of few everything.
    """
    overview = next((table for table in tables if table.name.endswith("-overview")), None)
    many = overview is not None and overview.frame["task"].nunique() > MANY
    for table in tables:
        if not many or table.name.rpartition("-")[2] in OVERVIEW:
            yield table
