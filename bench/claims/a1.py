"""A1: an EqT that deliberates. Our own claim, held to the same rules as the paper's.

EqT-plus descends an energy that is told what other positions have committed. On every task that it
was asked: its K = 8 against its own K = 0, against a transformer of its answer's FLOPs (depth 4)
and of its training's (depth 3), and against the looped transformer; whether more iterations help on
rows longer than trained; whether up to four times the trained K it thinks past its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from ..campaign import Campaign
from .claim import Claim, Finding, Verdict, above, exact, not_run
from .e2 import planned
from .evidence import Evidence
from .findings import POINTS, found
from .pairing import TASK, Side, averaged, difference, lengths_of, wanted
from .plots import anytime_of

ROW, BUDGET, MOST, ONE = "eqt-plus", 8, 32, 1
RIVALS = ("transformer-depth4", "transformer-depth3", "looped")
HEADLINES = ("its own K = 0", "transformer-depth4", "looped")
SLACK = -0.5
"""Points that K = 32 may lose on K = 8 before it counts as overthinking."""
TASKS_WANTED = 3


def examine(evidence: Evidence) -> list[Finding]:
    """Parity and two other tasks first, then every task and length."""
    campaign = evidence.main
    if campaign is None:
        return [
            not_run(f"{ROW} − {rival}", POINTS, wanted("small", [ROW]), True) for rival in RIVALS
        ]
    return [
        *(on_every_task(campaign, rival) for rival in HEADLINES),
        *(each for task in asked(campaign) for each in on_task(campaign, task)),
    ]


def asked(campaign: Campaign) -> list[str]:
    """The tasks that the row was planned on."""
    return sorted({trial.question for trial in campaign.trials if trial.row == ROW})


def counted(campaign: Campaign) -> list[str]:
    """Those that count: a task under other options is not another task beside the plain one."""
    of = {trial.question: trial.task for trial in campaign.trials if trial.row == ROW}
    return sorted(name for name, task in of.items() if name == task or task not in of)


def side_of(rival: str) -> Side:
    """What the row is compared with."""
    return Side(ROW, 0) if rival == HEADLINES[0] else Side(rival, None)


def trained_lengths(campaign: Campaign, task: str, rival: str) -> list[int]:
    """The trained lengths at which both sides were planned."""
    row = side_of(rival).row
    return [
        n
        for n in lengths_of(campaign, task)
        if planned(campaign, ROW, task, n) and planned(campaign, row, task, n)
    ]


def on_every_task(campaign: Campaign, rival: str) -> Finding:
    """On how many tasks the row is above a rival, by an interval that leaves out zero."""
    wins: list[str] = []
    trials: list[str] = []
    seen, told = 0, True
    for task in counted(campaign):
        parts = [
            difference(campaign, Side(ROW, BUDGET), side_of(rival), task, n)
            for n in trained_lengths(campaign, task, rival)
        ]
        whole = (
            averaged([p for p in parts if p is not None]) if parts and None not in parts else None
        )
        if whole is None:
            continue
        seen += 1
        trials += whole.trials
        told = told and isfinite(whole.figure.low)
        if above(whole.figure) is Verdict.SUPPORTED:
            wins.append(task)
    part, measured = f"{ROW} at K = {BUDGET} above {rival}", "tasks with an interval above 0"
    if not seen:
        return not_run(part, measured, wanted(campaign.preset, [ROW]), headline=True)
    return won(part, measured, wins, seen, tuple(dict.fromkeys(trials)), told)


def won(
    part: str, measured: str, wins: list[str], seen: int, trials: tuple[str, ...], told: bool
) -> Finding:
    """Supported by parity and two other tasks at least; contradicted where no task is won.

    And where every task has an interval, as `told` says: one seed contradicts nothing.
    """
    enough = TASK in wins and len(wins) >= TASKS_WANTED
    verdict = Verdict.SUPPORTED if enough else Verdict.NOT_SUPPORTED
    return Finding(
        part=part,
        measured=measured,
        verdict=verdict if wins or not told else Verdict.CONTRADICTED,
        figure=exact(len(wins), seen),
        units="tasks",
        trials=trials,
        headline=True,
        note=f"won: {', '.join(wins) or 'none'}",
    )


def on_task(campaign: Campaign, task: str) -> Iterator[Finding]:
    """Every rival at every trained length, overthinking, and the lengths beyond."""
    lengths = [n for n in lengths_of(campaign, task) if planned(campaign, ROW, task, n)]
    own, missing = Side(ROW, BUDGET), wanted(campaign.preset, [ROW])
    for length in lengths:
        for rival in (HEADLINES[0], *RIVALS):
            if length in trained_lengths(campaign, task, rival):
                made = difference(campaign, own, side_of(rival), task, length)
                yield found(f"{task} {length}: K = {BUDGET} − {rival}", POINTS, made, missing)
        made = difference(campaign, Side(ROW, MOST), own, task, length)
        part = f"{task} {length}: no overthinking, K = {MOST} − K = {BUDGET}"
        yield found(part, f"points, above {SLACK}", made, missing, lambda f: above(f, SLACK))
        for further in further_lengths(campaign, task, length):
            made = difference(campaign, own, Side(ROW, ONE), task, length, tested=further)
            part = f"{task} {length} tested at {further}: K = {BUDGET} − K = {ONE}"
            yield found(part, POINTS, made, missing)


def further_lengths(campaign: Campaign, task: str, length: int) -> list[int]:
    """Test lengths beyond the trained one."""
    for trial in campaign.trials:
        if (trial.row, trial.question, trial.length) == (ROW, task, length):
            return [n for n in trial.test_lengths if n != length]
    return []


CLAIM = Claim(
    name="A1",
    statement="An energy that is told what other positions have committed deliberates.",
    source="this project, after arXiv:2511.21882v1, Eq. 7–8; its own claim",
    measure="EqT-plus at K = 8 minus its own K = 0, minus a transformer of its answer's FLOPs and "
    "minus the looped transformer, by each task's own metric, mean over the trained lengths; K = "
    "32 minus K = 8; K = 8 minus K = 1 on rows longer than trained.",
    rule=f"a headline is supported where parity and at least {TASKS_WANTED - 1} other tasks have "
    "a 95 % t interval over seeds above 0, contradicted where every task has an interval and none "
    "is above 0, not supported between; a task under other options is no other task; "
    f"a part by its own interval above 0 (overthinking: above {SLACK} points)",
    examine=examine,
    draw=lambda evidence: anytime_of(evidence, "a1", ROW),
)
