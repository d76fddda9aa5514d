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

    Raises:
        Misuse: the line runs in processes of its own.
    """
    if line.apart:
        raise Misuse(
            f"speed line {line.name} runs in processes of its own: expected --profile of another"
        )
    lines = [each for side in line.prepare(where) for each in operations(side, where)]
    notes = (
        f"{line.measured}, {line.sizes}; mean of {RUNS} calls under torch's profiler, which slows "
        "them; self: without the operations that it calls; the last line of a side is all others",
    )
    return Table(
        f"speed-profile-{line.name}",
        f"Where the time of {line.name} goes",
        pd.DataFrame(lines),
        notes,
    )


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
