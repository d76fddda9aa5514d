"""Where a method gains on the reference: by the hardness of lengths, and of single test rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..campaign import Campaign
from ..difficulty import chosen_reference
from ..row_hardness import QUARTILES, Binning, length_gains, row_gains
from ..row_outcomes import cells, keeps_rows
from ..stats.hardness import REGIMES, Bin
from ..tables import Table

GAIN = (
    "Gain: method less reference, percentage points, at the trained budgets, tested at the trained "
    "length, paired by seed; mean over seeds [95 % t interval] (units in the bin, mean over seeds)"
)
BIAS = (
    "Binned by the reference alone, a method just like it seems to gain on hard units, which are "
    "those where the reference was unlucky (regression to the mean): read the fair lines below it"
)
REGIME = "easy: above 95 %, medium: 70 to 95 %, hard: below 70 %"
ENERGY = "Quartiles of the own energy at K = 0 are of every seed's own model"
NO_LENGTHS = "No task here was trained at two lengths by a method and the reference"
NO_ROWS = "These records keep no outcomes of single test rows"


def hardness_tables(campaign: Campaign, reference: str) -> list[Table]:
    """Gains by regimes of lengths, by regimes of rows, and by quartiles of rows."""
    reference, remark = chosen_reference(campaign, reference)
    told = [f"Reference: {reference}", *([remark] if remark else [])]
    regimes, quartiles = row_lines(campaign, reference)
    lengths = [
        line([gains.task, ", ".join(map(str, gains.lengths)), gains.method], binning)
        for gains in length_gains(campaign, reference)
        for binning in gains.binnings
    ]
    few, bare = ([] if lengths else [NO_LENGTHS]), ([] if keeps_rows(campaign) else [NO_ROWS])
    ways = [
        ("lengths", "regimes of lengths", lengths, REGIMES, [REGIME, BIAS, *few]),
        ("rows", "regimes of test rows", regimes, REGIMES, [REGIME, BIAS, *bare]),
        ("quartiles", "quartiles of test rows", quartiles, QUARTILES, [ENERGY, *bare]),
    ]
    return [
        Table(
            f"hardness-{name}",
            f"Gain by hardness: {title}",
            pd.DataFrame(lines, columns=["task", "L", "method", "by", *bins, "seeds"]),
            (*told, GAIN, *notes),
            keys=4,
        )
        for name, title, lines, bins, notes in ways
    ]


def row_lines(campaign: Campaign, reference: str) -> tuple[list[list[str]], list[list[str]]]:
    """The lines of regimes and of quartiles, of every task and trained length; units are rows."""
    regimes: list[list[str]] = []
    quartiles: list[list[str]] = []
    for (task, length), rows in cells(campaign).items():
        for method, binnings in row_gains(campaign, rows, length, reference).items():
            for binning in binnings:
                target = regimes if len(binning.bins) == len(REGIMES) else quartiles
                target.append(line([task, str(length), method], binning))
    return regimes, quartiles


def line(head: Sequence[str], binning: Binning) -> list[str]:
    """One line: what the units are, by what they are binned, a cell a bin, seeds."""
    seeds = max(one.gain.n for one in binning.bins)
    return [*head, binning.by, *map(cell, binning.bins), str(seeds)]


def cell(one: Bin) -> str:
    """`+1.20 [+0.40, +2.00] (312)`, or `-` where no seed has a unit in the bin."""
    if not one.gain.n:
        return "-"
    gain = one.gain
    mean, low, high = (f"{100 * v:+.2f}" for v in (gain.mean, gain.low, gain.high))
    return f"{mean if gain.n < 2 else f'{mean} [{low}, {high}]'} ({one.rows:.4g})"
