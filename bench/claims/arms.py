"""Every arm of EqT-plus that was tried, at one budget, in one table: preset `plus`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..campaign import Campaign
from ..stats.intervals import seed_interval
from ..tables import Table, cell
from .a1 import BUDGET, MOST, ONE, ROW
from .evidence import Evidence
from .findings import number
from .pairing import TASK, Scores, Side, difference, lengths_of, records_of, score

PRESET = "plus"
BUDGETS = (0, ONE, BUDGET, MOST)


def arms_table(evidence: Evidence) -> list[Table]:
    """A line an arm and length, the row that is shipped first; none without records of the preset.

    Token accuracy in percent at each budget, whole rows at K = 8, the paired difference from the
    shipped row, and training FLOPs as a multiple of its own.
    """
    campaign = evidence.campaign(PRESET)
    if campaign is None:
        return []
    rows = sorted(campaign.rows, key=lambda row: (row != ROW, row))
    lines = [line(campaign, row, length) for length in lengths_of(campaign) for row in rows]
    notes = (
        f"Preset {PRESET}, {TASK}, {campaign.seeds} seeds planned: tokens right in percent, mean "
        "over seeds [95 % t interval], of the same weights at each K; whole: rows without an error",
        f"differs in: options other than those of {ROW}, which was fixed before this run",
        "trials: the first eight digits of their ids; the csv has every one",
    )
    return [Table("claim-a1-arms", "Every arm of EqT-plus, one budget", pd.DataFrame(lines), notes)]


def line(campaign: Campaign, row: str, length: int) -> dict[str, str]:
    """An arm's cells; `-` where no trial of it has scores."""
    records = records_of(campaign, row, TASK, length)
    planned = [t for t in campaign.trials if (t.row, t.length) == (row, length)]
    told = {"arm": row, "differs in": changed(campaign, row, length), "L": str(length)}
    for budget in BUDGETS:
        told[f"K = {budget}"] = percents(score(campaign, Side(row, budget), TASK, length, "token"))
    whole = score(campaign, Side(row, BUDGET), TASK, length, "sequence")
    told[f"whole, K = {BUDGET}"] = percents(whole)
    made = difference(campaign, Side(row, BUDGET), Side(ROW, BUDGET), TASK, length, "token")
    told[f"less {ROW}, K = {BUDGET}"] = (
        "-" if made is None or row == ROW else cell(made.figure, True)
    )
    own, base = (
        [float(each.costs["train_flops"]) for each in records_of(campaign, name, TASK, length)]
        for name in (row, ROW)
    )
    told["training FLOPs, ×"] = number(own[0] / base[0]) if own and base else "-"
    told["seeds"] = f"{len(records)}/{len(planned)}"
    told["trials"] = " ".join(record.trial.id[:8] for record in records) or "-"
    return told


def percents(scores: Scores) -> str:
    """Mean and interval over seeds."""
    return cell(seed_interval(list(scores.values.values()), 0, 100), True)


def changed(campaign: Campaign, row: str, length: int) -> str:
    """`write=free`: the options in which an arm differs from the row that is shipped."""
    own, base = (options(campaign, name, length) for name in (row, ROW))
    return ", ".join(f"{key}={own[key]}" for key in sorted(own) if own[key] != base.get(key)) or "-"


def options(campaign: Campaign, row: str, length: int) -> Mapping[str, Any]:
    """A row's options."""
    for trial in campaign.trials:
        if (trial.row, trial.length) == (row, length):
            return trial.method_options
    return {}
