"""The tables beside the scores: what the iterations did, what it cost, what did not finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def longest_lengths(trials: Sequence[Trial]) -> dict[str, int]:
    """Row -> the longest length at which it is trained: a preset may run rows at some lengths."""
    longest: dict[str, int] = {}
    for trial in trials:
        longest[trial.row] = max(longest.get(trial.row, 0), trial.length)
    return longest


def refinement_table(task: str, trials: Sequence[Trial], scores: pd.DataFrame) -> Table:
    """What the iterations did at a row's longest length: flips since K = 0, movement, energy."""
    iterating = scores.loc[scores["iterations"] > 0, "method"].unique()
    longest = longest_lengths(trials)
    at_longest = scores["length"] == scores["method"].map(longest)
    picked = scores[at_longest & scores["method"].isin(iterating)]
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
        rows.append([method, longest[method], budget, *texts])
    columns = ["method", "L", "K", *(title for title, _, _ in REFINEMENT.values())]
    frame = pd.DataFrame(rows, columns=columns)
    title = f"{task}: what the iterations did"
    note = "Means over the test tokens of all seeds; flips count from the answers at K = 0"
    return Table(f"leaderboard-{task}-refinement", title, frame, (note,))


COSTS = ["method", "L", "K", "parameters", "training FLOPs", "FLOPs/token", "training s"]
COSTS += ["us/token"]


def cost_table(task: str, trials: Sequence[Trial], records: Sequence[Record]) -> Table:
    """Parameters, FLOPs and seconds at a row's longest length, a line for every budget."""
    scored = [record for record in records if record.status == OK]
    lines = []
    for row, length in sorted(longest_lengths(trials).items()):
        group = [r.costs for r in scored if r.trial.row == row and r.trial.length == length]
        lines += [[row, length, *line] for line in cost_lines(group)] if group else []
    return Table(
        f"leaderboard-{task}-costs",
        f"{task}: costs",
        pd.DataFrame(lines, columns=COSTS),
        (f"FLOPs counted, not estimated; seconds are medians over seeds, {places(scored)}",),
    )


def cost_lines(group: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The costs of one row's seeds, from K on, by budget."""
    parameters, training, seconds = (
        float(pd.Series([costs[name] for costs in group]).median())
        for name in ("parameters", "train_flops", "train_seconds")
    )
    flops, answering = group[0]["answer_flops_per_token"], timings(group)
    once = [f"{parameters:,.0f}", engineering(training)]
    return [
        [k, *once, engineering(flops[k]), f"{seconds:.1f}", f"{1e6 * answering[k]:.2f}"]
        for k in sorted(flops, key=int)
    ]


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
