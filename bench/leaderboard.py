"""From records to the leaderboard: accuracies, what the iterations did, costs, failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from .registry import Registry
from .stats import seed_interval
from .tables import Table, cell, engineering, tidy
from .trial import DIVERGED, OK, Record, Trial

SHARES = {
    "token": "Token accuracy, %",
    "sequence": "Whole-sequence accuracy, %",
    "transition": "Transition accuracy, %",
}
PREFIX = "Solved prefix, tokens before the first error"


def leaderboard(
    trials: Sequence[Trial], records: Sequence[Record], registry: Registry
) -> list[Table]:
    """Every table of the leaderboard: accuracies by length, costs, and what did not finish."""
    frame = tidy(records)
    frame = frame[frame["length"] == frame["trained_length"]]
    tables = []
    for task in sorted({trial.task for trial in trials}):
        of_task = [trial for trial in trials if trial.task == task]
        seen = [record for record in records if record.trial.task == task]
        scores = frame[frame["task"] == task]
        for metric, title in SHARES.items():
            if metric in ("token", "sequence") or (scores["metric"] == metric).any():
                tables.append(
                    score_table(f"{task}-{metric}", title, metric, of_task, seen, scores, registry)
                )
        tables.append(
            score_table(f"{task}-prefix", PREFIX, "prefix", of_task, seen, scores, registry)
        )
        if (scores["iterations"] > 0).any():
            tables.append(refinement_table(task, scores, max(trial.length for trial in of_task)))
        tables.append(cost_table(task, of_task, seen))
    failures = [record for record in records if record.status not in (OK,)]
    if failures:
        tables.append(failure_table(failures))
    return tables


def score_table(
    name: str,
    title: str,
    metric: str,
    trials: Sequence[Trial],
    records: Sequence[Record],
    scores: pd.DataFrame,
    registry: Registry,
) -> Table:
    """Methods and budgets by lengths: mean over seeds with its 95 % interval."""
    lengths = sorted({trial.length for trial in trials})
    share = metric in SHARES
    scores = scores[scores["metric"] == metric]
    values = scores["sum"] / scores["n"] * (100 if share else 1)
    grouped = values.groupby([scores["method"], scores["iterations"], scores["length"]])
    cells: dict[Any, list[float]] = {key: list(group) for key, group in grouped}
    rows: list[list[Any]] = []
    for method in sorted({trial.row for trial in trials}):
        counts = standing(method, trials, records)
        for budget in sorted({k for m, k, _ in cells if m == method}) or [""]:
            texts = []
            for length in lengths:
                found = cells.get((method, budget, length), [])
                texts.append(cell(seed_interval(found, 0, 100 if share else length), share))
            rows.append([method, budget, *texts, counts])
    if metric == "token":
        rows += level_rows(trials, lengths, registry)
    columns = ["method", "K", *(f"L={length}" for length in lengths), "trials"]
    frame = pd.DataFrame(rows, columns=columns)
    lacking = {trial.row: is_not(trial, registry) for trial in trials}
    if any(lacking.values()):
        frame["is not"] = [lacking.get(row, "") for row in frame["method"]]
    return Table(f"leaderboard-{name}", f"{trials[0].task}: {title}", frame, notes(trials))


PROMISES = {
    "causal": "causal",
    "deterministic": "deterministic",
    "row_independent": "row-independent",
    "anytime": "anytime",
}
"""What a method may declare -> how a table calls it."""


def is_not(trial: Trial, registry: Registry) -> str:
    """What the trial's method declares not to be, such as `causal, anytime`."""
    try:
        method = registry.method(trial.method)
    except ImportError:
        return ""
    return ", ".join(word for name, word in PROMISES.items() if not getattr(method, name))


def notes(trials: Sequence[Trial]) -> tuple[str, ...]:
    """What a reader must know to read the numbers."""
    seeds = len({trial.seed for trial in trials})
    presets = ", ".join(sorted({trial.preset for trial in trials}))
    return (
        f"Mean over seeds [95 % t interval]; preset {presets}, {seeds} seed(s) planned; K is the "
        "iteration budget at test time; trials: with scores / planned; is not: what the method "
        "declares it is not",
    )


def standing(method: str, trials: Sequence[Trial], records: Sequence[Record]) -> str:
    """`in / planned` of a method."""
    planned = sum(trial.row == method for trial in trials)
    scored = sum(record.trial.row == method and record.status == OK for record in records)
    return f"{scored}/{planned}"


def level_rows(
    trials: Sequence[Trial], lengths: Sequence[int], registry: Registry
) -> list[list[str]]:
    """The task's own levels: chance and the strongest trivial rule."""
    try:
        task = registry.task(trials[0].task)(**trials[0].task_options)
    except ImportError:
        return []
    levels: list[tuple[str, Callable[[int], float]]] = [
        ("(shortcut)", task.shortcut),
        ("(chance)", task.chance),
    ]
    return [
        [name, "", *(f"{100 * level(length):.2f}" for length in lengths), ""]
        for name, level in levels
    ]


REFINEMENT = {
    "gained": ("wrong to right, %", 100, 2),
    "lost": ("right to wrong, %", 100, 2),
    "change": ("relative change", 1, 5),
    "settled": ("change < 1e-3, %", 100, 1),
    "used": ("iterations used", 1, 2),
    "energy": ("energy", 1, 4),
}


def refinement_table(task: str, scores: pd.DataFrame, length: int) -> Table:
    """What the iterations did at one length: answers flipped since K = 0, movement, energy."""
    iterating = scores.loc[scores["iterations"] > 0, "method"].unique()
    picked = scores[(scores["length"] == length) & scores["method"].isin(iterating)]
    sums = picked.groupby(["method", "iterations", "metric"])[["n", "sum"]].sum()
    means: dict[Any, float] = (sums["sum"] / sums["n"]).to_dict()
    rows = []
    for method, budget in sorted({(method, budget) for method, budget, _ in means}):
        texts = [
            f"{scale * means[method, budget, metric]:.{digits}f}"
            if (method, budget, metric) in means
            else "-"
            for metric, (_, scale, digits) in REFINEMENT.items()
        ]
        rows.append([method, budget, *texts])
    columns = ["method", "K", *(title for title, _, _ in REFINEMENT.values())]
    frame = pd.DataFrame(rows, columns=columns)
    title = f"{task}: what the iterations did at L={length}"
    note = "Means over the test tokens of all seeds; flips count from the answers at K = 0"
    return Table(f"leaderboard-{task}-refinement", title, frame, (note,))


def cost_table(task: str, trials: Sequence[Trial], records: Sequence[Record]) -> Table:
    """Parameters, FLOPs and seconds at the longest length, a row for every budget."""
    longest = max(trial.length for trial in trials)
    scored = [r for r in records if r.status == OK and r.trial.length == longest]
    rows = []
    for method in sorted({record.trial.row for record in scored}):
        group = [record.costs for record in scored if record.trial.row == method]
        median = {
            name: pd.Series([costs[name] for costs in group]).median()
            for name in ("parameters", "train_flops", "train_seconds")
        }
        flops, seconds = group[0]["answer_flops_per_token"], timings(group)
        for budget in sorted(flops, key=int):
            rows.append(
                [
                    method,
                    budget,
                    f"{median['parameters']:,.0f}",
                    engineering(median["train_flops"]),
                    engineering(flops[budget]),
                    f"{median['train_seconds']:.1f}",
                    f"{1e6 * seconds[budget]:.2f}",
                ]
            )
    columns = [
        "method",
        "K",
        "parameters",
        "training FLOPs",
        "FLOPs/token",
        "training s",
        "us/token",
    ]
    return Table(
        f"leaderboard-{task}-costs",
        f"{task}: costs at L={longest}",
        pd.DataFrame(rows, columns=columns),
        (f"FLOPs counted, not estimated; seconds are medians over seeds, {places(scored)}",),
    )


def timings(group: Sequence) -> dict[str, float]:
    """Median seconds per token by budget."""
    frame = pd.DataFrame([costs["answer_seconds_per_token"] for costs in group])
    return {str(budget): float(value) for budget, value in frame.median().items()}


def places(records: Sequence[Record]) -> str:
    """Where the seconds were taken, and whether the device was shared."""
    seen = {
        (r.environment["device_name"], r.environment["threads"], r.environment["jobs"])
        for r in records
    }
    return "; ".join(
        f"{name}, {threads} thread(s), {jobs} trial(s) at once"
        for name, threads, jobs in sorted(seen)
    )


def failure_table(records: Sequence[Record]) -> Table:
    """Every trial without scores, with the first line of its reason."""
    rows = [
        [r.trial.name, r.status, next(iter(r.reason.splitlines()), "")[:160]]
        for r in sorted(records, key=lambda r: r.trial.name)
    ]
    title = f"Trials without scores ({sum(r.status == DIVERGED for r in records)} diverged)"
    return Table("failures", title, pd.DataFrame(rows, columns=["trial", "status", "reason"]))
