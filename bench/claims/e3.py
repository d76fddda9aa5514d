"""E3: the gain is not just parameters or compute.

EqT against transformers with its parameters, its further LayerNorm, its training FLOPs and more
depth, and against a loop; then every row at the learning rate that suits it, and at ten times the
updates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..campaign import Campaign
from ..tables import engineering
from ..trial import OK, Record
from .claim import Claim, Finding, not_run
from .e2 import planned
from .evidence import Evidence
from .findings import POINTS, compared, found
from .pairing import (
    TASK,
    Scores,
    Side,
    averaged,
    difference,
    lengths_of,
    paired,
    score,
    wanted,
)
from .plots import compute

ROW, BUDGET = "eqt", 8
MATCHED = {
    "transformer-depth3": "training FLOPs",
    "transformer-depth4": "two more blocks",
    "transformer-feed": "parameters",
    "transformer-norm": "one more LayerNorm",
    "looped": "a loop without an energy",
}
HEADLINES = ("transformer-depth3", "transformer-feed")
RATES, LONG = "small-rates", "small-long"


def examine(evidence: Evidence) -> list[Finding]:
    """Each control over its lengths, then length by length, then the sweeps."""
    campaign = evidence.main
    if campaign is None:
        return [
            not_run(f"EqT − {row}", POINTS, wanted("small", [ROW, row]), headline=True)
            for row in HEADLINES
        ]
    return [
        *(overall(campaign, row) for row in MATCHED),
        *(each for row in MATCHED for each in by_length(campaign, row)),
        *tuned(evidence),
        *longer(evidence),
    ]


def overall(campaign: Campaign, row: str) -> Finding:
    """The mean difference over the lengths at which both were planned."""
    lengths = [n for n in lengths_of(campaign) if both_planned(campaign, row, n)]
    parts = [difference(campaign, Side(ROW, BUDGET), Side(row), TASK, n) for n in lengths]
    seen = [part for part in parts if part is not None]
    whole = averaged(seen) if len(seen) == len(parts) else None
    told = ", ".join(map(str, lengths))
    return found(
        f"EqT at K = {BUDGET} − {row} ({MATCHED[row]}), {TASK} {told}",
        POINTS,
        whole,
        wanted(campaign.preset, [ROW, row]),
        headline=row in HEADLINES,
        note=costs(campaign, row),
    )


def both_planned(campaign: Campaign, row: str, length: int) -> bool:
    """Whether EqT and the control are asked parity of a length."""
    return all(planned(campaign, name, TASK, length) for name in (ROW, row))


def by_length(campaign: Campaign, row: str) -> Iterator[Finding]:
    """The difference at every length."""
    for length in lengths_of(campaign):
        if both_planned(campaign, row, length):
            yield compared(campaign, Side(ROW, BUDGET), Side(row), TASK, length)


def costs(campaign: Campaign, row: str) -> str:
    """What EqT has of the control's parameters and training FLOPs, at the longest common length."""
    told = []
    for length in reversed(lengths_of(campaign)):
        mine, other = (first(campaign, name, length) for name in (ROW, row))
        if mine and other:
            for name, key in (("parameters", "parameters"), ("training FLOPs", "train_flops")):
                a, b = float(mine.costs[key]), float(other.costs[key])
                told.append(f"{name} {engineering(a)} to {engineering(b)}")
            break
    return ", ".join(told)


def first(campaign: Campaign, row: str, length: int) -> Record | None:
    """A finished record of a row."""
    wished = (row, TASK, length)
    for record in campaign.records:
        trial = record.trial
        if record.status == OK and (trial.row, trial.question, trial.length) == wished:
            return record
    return None


# ---- sweeps ------------------------------------------------------------------------------------


def tuned(evidence: Evidence) -> Iterator[Finding]:
    """EqT minus the others, every row and seed at the learning rate that validation picks."""
    sweep, main = evidence.campaign(RATES), evidence.main
    assert main is not None
    for row in ("transformer", "transformer-depth3", "looped"):
        part = f"each at its best learning rate: EqT − {row}"
        missing = wanted(RATES, [ROW, row])
        if sweep is None:
            yield not_run(part, POINTS, missing)
            continue
        for length in lengths_of(sweep):
            sides = [chosen(main, sweep, name, length) for name in (ROW, row)]
            yield found(f"{part}, {TASK} {length}", POINTS, paired(*sides), missing)


def chosen(main: Campaign, sweep: Campaign, row: str, length: int) -> Scores:
    """Percent by seed at the rate with the best validation; the main preset's rate is one of them.

    Only seeds that have every rate that was planned count.
    """
    names = sorted({t.row for t in sweep.trials if t.row.rpartition("-lr")[0] == row})
    values, trials = {}, {}
    for seed in range(max(main.seeds, sweep.seeds)):
        found_here = [
            record
            for campaign, rows in ((main, [row]), (sweep, names))
            for record in campaign.records
            if record.status == OK
            and record.trial.row in rows
            and record.trial.seed == seed
            and (record.trial.question, record.trial.length) == (TASK, length)
        ]
        if len(found_here) < len(names) + 1:
            continue
        best = max(found_here, key=validated)
        of = main if best.trial.row == row else sweep
        mine = score(of, Side(best.trial.row), TASK, length)
        values[seed], trials[seed] = mine.values[seed], best.trial.id
    return Scores(values, trials)


def validated(record: Record) -> float:
    """The record's best accuracy on validation rows; the worst where it noted none."""
    return max(map(float, record.curves.get("validation_accuracy", [])), default=-np.inf)


def longer(evidence: Evidence) -> Iterator[Finding]:
    """EqT minus the others after ten times the updates, and where each of the two stands there."""
    campaign = evidence.campaign(LONG)
    for row in ("transformer", "transformer-depth3"):
        part, missing = f"ten times the updates: EqT − {row}", wanted(LONG, [ROW, row])
        if campaign is None:
            yield not_run(part, POINTS, missing)
            continue
        sides = (Side(ROW, BUDGET), Side(row))
        for length in lengths_of(campaign):
            made = difference(campaign, *sides, TASK, length)
            told = ", ".join(level(campaign, side, length) for side in sides)
            yield found(f"{part}, {TASK} {length}", POINTS, made, missing, note=told)


def level(campaign: Campaign, side: Side, length: int) -> str:
    """`eqt at K = 8 87.12 %`: the mean over its seeds, since a difference hides a ceiling."""
    values = score(campaign, side, TASK, length).values
    return f"{side} {np.mean([*values.values()]):.2f} %" if values else f"{side} not run"


CLAIM = Claim(
    name="E3",
    statement="The gain is not just parameters or compute.",
    source="arXiv:2511.21882v1, §5: 6.8 M against 6.3 M parameters, 3 times the inference",
    errata="8 d² more parameters are one more feed-forward map; no matched control is shown.",
    measure="Token accuracy of EqT at K = 8 minus that of transformers matched in training FLOPs "
    "(depth 3), in parameters (one more feed-forward map), with one more LayerNorm, deeper, and of "
    "a looped one; same seeds, mean over the lengths where both were planned; again with every row "
    "at the rate that validation picks, and at ten times the updates.",
    rule="supported where the 95 % t interval over seeds is above 0 against both the FLOP-matched "
    "and the parameter-matched transformer (a headline each), contradicted where it is below 0",
    examine=examine,
    draw=lambda evidence: compute(evidence, "e3", [ROW, "transformer", *MATCHED]),
)
