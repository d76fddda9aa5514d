"""Is it the method or the compute: scores with what they cost, beside rows that cost as much.

Four tables: the score at the trained budget with costs as multiples of the reference's and the
reference family's row of like cost; the score over inference FLOPs; the compute to a target.
FLOPs are torch's counts (costs.py); seconds stand only where no other trial shared the device.
"""

from __future__ import annotations

import bisect
from collections.abc import Container, Mapping, Sequence

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..conditions import devices
from ..scores import scores
from ..tables import Table
from .anytime import anytime_tables
from .budgets import Place, Spent, multiple, spendings
from .gather import closing, reference_row, trained_scores, without_blank
from .pairs import by_cell, score_text
from .targets import target_table

KINDS = ("training", "parameters")
"""What a row of the reference's family is matched by."""
NEAR = 1.25
"""A row counts as matched up to this ratio of costs, either way."""


def compute_tables(campaign: Campaign, reference: str) -> list[Table]:
    """Costs and matches, anytime curves of tasks where a row iterates, compute to target."""
    found, (row, remarks) = scores(campaign), reference_row(campaign, reference)
    costs = spendings(campaign)
    if not costs:
        return []
    tables = [cost_sheet(campaign, found, costs, row, remarks)]
    tables += anytime_tables(campaign, found, costs)
    return [*tables, *target_table(campaign, row)]


def cost_sheet(
    campaign: Campaign,
    found: pd.DataFrame,
    costs: Mapping[Place, Spent],
    reference: str,
    remarks: Sequence[str],
) -> Table:
    """One line a task, trained length and row, at the trained budget."""
    mine = trained_scores(found)
    values, failed = by_cell(mine)
    keys = zip(mine["task"], mine["trained_length"], mine["method"], strict=True)
    budgets = dict(zip(keys, mine["iterations"], strict=True))
    texts = {place: score_text(values[place], failed.get(place, [])) for place in sorted(values)}
    families = family_places(campaign, reference, values)
    priced = {
        (key, kind): sorted(
            (getattr(costs[p], kind), p)
            for p in family
            if p in costs and getattr(costs[p], kind) > 0
        )
        for key, family in families.items()
        for kind in KINDS
    }
    rows = []
    for place, score in texts.items():
        task, length, row = place
        base = costs.get((task, length, reference))
        head = [task, str(length), row, str(budgets[place]), score]
        own = place in families.get(place[:2], ())
        matches = (
            "of the family" if own else matched(costs.get(place), kind, priced, place[:2])
            for kind in KINDS
        )
        cells = (match_text(match, texts) for match in matches)
        rows.append([*head, *cost_cells(costs.get(place), base, budgets, place, reference), *cells])
    columns = ["task", "L", "method", "K", "score, %", "parameters", "training FLOPs"]
    columns += ["FLOPs/answer", "training s", "us/token"]
    columns += [f"{reference} family at its training FLOPs", "at its parameters"]
    frame = pd.DataFrame(rows, columns=columns)
    notes = (*remarks, *notes_of(campaign, costs, reference))
    title = f"Scores and what they cost, against {reference}"
    return Table("compute", title, without_blank(frame), notes, keys=3)


def family_places(
    campaign: Campaign, reference: str, scored: Container[Place]
) -> dict[tuple[str, int], set[Place]]:
    """(task, length) -> the scored places of the rows of the reference's own method."""
    methods = {trial.row: trial.method for trial in campaign.trials}
    found: dict[tuple[str, int], set[Place]] = {}
    for trial in campaign.trials:
        place = (trial.question, trial.length, trial.row)
        if trial.method == methods[reference] and place in scored:
            found.setdefault(place[:2], set()).add(place)
    return found


def matched(
    mine: Spent | None,
    kind: str,
    priced: Mapping[tuple[tuple[str, int], str], Sequence[tuple[float, Place]]],
    key: tuple[str, int],
) -> tuple[Place, float] | str:
    """The family's place nearest in cost, with the ratio of its cost; or why there is none."""
    family, cost = priced.get((key, kind), ()), getattr(mine, kind) if mine else np.nan
    if not family or not cost > 0:
        return "-"
    at = bisect.bisect_left(family, (cost,))
    near = [(theirs / cost, place) for theirs, place in family[max(at - 1, 0) : at + 1]]
    ratio, place = min(near, key=lambda pair: max(pair[0], 1 / pair[0]))
    if not 1 / NEAR <= ratio <= NEAR:
        return f"none within {100 * (NEAR - 1):.0f} %"
    return place, ratio


def match_text(match: tuple[Place, float] | str, texts: Mapping[Place, str]) -> str:
    """`98.10 [97.02, 99.18] (transformer-depth3, 1.04×)`."""
    if isinstance(match, str):
        return match
    place, ratio = match
    return f"{texts[place]} ({place[2]}, {ratio:.2f}×)"


def cost_cells(
    mine: Spent | None,
    base: Spent | None,
    budgets: Mapping[Place, int],
    place: Place,
    reference: str,
) -> list[str]:
    """Parameters, training FLOPs, FLOPs per answer with multiples; seconds where they count."""
    if mine is None:
        return ["-"] * 3 + [""] * 2
    budget = int(budgets[place])
    theirs = int(budgets.get((place[0], place[1], reference), 0))
    star = " *" if mine.form else ""
    answering = multiple(mine.answering.get(budget), base.answering.get(theirs) if base else None)
    times = mine.microseconds
    return [
        multiple(mine.parameters, base.parameters if base else None, counted=True),
        multiple(mine.training, base.training if base else None),
        answering + star,
        f"{mine.seconds:.1f}" if mine.seconds == mine.seconds else "",
        f"{times[budget]:.2f}" if budget in times else "",
    ]


def notes_of(campaign: Campaign, costs: Mapping[Place, Spent], reference: str) -> list[str]:
    """How to read the table."""
    notes = [
        "Score: the task's own metric at the trained length and budget K, mean over seeds [95 % t "
        f"interval]; costs: medians over seeds, (×) of {reference}'s; "
        "FLOPs/answer: inference per scored token at K; the last columns: the score of the row of "
        f"{reference}'s own method whose cost is nearest, with its name and its cost over this "
        f"row's, at most {100 * (NEAR - 1):.0f} % away by ratio"
    ]
    together = [spent for spent in costs.values() if spent.shared]
    if together:
        notes.append(
            f"Seconds are blank where the device was shared, {len(together)} of {len(costs)} "
            f"lines ({devices(campaign.records)}, more than one trial at once)"
        )
    forms = sorted({spent.form for spent in costs.values() if spent.form})
    if forms:
        notes.append(
            f"* asked in another form ({'; '.join(forms)}): the FLOPs of all its positions count"
        )
    return [*notes, closing(campaign)]
