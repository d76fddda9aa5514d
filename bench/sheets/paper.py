"""The paper's Table 2 in its own layout: ours beside the published numbers, ours with intervals.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Table 2: token accuracy on cumulative parity, one
model a length; "standard" is the transformer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..scores import scores
from ..stats.hardness import REGIMES, regimes
from ..stats.intervals import seed_interval
from ..stats.paired import paired_difference
from ..tables import Table
from ..trial import Trial
from .gather import closing, shared, told

PUBLISHED = Path(__file__).parents[1] / "published" / "table2.csv"
STANDARD, CANDIDATE, TASK = "transformer", "eqt", "parity"
BUDGETS = (8, 32)
"""Test-time iterations K that the paper shows; its gain is at the first."""

WHAT = ("Standard", f"EqT K={BUDGETS[0]}", "Δ", f"EqT K={BUDGETS[1]}", "regime")

Scores = dict[tuple[str, int, int], dict[int, float]]
"""(row, length, K) -> seed -> percent."""


@functools.cache
def published() -> dict[int, dict[str, str]]:
    """Length -> column -> cell of the paper's Table 2."""
    frame = pd.read_csv(PUBLISHED, comment="#", dtype=str)
    lines = ({str(name): str(text) for name, text in row.items()} for _, row in frame.iterrows())
    return {int(line["length"]): line for line in lines}


def paper_tables(campaign: Campaign, reference: str) -> list[Table]:
    """A table for every parity that both the transformer and EqT were asked; often none.

    The reference is the paper's, the transformer, whichever is asked for.
    """
    questions = sorted({t.question for t in campaign.trials if is_paper_s(t)})
    found = scores(campaign, metric="token") if questions else pd.DataFrame()
    tables = []
    for question in questions:
        trials = [t for t in campaign.trials if is_paper_s(t) and t.question == question]
        if {t.row for t in trials} == {STANDARD, CANDIDATE}:
            mine = found[found["task"] == question] if len(found) else found
            tables.append(table(campaign, trials, values_of(mine)))
    return tables


def is_paper_s(trial: Trial) -> bool:
    """Whether a trial is of the paper's task and rows: dense parity of bits, one length a model."""
    options = {"modulus": 2, "supervision": "dense", **trial.task_options}
    plain = options["modulus"] == 2 and options["supervision"] == "dense"
    return (
        trial.task == TASK
        and plain
        and trial.row in (STANDARD, CANDIDATE)
        and len(trial.trained_on) == 1
    )


def values_of(found: pd.DataFrame) -> Scores:
    """Percent by seed at every budget, tested at the trained length."""
    inside = found[found["length"] == found["trained_length"]]
    values: Scores = {}
    names = ("method", "length", "iterations", "seed", "value")
    for row, length, budget, seed, value in zip(*(inside[n] for n in names), strict=True):
        values.setdefault((row, int(length), int(budget)), {})[int(seed)] = 100 * float(value)
    return values


def table(campaign: Campaign, trials: list[Trial], values: Scores) -> Table:
    """One table, a line for every length that was published or planned."""
    planned = {t.length for t in trials}
    rows = [
        [str(length), *side_by_side(ours(campaign, trials, values, length), theirs(length))]
        for length in sorted(planned | set(published()))
    ]
    named = (f"{what}, {who}" for what in WHAT for who in ("ours", "published"))
    columns = ["L", *named, "pairs"]
    note = (
        f"Token accuracy, %, mean over seeds [95 % t interval]; Δ: EqT at K={BUDGETS[0]} less "
        "Standard, points, paired by seed; Standard: the transformer. Regimes by Standard's "
        "accuracy, each by its own numbers: easy above 95 %, medium 70 to 95 %, hard below 70 %. "
        f"Ours: {sizes(trials)}. Published: arXiv:2511.21882v1, Table 2, width 256, depth 6, "
        "25 epochs of 32768 rows, trained at K=2; one seed, no interval"
    )
    question = trials[0].question
    title = f"The paper's Table 2 on {question}: ours ({short_sizes(trials)}) and published"
    notes = (note, closing(campaign, trials[0].question))
    name = "paper-table2" if question == TASK else f"paper-table2-{question}"
    return Table(name, title, pd.DataFrame(rows, columns=columns), notes)


def side_by_side(mine: list[str], others: list[str]) -> list[str]:
    """Our cells and the published ones in turn, then what only ours have."""
    pairs = zip(mine, others, strict=False)
    return [text for pair in pairs for text in pair] + mine[len(others) :]


def ours(campaign: Campaign, trials: list[Trial], values: Scores, length: int) -> list[str]:
    """Our cells of a line in the order of WHAT, and how many pairs."""
    if length not in {t.length for t in trials}:
        return ["not run", *[""] * len(WHAT)]
    standard = values.get((STANDARD, length, 0), {})
    low, high = (values.get((CANDIDATE, length, k), {}) for k in BUDGETS)
    first, second = shared([low, standard])
    mean = float(np.mean(list(standard.values()))) / 100 if standard else np.nan
    return [
        cell(campaign, STANDARD, length, standard),
        cell(campaign, CANDIDATE, length, low),
        told(paired_difference(first, second), 2, signed=True) or "-",
        cell(campaign, CANDIDATE, length, high),
        REGIMES[int(regimes(np.array([mean]))[0])] if standard else "-",
        str(len(first)),
    ]


def cell(campaign: Campaign, row: str, length: int, found: Mapping[int, float]) -> str:
    """Mean and interval; what became of the trials where none was scored there."""
    mine = [r for r in campaign.records if r.trial.row == row and r.trial.length == length]
    statuses = sorted({r.status for r in mine if r.trial.task == TASK})
    if not found:
        return "not scored" if statuses == ["ok"] else ", ".join(statuses) or "not in yet"
    if statuses and "ok" not in statuses:
        return ", ".join(statuses)
    return told(seed_interval(list(found.values()), 0, 100), 2)


def theirs(length: int) -> list[str]:
    """The published cells of a line."""
    line = published().get(length)
    if line is None:
        return ["not published", *[""] * (len(WHAT) - 1)]
    return [line[name] for name in ("standard", "eqt_k8", "delta", "eqt_k32", "regime")]


def short_sizes(trials: list[Trial]) -> str:
    """`width 64, depth 2`, of the standard model."""
    options = next(t.method_options for t in trials if t.row == STANDARD)
    return ", ".join(f"{name} {options[name]}" for name in ("width", "depth") if name in options)


def sizes(trials: list[Trial]) -> str:
    """The sizes and training of both rows, in words."""
    standard = next(t for t in trials if t.row == STANDARD)
    candidate = next(t for t in trials if t.row == CANDIDATE)
    trained = candidate.method_options.get("iterations", "?")
    train = standard.train
    return (
        f"preset {standard.preset}, {short_sizes(trials)}, {train.get('epochs', '?')} epoch(s) of "
        f"{train.get('rows', '?')} rows, EqT trained at K={trained}"
    )
