"""EqT against a reference: accuracies, paired gains, losses and regimes of one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..stats.hardness import gain_by_mean, gain_by_reference
from ..stats.intervals import Interval
from ..stats.paired import paired_difference
from .summaries import chance_levels, percent
from .training import medians

BUDGET = 8
"""The iterations of the paper's Table 2."""


@dataclass(frozen=True)
class Duel:
    """EqT and the reference on one task: token accuracy of every row by length, seed and budget.

    lengths: those at which both were trained; seeds: those that both have at each of them.
    """

    task: str
    row: str
    reference: str
    scores: pd.DataFrame
    lengths: list[int]
    seeds: list[int]
    budget: int

    def matrix(self, row: str) -> np.ndarray:
        """Accuracy of a row, [seeds, lengths]."""
        mine = self.scores[self.scores["method"] == row]
        table = mine.pivot(index="seed", columns="length", values="value")
        return table.loc[self.seeds, self.lengths].to_numpy()


def duel(found: pd.DataFrame, task: str, row: str, reference: str) -> Duel:
    """What both have of one task; EqT at the paper's budget where it was scored there."""
    mine = found["method"] == row
    budgets = set(found[mine]["iterations"])
    at_eight = BUDGET in budgets and row != reference
    chosen = found["iterations"] == BUDGET if at_eight else found["trained"]
    kept = found[np.where(mine, chosen, found["trained"])]
    pair = kept[kept["method"].isin([row, reference])]
    counts = pair.groupby("length")["method"].nunique()
    lengths = sorted(int(length) for length in counts[counts == 2].index)
    inside = pair[pair["length"].isin(lengths)].groupby("seed").size()
    seeds = sorted(inside[inside == 2 * len(lengths)].index)
    budget = max(kept[kept["method"] == row]["iterations"], default=0)
    return Duel(task, row, reference, kept, lengths, seeds, int(budget))


def accuracies(one: Duel, rows: Sequence[str]) -> pd.DataFrame:
    """(a): token accuracy by row and length, and chance."""
    chosen = one.scores[one.scores["method"].isin(rows)]
    return pd.concat([percent(chosen, ["method", "length"]), chance_levels(chosen)])


def gains(one: Duel) -> pd.DataFrame:
    """(b): the gain in points by length, paired by seed."""
    ours, theirs = 100 * one.matrix(one.row), 100 * one.matrix(one.reference)
    found = [paired_difference(ours[:, i], theirs[:, i]) for i in range(len(one.lengths))]
    return intervals({"method": one.row, "length": one.lengths}, found)


def losses(campaign: Campaign, one: Duel) -> pd.DataFrame:
    """(c): the training loss of both at the longest length; empty where no record has it."""
    table = medians(campaign, one.task, [one.row, one.reference])
    at = (table["trained_length"] == one.lengths[-1]) & (table["measure"] == "loss")
    return table[at].rename(columns={"trained_length": "length"})


def regimes(one: Duel) -> pd.DataFrame:
    """(d): the mean gain in points over the lengths of a regime, both ways of sorting them."""
    ours, theirs = one.matrix(one.row), one.matrix(one.reference)
    found = {"reference": gain_by_reference(ours, theirs), "mean": gain_by_mean(ours, theirs)}
    parts = [
        intervals(
            {
                "method": one.row,
                "binned_by": key,
                "regime": [part.name for part in bins],
                "lengths": [part.rows for part in bins],
            },
            [part.gain for part in bins],
            100,
        )
        for key, bins in found.items()
    ]
    return pd.concat(parts, ignore_index=True)


def intervals(head: dict[str, object], found: Sequence[Interval], unit: float = 1) -> pd.DataFrame:
    """Columns of a head, then mean, limits and seeds of intervals."""
    numbers = {
        "mean": [unit * one.mean for one in found],
        "low": [unit * one.low for one in found],
        "high": [unit * one.high for one in found],
        "seeds": [one.n for one in found],
    }
    return pd.DataFrame({**head, **numbers})
