"""Every trial of the plan, for the list; and its whole configuration, for a look at one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from ..campaign import Campaign
from ..trial import OK, Record, Trial
from .board import span
from .packing import Pool

NOT_RUN = "not run"
PARTS = ("costs", "environment", "data", "weights", "rows", "schema")
"""What of a record is told beside its trial: all but the counts, the curves and the traces."""


def trial_list(campaign: Campaign, own: pd.DataFrame) -> pd.DataFrame:
    """One line a planned trial; score: its own, in percent, at the trained length and budget."""
    at = own[own["trained"] & (own["length"] == own["trained_length"]) & (own["status"] == OK)]
    scored = dict(zip(at["trial_id"], (100 * at["value"]).round(2), strict=True))
    lines = []
    for trial in campaign.trials:
        record = campaign.by_id.get(trial.id)
        lines.append(
            {
                "task": trial.question,
                "method": trial.row,
                "trained_length": trial.length,
                "trained_on": span(trial.trained_on),
                "seed": trial.seed,
                "status": record.status if record else NOT_RUN,
                "score": scored.get(trial.id),
                "reason": record.reason if record else "",
                "id": trial.id,
            }
        )
    return pd.DataFrame(lines)


def configurations(campaign: Campaign, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
    """Trial i of the plan is `pool[trials[i]]`; parts are those of a record that are kept."""
    pool = Pool()
    places = [
        pool.add(configuration(trial, campaign.by_id.get(trial.id), parts))
        for trial in campaign.trials
    ]
    return {"pool": pool.entries, "trials": places}


def configuration(trial: Trial, record: Record | None, parts: tuple[str, ...]) -> dict[str, Any]:
    """What a reader must know to run the trial again, and what it cost."""
    asked = {f.name: getattr(trial, f.name) for f in fields(trial)}
    if record is None:
        return {"trial_id": trial.id, "status": NOT_RUN, "trial": asked}
    kept = {name: getattr(record, name) for name in parts}
    if "data" in kept:
        kept["data"] = {length: hashes(told) for length, told in kept["data"].items()}
    head = {"trial_id": trial.id, "status": record.status, "reason": record.reason}
    return {**head, "trial": asked, **kept}


def hashes(told: Mapping[str, Any]) -> dict[str, Any]:
    """A test set without the counts of its rules."""
    return {name: value for name, value in told.items() if name != "rules"}
