"""The tables beside the scores: what the iterations did, what it cost, what did not finish."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .conditions import conditions
from .positions import flops_per_row, in_other_form
from .registry import Registry
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


def refinement_table(
    task: str, trials: Sequence[Trial], records: Sequence[Record], scores: pd.DataFrame
) -> Table:
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
    note = "Means over the test tokens of all seeds; flips count from the answers at K = 0; "
    told = (note + conditions(trials, records),)
    return Table(f"leaderboard-{task}-refinement", title, frame, told, keys=3)


COSTS = ["method", "L", "K", "parameters", "training FLOPs", "FLOPs/token", "FLOPs/row"]
COSTS += ["training s", "us/token"]


def cost_table(
    task: str, trials: Sequence[Trial], records: Sequence[Record], registry: Registry
) -> Table:
    """Parameters, FLOPs and seconds at a row's longest length, a line for every budget.

    A token is a position of the row as asked; a method that is shown the row first has more of
    them, which a star tells: by FLOPs/row it compares with the others.
    """
    scored = [record for record in records if record.status == OK]
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in scored:
        groups.setdefault((record.trial.row, record.trial.length), []).append(record)
    lines, asked = [], set()
    for row, length in sorted(longest_lengths(trials).items()):
        group = groups.get((row, length))
        if group:
            form = in_other_form(group[0])
            asked |= {form} if form else set()
            lines += [[row, length, *line] for line in cost_lines(group, registry)]
    notes = [
        f"FLOPs counted, not estimated; seconds are medians over seeds, {places(scored)}; "
        f"{conditions(trials, records)}"
    ]
    if asked:
        notes.append(
            f"* asked in another form ({'; '.join(sorted(asked))}), whose row has other positions: "
            "compare FLOPs/row"
        )
    frame = pd.DataFrame(lines, columns=COSTS)
    return Table(f"leaderboard-{task}-costs", f"{task}: costs", frame, tuple(notes), keys=3)


def cost_lines(group: Sequence[Record], registry: Registry) -> list[list[str]]:
    """The costs of one row's seeds, from K on, by budget."""
    costs = [record.costs for record in group]
    parameters, training, seconds = (
        statistics.median(cost[name] for cost in costs)
        for name in ("parameters", "train_flops", "train_seconds")
    )
    flops, answering = costs[0]["answer_flops_per_token"], timings(costs)
    whole, star = flops_per_row(group[0], registry), " *" if in_other_form(group[0]) else ""
    once = [f"{parameters:,.0f}", engineering(training)]
    return [
        [
            k,
            *once,
            engineering(flops[k]) + star,
            engineering(whole[int(k)]) if int(k) in whole else "-",
            f"{seconds:.1f}",
            f"{1e6 * answering[k]:.2f}",
        ]
        for k in sorted(flops, key=int)
    ]


def timings(group: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Median seconds per token by budget."""
    timed = [costs["answer_seconds_per_token"] for costs in group]
    return {str(k): statistics.median(times[k] for times in timed) for k in timed[0]}


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


def failure_table(trials: Sequence[Trial], records: Sequence[Record]) -> Table:
    """Every trial without scores, with the first line of its reason."""
    rows = [
        [r.trial.name, r.status, next(iter(r.reason.splitlines()), "")]
        for r in sorted(records, key=lambda r: r.trial.name)
    ]
    title = f"Trials without scores ({sum(r.status == DIVERGED for r in records)} diverged)"
    note = f"{len(rows)} of {len(trials)} planned trials; {conditions(trials, records)}"
    frame = pd.DataFrame(rows, columns=["trial", "status", "reason"])
    return Table("failures", title, frame, (note,), keys=2)
