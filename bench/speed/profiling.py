"""Where a line's time goes: torch's own profile of every side, operation by operation."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from torch.profiler import ProfilerActivity, profile

from ..costs import synchronize
from ..errors import Misuse
from ..tables import Table
from .line import Line, Side, Where
from .report import quantity

RUNS, SHOWN = 5, 12
"""Calls that are profiled, after one that is not; and operations that are shown a side."""


def profile_table(line: Line, where: Where) -> Table:
    """The costliest operations of each side by the time spent in themselves, a call.

    Of a line that has an inside, what that tells.

    Raises:
        Misuse: the line runs in processes of its own and has no inside.
    """
    if line.inside is not None:
        return told(line, line.inside(where), "CPU seconds of one seed, cut to ten updates a trial")
    if line.apart:
        raise Misuse(
            f"speed line {line.name} runs in processes of its own: expected --profile of another"
        )
    lines = [each for side in line.prepare(where) for each in operations(side, where)]
    note = f"mean of {RUNS} calls under torch's profiler, which slows them; self: without the "
    note += "operations that it calls; the last line of a side is all others"
    return told(line, lines, note)


def told(line: Line, lines: list[dict[str, str]], note: str) -> Table:
    """A line's profile as a table."""
    title = f"Where the time of {line.name} goes"
    notes = (f"{line.measured}, {line.sizes}; {note}",)
    return Table(f"speed-profile-{line.name}", title, pd.DataFrame(lines), notes)


def operations(side: Side, where: Where) -> Iterator[dict[str, str]]:
    """The costliest operations of a side first, then all others together."""
    cuda = where.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    side.run()
    synchronize(where.device)
    with profile(activities=kinds) as seen:
        for _ in range(RUNS):
            side.run()
        synchronize(where.device)
    own = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda event: -getattr(event, own))
    spent = {event.key: (getattr(event, own) / RUNS / 1e6, event.count) for event in events}
    whole = sum(seconds for seconds, _ in spent.values())
    shown = dict(list(spent.items())[:SHOWN])
    rest = [value for name, value in spent.items() if name not in shown]
    shown["others"] = (sum(s for s, _ in rest), sum(n for _, n in rest))
    for name, (seconds, calls) in shown.items():
        yield {
            "side": side.name,
            "operation": name,
            "self": quantity(seconds, "s"),
            "share, %": f"{100 * seconds / whole:.1f}",
            "calls": f"{calls / RUNS:g}",
        }
