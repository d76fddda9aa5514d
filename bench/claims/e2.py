"""E2: the gain comes from refining at test time.

The same weights at every K, against other courses of the same length, against EqT that was never
refined in training, and against EqT without each of its terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from ..campaign import Campaign
from ..trial import OK
from .claim import Claim, Finding, not_run
from .evidence import Evidence
from .findings import POINTS, compared, found, number
from .pairing import (
    TASK,
    Paired,
    Scores,
    Side,
    averaged,
    difference,
    lengths_of,
    paired,
    score,
    wanted,
)
from .plots import anytime

ROW, MOST = "eqt", 8
COURSES = ("random", "redrawn", "oracle")
CONTROLS = ("eqt-aux", "eqt-beta0", "eqt-no-reverse", "eqt-no-masked", "eqt-no-confidence")
TRAINED = ("eqt-k1", "eqt-k4", "eqt-k8")
"""K in training other than EqT's 2, whose own gain stands above."""
OPEN = ("eqt", "eqt-plus")
"""Rows (and their variants) whose K = 0 is a trained open loop: the loss reads the proposal, or
refinement hardly moves it."""


def examine(evidence: Evidence) -> list[Finding]:
    """K = 8 minus K = 0 first, then every control."""
    campaign = evidence.main
    if campaign is None:
        part = f"{ROW} at K = {MOST} minus its own K = 0"
        return [not_run(part, POINTS, wanted("small", [ROW]), headline=True)]
    return [
        own_gain(campaign, ROW, TASK, lengths_of(campaign), headline=True),
        *(each for length in lengths_of(campaign) for each in at_length(campaign, length)),
        *others(campaign),
    ]


def own_gain(
    campaign: Campaign, row: str, task: str, lengths: list[int], headline: bool = False
) -> Finding:
    """A row's K = 8 minus its own K = 0, mean over the lengths where it was planned."""
    mine = [n for n in lengths if planned(campaign, row, task, n)]
    parts = [difference(campaign, Side(row, MOST), Side(row, 0), task, n) for n in mine]
    seen = [part for part in parts if part is not None]
    whole: Paired | None = averaged(seen) if len(seen) == len(parts) else None
    told = ", ".join(map(str, mine))
    note = (
        "" if row.startswith(OPEN) else "its K = 0 is no trained open loop: the difference flatters"
    )
    part = f"{row} at K = {MOST} minus its own K = 0, {task} {told}"
    return found(part, POINTS, whole, wanted(campaign.preset, [row]), headline=headline, note=note)


def planned(campaign: Campaign, row: str, task: str, length: int) -> bool:
    """Whether a row is asked a task at a length."""
    wished = (row, task, length)
    return any((t.row, t.question, t.length) == wished for t in campaign.trials)


def at_length(campaign: Campaign, length: int) -> Iterator[Finding]:
    """Every K with flips and distance, other courses, controls, and training K by test K."""
    for budget in campaign.trials[0].evaluate["iterations"]:
        if budget:
            moved = flips(campaign, length, budget)
            yield compared(campaign, Side(ROW, budget), Side(ROW, 0), TASK, length, note=moved)
    if planned(campaign, ROW, TASK, length):
        yield from against_courses(campaign, length)
    for row in CONTROLS:
        if planned(campaign, row, TASK, length):
            yield compared(campaign, Side(ROW), Side(row), TASK, length)
    for row in TRAINED:
        if planned(campaign, row, TASK, length):
            yield compared(campaign, Side(row, MOST), Side(row, 0), TASK, length)


def against_courses(campaign: Campaign, length: int) -> Iterator[Finding]:
    """What own descent gains since K = 0 less what another course gains since its own K = 0."""
    gain = difference(campaign, Side(ROW, MOST), Side(ROW, 0), TASK, length, "token")
    for course in COURSES:
        split = f"test@{course}"
        other = difference(
            campaign, Side(ROW, MOST, split), Side(ROW, 0, split), TASK, length, "token"
        )
        made = None
        if gain is not None and other is not None:
            ids = {seed: "" for seed in gain.by_seed}
            made = paired(Scores(gain.by_seed, ids), Scores(other.by_seed, ids))
            made = made and replace(made, trials=gain.trials)
        note = "it sees the label: a bound" if course == "oracle" else ""
        part = f"{TASK} {length}: gain since K = 0 less that of the {course} course"
        yield found(part, POINTS, made, wanted(campaign.preset, [ROW]), note=note)


def flips(campaign: Campaign, length: int, budget: int) -> str:
    """What moved, told beside a gain: argmax flips since K = 0, and the last step's length."""
    told = []
    for metric, words in (
        ("gained", "wrong → right {} %"),
        ("lost", "right → wrong {} %"),
        ("change", "the last step moves by {} %"),
    ):
        seen = list(score(campaign, Side(ROW, budget), TASK, length, metric).values.values())
        if seen:
            told.append(words.format(number(fmean(seen))))
    return ", ".join(told)


def others(campaign: Campaign) -> Iterator[Finding]:
    """The same for every other row that iterates, on every task that it was asked."""
    iterating = {
        record.trial.row
        for record in campaign.records
        if record.status == OK and any(row[2] for row in record.metrics if row[0] == "test")
    }
    for row in sorted(iterating):
        for task in campaign.tasks:
            lengths = [n for n in lengths_of(campaign, task) if planned(campaign, row, task, n)]
            if lengths and (row, task) != (ROW, TASK):
                yield own_gain(campaign, row, task, lengths)


CLAIM = Claim(
    name="E2",
    statement="The gain comes from refining at test time.",
    source="arXiv:2511.21882v1, §5 (Table 2 shows no K = 0)",
    measure="Token accuracy of the same weights at K = 8 minus K = 0, mean over the lengths "
    "planned of parity; the same at every K, against a random course of the same length, against "
    "untrained heads and an oracle; EqT minus EqT trained without refinement, without β and "
    "without each term.",
    rule="supported where the 95 % t interval over seeds of K = 8 minus K = 0 is above 0, "
    "contradicted where it is below 0, not supported where it holds 0",
    examine=examine,
    draw=lambda evidence: anytime(evidence, "e2"),
)
