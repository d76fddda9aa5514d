"""The interface of a line of the speed table: two sides or more, raced in one process, and a bound.

The first side is ours; the others are peers, or plain forms of the same algorithm. A round runs
every side once, in turn, so that what slows the machine slows all of them; a ratio is taken within
a round. What is told is the median of the rounds' ratios.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..costs import synchronize


@dataclass(frozen=True)
class Side:
    """What is raced: one call of `run`, prepared; it gives its own value, or None to be timed."""

    name: str
    run: Callable[[], float | None]


@dataclass(frozen=True)
class Where:
    """What it runs on."""

    device: torch.device = torch.device("cpu")
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Line:
    """A comparison and what it is to reach.

    measured: what, against what; sizes: at which. unit of the sides' values: s where they are
    timed. bound: of the ratio ours / best peer, which it may not exceed; with at_least, which it
    must reach; with inverse the ratio is peer / ours. rounds after `warm` others that do not count.
    prepare gives the sides, ours first. apart: a side runs in processes of its own, into which no
    profile looks; inside: lines of a profile of its own, where it has one.
    """

    name: str
    measured: str
    bound: float
    prepare: Callable[[Where], Sequence[Side]]
    sizes: str = ""
    unit: str = "s"
    at_least: bool = False
    inverse: bool = False
    rounds: int = 15
    warm: int = 2
    apart: bool = False
    inside: Callable[[Where], list[dict[str, str]]] | None = None

    @property
    def goal(self) -> str:
        """`≤ 1.2`."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass
class Race:
    """The values of every side by round, ours first."""

    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The sides, ours first."""
        return list(self.values)

    def median(self, name: str) -> float:
        """A side's median."""
        return statistics.median(self.values[name])


@dataclass(frozen=True)
class Outcome:
    """A line that was run: the medians, and the ratio to the best peer with its 10 % and 90 %."""

    ours: float
    peer: float
    peer_name: str
    ratio: float
    low: float
    high: float
    rounds: int
    reached: bool


def run_side(side: Side, device: torch.device) -> float:
    """A side's value: its own, or its seconds, the device's queue drained before and after."""
    synchronize(device)
    start = time.perf_counter()
    value = side.run()
    synchronize(device)
    return time.perf_counter() - start if value is None else float(value)


def race(sides: Sequence[Side], rounds: int, warm: int, device: torch.device) -> Race:
    """Run the sides in turn, `rounds` times after `warm` that do not count."""
    found = Race({side.name: [] for side in sides})
    for number in range(warm + rounds):
        for side in sides:
            value = run_side(side, device)
            if number >= warm:
                found.values[side.name].append(value)
    return found


def outcome(line: Line, values: Mapping[str, Sequence[float]]) -> Outcome:
    """Ours against the peer that is best by its median: the smallest, unless more is better.

    More is better where the ratio must reach a bound and is not inverse.

    Raises:
        ValueError: fewer than two sides, or sides of unequal rounds.
    """
    ours, *peers = values
    if not peers or len({len(each) for each in values.values()}) != 1:
        raise ValueError(f"{line.name}: expected two sides or more, of the same rounds")
    medians = {name: statistics.median(values[name]) for name in values}
    best = max if line.at_least and not line.inverse else min
    peer = best(peers, key=medians.__getitem__)
    mine, other = np.asarray(values[ours]), np.asarray(values[peer])
    ratios = other / mine if line.inverse else mine / other
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    reached = middle >= line.bound if line.at_least else middle <= line.bound
    known = math.isfinite(middle)
    return Outcome(
        ours=medians[ours],
        peer=medians[peer],
        peer_name=peer,
        ratio=float(middle),
        low=float(low),
        high=float(high),
        rounds=len(ratios),
        reached=bool(reached and known),
    )
