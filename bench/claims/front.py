"""The claims in a pytest session: what was examined, shown at its end."""

from __future__ import annotations

from typing import Any

from .table import verdict_table
from .verdicts import Judged

EXAMINED: dict[str, Judged] = {}
"""What the session's tests have examined, by claim."""


def write_verdicts(reporter: Any) -> None:
    """Write the verdict table of this session to pytest's terminal; nothing without one."""
    if not EXAMINED:
        return
    table = verdict_table(list(EXAMINED.values()))
    reporter.section(table.title, sep="-")
    for line in table.render("text").splitlines()[2:]:
        reporter.write_line(line)
