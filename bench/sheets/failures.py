"""What did not finish: how every row's trials ended, and each failure with its reason."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from ..campaign import Campaign
from ..conditions import conditions
from ..side_tables import failure_table
from ..tables import Table
from ..trial import OK, STATUSES


def failure_tables(campaign: Campaign, reference: str) -> list[Table]:
    """How trials ended by row, and the list of those without scores where there are any."""
    broken = [record for record in campaign.records if record.status != OK]
    tables = [standing_table(campaign)]
    return [*tables, failure_table(campaign.trials, broken)] if broken else tables


def standing_table(campaign: Campaign) -> Table:
    """One line a row: planned trials, how many ended in each status, how many are missing."""
    planned = Counter(trial.row for trial in campaign.trials)
    ended = Counter((record.trial.row, record.status) for record in campaign.records)
    seen = [name for name in STATUSES if name == OK or any(s == name for _, s in ended)]
    rows = []
    for row in campaign.rows:
        counts = [ended[row, status] for status in seen]
        rows.append([row, planned[row], *counts, planned[row] - sum(counts)])
    columns = ["method", "planned", *seen, "missing"]
    frame = pd.DataFrame(rows, columns=columns).astype(str)
    note = (
        "Trials by how they ended; missing: planned, no record in; "
        + conditions(campaign.trials, campaign.records),
        *campaign.remarks,
    )
    return Table("standing", "How the planned trials ended", frame, note)
