"""The outcomes of single test rows as aligned arrays: row i is the same question everywhere.

Two trials were asked the same rows where the SHA-256 of their test sets agree; the side files hold
the first outcomes.KEPT rows. Records without side files give nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .campaign import Campaign
from .overview import trained_budget
from .trial import OK, Record

Array = NDArray[np.float64]
Cells = dict[tuple[str, int], dict[str, list[Record]]]


@dataclass(frozen=True)
class Outcomes:
    """What a row of the tables scored on single test rows: seeds S, budgets K, test rows N.

    scored [N]: tokens; right and nats [S, K, N]: right tokens and summed nats, NaN where a logit
    was not finite; energy [S, K, N] or None; trained: the place of the trained budget. Test rows
    without a scored token are left out. rows: SHA-256 of the test set.
    """

    rows: str
    seeds: tuple[int, ...]
    budgets: tuple[int, ...]
    trained: int
    scored: Array
    right: Array
    nats: Array
    energy: Array | None

    def accuracy(self, place: int | None = None) -> Array:
        """Share of right tokens, [S, N], at the trained budget or at the one in `place`."""
        return self.right[:, self.trained if place is None else place] / self.scored

    def loss(self, place: int | None = None) -> Array:
        """Nats per scored token, [S, N]."""
        return self.nats[:, self.trained if place is None else place] / self.scored

    def of(self, seeds: Sequence[int]) -> Outcomes:
        """The outcomes of some of its seeds, in their order."""
        kept = [self.seeds.index(seed) for seed in seeds]
        right, nats = self.right[kept], self.nats[kept]
        energy = None if self.energy is None else self.energy[kept]
        return replace(self, seeds=tuple(seeds), right=right, nats=nats, energy=energy)


def cells(campaign: Campaign) -> Cells:
    """(task, trained length) -> row -> its records with scores, by seed."""
    found: Cells = {}
    for record in sorted(campaign.records, key=lambda record: record.trial.seed):
        trial = record.trial
        if record.status == OK:
            rows = found.setdefault((trial.question, trial.length), {})
            rows.setdefault(trial.row, []).append(record)
    return dict(sorted(found.items()))


def keeps_rows(campaign: Campaign) -> bool:
    """Whether any record has a side file of single rows."""
    return any(record.rows for record in campaign.records)


@dataclass(frozen=True)
class SideFile:
    """One seed's arrays at one test length, by name (outcomes.py), and its test set's SHA-256."""

    record: Record
    rows: str
    arrays: dict[str, np.ndarray]

    def asks_like(self, other: SideFile) -> bool:
        """Whether both are of one test set at the same budgets."""
        same = (np.array_equal(self.arrays[n], other.arrays[n]) for n in ("budgets", "scored"))
        return self.rows == other.rows and all(same)


def load_outcomes(campaign: Campaign, records: Sequence[Record], length: int) -> Outcomes | None:
    """One row's outcomes at a test length; None where no side file has them.

    Seeds of another test set, or of other budgets, than the first that has a side file are left
    out: a row has both in common unless its trials were planned twice.
    """
    loaded = [file for record in records if (file := side_file(campaign, record, length))]
    files = [file for file in loaded if file.asks_like(loaded[0])]
    if not files:
        return None
    first = files[0].arrays
    budgets = tuple(int(budget) for budget in first["budgets"])
    kept = first["scored"] > 0
    return Outcomes(
        rows=files[0].rows,
        seeds=tuple(file.record.trial.seed for file in files),
        budgets=budgets,
        trained=budgets.index(trained_budget([file.record for file in files], budgets)),
        scored=first["scored"][kept].astype(float),
        right=stack(files, "right", kept),
        nats=stack(files, "nats", kept),
        energy=stack(files, "energy", kept) if all("energy" in f.arrays for f in files) else None,
    )


def side_file(campaign: Campaign, record: Record, length: int) -> SideFile | None:
    """A record's arrays at a test length; None where it kept none."""
    arrays = campaign.store.load_rows(record) if record.rows else {}
    start = f"{length}/"
    found = {n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)}
    if not found.keys() >= {"budgets", "scored", "right", "nats"}:
        return None
    return SideFile(record, str(record.data.get(str(length), {}).get("sha256", "")), found)


def stack(files: Sequence[SideFile], name: str, kept: NDArray[np.bool_]) -> Array:
    """An array [K, N] of every seed as one [S, K, N], of the kept rows."""
    return np.stack([file.arrays[name][:, kept] for file in files]).astype(float)


def paired(
    candidate: Outcomes | None, reference: Outcomes | None
) -> tuple[Outcomes, Outcomes] | None:
    """Both on the seeds that both have; None where they were not asked the same rows."""
    if candidate is None or reference is None or candidate.rows != reference.rows:
        return None
    seeds = sorted(set(candidate.seeds) & set(reference.seeds))
    return (candidate.of(seeds), reference.of(seeds)) if seeds else None
