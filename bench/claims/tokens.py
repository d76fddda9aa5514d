"""Single tokens of the first test rows, at every budget, from a trial's side file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..campaign import Campaign
from ..trial import Record

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tokens:
    """Scored tokens [N] by budget: right, nats, entropy, energy [K, N] (None without one)."""

    budgets: tuple[int, ...]
    right: Array
    nats: Array
    entropy: Array
    energy: Array | None

    def at(self, budget: int) -> int:
        """The place of a budget.

        Raises:
            ValueError: it was not scored.
        """
        return self.budgets.index(budget)


def tokens_of(campaign: Campaign, record: Record) -> Tokens | None:
    """A record's tokens at its trained length; None where it kept none."""
    rows, head = campaign.store.load_rows(record), f"{record.trial.length}/"
    if f"{head}tokens/nats" not in rows:
        return None
    scored = rows[f"{head}tokens/scored"].astype(bool)

    def flat(name: str) -> Array:
        return rows[f"{head}tokens/{name}"][:, scored].astype(float)

    return Tokens(
        tuple(int(k) for k in rows[f"{head}budgets"]),
        flat("right"),
        flat("nats"),
        flat("entropy"),
        flat("energy") if f"{head}tokens/energy" in rows else None,
    )
