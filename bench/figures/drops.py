"""What iterations took from the energy and from the loss of single test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..row_outcomes import Array, Cells, Outcomes, load_outcomes
from ..stats.intervals import Interval, seed_interval
from ..stats.slopes import correlation, spearman

SHARES = (0.1, 0.5, 0.9)
NOTHING = Interval(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class Drops:
    """The fall from K = 0 to every budget, [S, K, N]: energy, and nats, of a scored token."""

    outcomes: Outcomes
    energy: Array
    nats: Array

    @property
    def places(self) -> list[int]:
        """Where the trained budget and the largest one stand, never K = 0."""
        last = len(self.outcomes.budgets) - 1
        return sorted({place for place in (self.outcomes.trained, last) if place > 0})

    def rank_correlation(self, place: int) -> Interval:
        """Spearman's correlation of both over test rows, within each seed; over rows if of one."""
        pairs = [
            finite(energy, nats)
            for energy, nats in zip(self.energy[:, place], self.nats[:, place], strict=True)
        ]
        if len(pairs) == 1:
            return spearman(*pairs[0])
        found = [float(correlation(*pair)) for pair in pairs if len(pair[0]) > 1]
        return seed_interval([value for value in found if not np.isnan(value)], -1, 1)


def finite(first: Array, second: Array) -> tuple[Array, Array]:
    """The pairs of which both are finite."""
    kept = np.isfinite(first) & np.isfinite(second)
    return first[kept], second[kept]


def drops_of(outcomes: Outcomes | None) -> Drops | None:
    """The drops of outcomes with an energy, K = 0 and another budget; else None."""
    if outcomes is None or outcomes.energy is None:
        return None
    if outcomes.budgets[0] != 0 or len(outcomes.budgets) < 2:
        return None
    energy, nats = outcomes.energy, outcomes.nats / outcomes.scored
    return Drops(outcomes, energy[:, :1] - energy, nats[:, :1] - nats)


def longest_with_energy(
    campaign: Campaign, by_rows: Cells, task: str
) -> tuple[int, dict[str, Drops]]:
    """The longest trained length of a task at which rows have an energy, and what they dropped.

    Side files are opened only of records whose scores tell of an energy.
    """
    for (name, length), rows in sorted(by_rows.items(), reverse=True):
        found = {}
        for method, records in rows.items() if name == task else ():
            told = [r for r in records if any("energy" in line[5:6] for line in r.metrics)]
            drops = drops_of(load_outcomes(campaign, told, length))
            if drops is not None:
                found[method] = drops
        if found:
            return length, found
    return 0, {}


def row_table(method: str, drops: Drops) -> pd.DataFrame:
    """A line a drawn budget, seed and test row."""
    rows = np.arange(drops.energy.shape[2])
    parts = [
        pd.DataFrame(
            {
                "method": method,
                "iterations": drops.outcomes.budgets[place],
                "seed": seed,
                "row": rows,
                "energy_drop": drops.energy[s, place],
                "loss_drop": drops.nats[s, place],
            }
        )
        for place in drops.places
        for s, seed in enumerate(drops.outcomes.seeds)
    ]
    return pd.concat(parts, ignore_index=True)


def curve_table(method: str, drops: Drops) -> pd.DataFrame:
    """A line a budget: quantiles over rows and seeds of the energy since K = 0, and ρ there."""
    lines = []
    for place, budget in enumerate(drops.outcomes.budgets):
        since = -drops.energy[:, place]
        known = since[np.isfinite(since)]
        low, middle, high = np.quantile(known, SHARES) if len(known) else [np.nan] * 3
        rho = drops.rank_correlation(place) if place else NOTHING
        lines.append([method, budget, low, middle, high, rho.mean, rho.low, rho.high, rho.n])
    names = ["method", "iterations", "low", "mean", "high", "rho", "rho_low", "rho_high", "rho_n"]
    return pd.DataFrame(lines, columns=names)
