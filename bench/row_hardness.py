"""Gains of a row over the reference by hardness, asked in several ways, some of them unfair.

Units are the single test rows of one length, or the trained lengths; values are the accuracies of
each unit. What each way is worth stands in stats/hardness.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .campaign import Campaign
from .difficulty import measure, strata_scores, tasks_by_name
from .row_outcomes import Array, Outcomes, load_outcomes, paired
from .stats.hardness import (
    Bin,
    binned_gain,
    gain_by_mean,
    gain_by_reference,
    gain_cross_fitted,
    mean_of_others,
    quantile_bins,
)
from .trial import Record

QUARTILES = ("1st (easiest)", "2nd", "3rd", "4th (hardest)")

BY_REFERENCE = "the reference alone (biased)"
BY_MEAN = "mean of both"
CROSS_FITTED = "the reference's other seeds"
BY_LOSS = "the reference's loss, other seeds"
BY_ENERGY = "energy of the own proposal"

REGIMES: Mapping[str, Callable[[Array, Array], list[Bin]]] = {
    BY_REFERENCE: gain_by_reference,
    BY_MEAN: gain_by_mean,
    CROSS_FITTED: gain_cross_fitted,
}
"""What a unit's accuracy is taken from -> gains in the paper's regimes."""


@dataclass(frozen=True)
class Binning:
    """One way to ask which units are hard, and the gain in each bin, in shares."""

    by: str
    bins: Sequence[Bin]

    @property
    def empty(self) -> bool:
        """Whether no bin has a unit, as where one seed has no others."""
        return not any(one.gain.n for one in self.bins)


def regime_binnings(candidate: Array, reference: Array) -> list[Binning]:
    """The three ways to put units into easy, medium and hard; accuracies [S, N] of both."""
    return [Binning(by, function(candidate, reference)) for by, function in REGIMES.items()]


def row_binnings(candidate: Outcomes, reference: Outcomes) -> list[Binning]:
    """Regimes, then quartiles of the reference's loss and of the candidate's energy at K = 0."""
    first, second = candidate.accuracy(), reference.accuracy()
    gains = first - second
    found = regime_binnings(first, second)
    found.append(quartiles(BY_LOSS, gains, mean_of_others(reference.loss())))
    if candidate.energy is not None and candidate.budgets[0] == 0:
        found.append(quartiles(BY_ENERGY, gains, candidate.energy[:, 0]))
    return found


def quartiles(by: str, gains: Array, hardness: Array) -> Binning:
    """Gains [S, N] in the quartiles of a hardness that every seed has of its own, [S, N]."""
    places = [quantile_bins(scores, len(QUARTILES))[0] for scores in hardness]
    return Binning(by, binned_gain(gains, np.stack(places), QUARTILES))


def row_gains(
    campaign: Campaign, rows: Mapping[str, Sequence[Record]], length: int, reference: str
) -> dict[str, list[Binning]]:
    """Method -> its binnings by single test rows, of those that were asked the reference's rows.

    rows: the records of one task and trained length by row of the tables, as row_outcomes.cells.
    """
    base = load_outcomes(campaign, rows.get(reference, []), length)
    found = {}
    for method in sorted(set(rows) - {reference}) if base else ():
        pair = paired(load_outcomes(campaign, rows[method], length), base)
        if pair is not None:
            found[method] = row_binnings(*pair)
    return found


@dataclass(frozen=True)
class LengthGains:
    """A method's gains by regimes of the lengths that it and the reference were trained at."""

    task: str
    method: str
    lengths: Sequence[int]
    binnings: Sequence[Binning]


def length_gains(campaign: Campaign, reference: str) -> list[LengthGains]:
    """Every method's gains over lengths, by the task's own metric where it is a share.

    At the trained budgets, tested at the trained lengths; none where fewer than two are shared.
    """
    whole = strata_scores(campaign, whole=True)
    whole = whole[whole["trained"].astype(bool) & (whole["length"] == whole["trained_length"])]
    found = []
    for name, task in tasks_by_name(campaign).items():
        metric = task.metric if task else "token"
        mine = whole[(whole["task"] == name) & (whole["metric"] == metric)]
        for method in sorted(set(mine["method"]) - {reference}):
            values = length_values(mine, method, reference)
            if values is not None and measure(task, metric).ceiling == 100:
                first, second, lengths = values
                binnings = regime_binnings(first, second)
                found.append(LengthGains(name, method, lengths, binnings))
    return found


def length_values(
    whole: pd.DataFrame, method: str, reference: str
) -> tuple[Array, Array, list[int]] | None:
    """Scores of both by seed and trained length, [S, N] each, and the lengths; None under two.

    Seeds that lack a length are left out.
    """
    tables = [
        whole[whole["method"] == row].pivot(index="seed", columns="length", values="value")
        for row in (method, reference)
    ]
    lengths = sorted(set(tables[0].columns) & set(tables[1].columns))
    kept = [table[lengths].dropna() for table in tables]
    seeds = sorted(set(kept[0].index) & set(kept[1].index))
    if len(lengths) < 2 or not seeds:
        return None
    first, second = (table.loc[seeds].to_numpy(dtype=float) for table in kept)
    return first, second, [int(length) for length in lengths]
