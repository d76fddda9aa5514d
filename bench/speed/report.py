"""The speed table: from pytest-benchmark's JSON, every line with what it is to reach."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import Misuse, unknown
from ..tables import Table
from . import LINES
from .line import Line, Outcome, outcome

NOTES = (
    "median of the rounds; a round runs every side once, in turn; ratio within a round, median "
    "[10 %, 90 %]; the peer is the best of those raced",
)


def load(name: str) -> Line:
    """A line by its name.

    Raises:
        Misuse: no such line.
    """
    if name not in LINES:
        raise unknown("speed line", name, LINES)
    found = pkgutil.resolve_name(LINES[name])
    assert isinstance(found, Line)
    return found


def read(path: Path) -> dict[str, Any]:
    """The JSON of a run.

    Raises:
        Misuse: it is not there or is none of ours.
    """
    try:
        found = json.loads(path.read_text())
        assert all("line" in each["extra_info"] for each in found["benchmarks"])
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise Misuse(f"expected {path} as `closedloop speed` writes it") from error
    return found


def outcomes(run: Mapping[str, Any]) -> dict[str, Outcome]:
    """Line -> what came out, in the table's order; lines of another version are left out."""
    seen = {each["extra_info"]["line"]: each["extra_info"]["values"] for each in run["benchmarks"]}
    return {name: outcome(load(name), seen[name]) for name in LINES if name in seen}


def told_by(*runs: Mapping[str, Any]) -> Table:
    """The table of runs: what came out, what did not run and why, and on what machine.

    A line that several of them raced is told by the latest, whatever their order here.
    """
    runs = tuple(sorted(runs, key=lambda run: str(run.get("datetime", ""))))
    found: dict[str, Outcome] = {}
    reasons: dict[str, str] = {}
    last: dict[str, int] = {}
    for place, run in enumerate(runs):
        here = outcomes(run)
        found |= here
        reasons |= run.get("not_run", {})
        last |= dict.fromkeys(here, place)
    notes = []
    for place, run in enumerate(runs):
        own = [name for name in LINES if last.get(name) == place]
        told = f"{', '.join(own)}: " if len(runs) > 1 else ""
        notes += [told + machine for machine in machine_of(run) if own]
    return speed_table(found, reasons, notes)


def machine_of(run: Mapping[str, Any]) -> list[str]:
    """`AMD EPYC, 2 cores; cpu, threads of a side: 1; torch 2.13.0; commit 0123456`, or nothing."""
    if not run["benchmarks"]:
        return []
    cpu, about = run["machine_info"]["cpu"], run["benchmarks"][0]["extra_info"]
    code = run["commit_info"]
    commit = f"{str(code.get('id'))[:7]}{', changed' if code.get('dirty') else ''}"
    return [
        f"{cpu.get('brand_raw', 'unknown processor')}, {cpu.get('count', '?')} cores; "
        f"{about['device']}, threads of a side: {about['threads']}; "
        f"torch {about.get('torch', '?')}; commit {commit}"
    ]


def speed_table(
    found: Mapping[str, Outcome],
    reasons: Mapping[str, str] | None = None,
    machine: Sequence[str] = (),
) -> Table:
    """A line of the table each; reasons: line -> why it did not run; machine: a note on it."""
    lines = []
    for name in LINES:
        line = load(name)
        if name in found:
            lines.append(told(line, found[name]))
        elif reasons and name in reasons:
            lines.append(blank(line, reasons[name]))
    return Table("speed", "Speed", pd.DataFrame(lines), (*NOTES, *machine), keys=1)


def told(line: Line, found: Outcome) -> dict[str, str]:
    """A line that ran."""
    return {
        "line": line.name,
        "what": line.measured,
        "sizes": line.sizes,
        "ours": quantity(found.ours, line.unit),
        "peer": f"{quantity(found.peer, line.unit)} ({found.peer_name})",
        "ratio": f"{found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}]",
        "to reach": line.goal,
        "reached": "yes" if found.reached else "no",
        "rounds": str(found.rounds),
    }


def blank(line: Line, reason: str) -> dict[str, str]:
    """A line that did not run."""
    dashes = dict.fromkeys(("ours", "peer", "ratio"), "-")
    return {
        "line": line.name,
        "what": line.measured,
        "sizes": line.sizes,
        **dashes,
        "to reach": line.goal,
        "reached": f"not run: {reason}",
        "rounds": "0",
    }


def quantity(value: float, unit: str) -> str:
    """`12.3 ms`, `45.6 GFLOP/s`, `210 MiB`."""
    scales: Sequence[tuple[float, str]] = [(1, unit)]
    if unit == "s":
        scales = [(1, "s"), (1e-3, "ms"), (1e-6, "µs")]
    elif unit == "FLOP/s":
        scales = [(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1, "FLOP/s")]
    for scale, name in scales:
        if value >= scale:
            return f"{value / scale:.{'0f' if value >= 1000 * scale else '3g'}} {name}"
    return f"{value / scales[-1][0]:.3g} {scales[-1][1]}"
