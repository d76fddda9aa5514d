"""The tables beside the scores: what the iterations did, what it cost, what did not finish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from .tables import Table, engineering
from .trial import DIVERGED, OK, Record, Trial

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
