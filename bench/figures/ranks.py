"""Who comes first on average: mean ranks with intervals, and which are too near to tell apart.

For an appendix. The bars at the right are those of a critical-difference diagram (Demšar 2006,
JMLR 7:1–30, Fig. 1), turned by a quarter so that names and intervals fit beside them: methods
joined by a bar differ by less than Nemenyi's critical difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..stats.intervals import Interval
from ..stats.ranks import RankTest, friedman, rank_intervals
from .figure import Drawing, Missing, told_by
from .rows import looks, shown
from .style import COLUMN, styled
from .summaries import block

FEWEST_ROWS = FEWEST_TASKS = 3

Runs = Mapping[str, Sequence[float]]
"""Task -> a normalised score of every seed."""


def ranks(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Mean ranks over tasks of the rows that are in on every one, best at the top."""
    found = block(campaign)
    campaign = found.campaign
    rows, tasks = len(found.scores), len(campaign.tasks)
    if rows < FEWEST_ROWS or tasks < FEWEST_TASKS:
        reason = (
            f"ranks need {FEWEST_ROWS} rows in on each of {FEWEST_TASKS} tasks; here are {rows} "
            f"row(s) on {tasks} task(s){found.told()}"
        )
        return [Missing("ranks", reason)]
    ranking = pd.Series({row: float(np.mean(means(runs))) for row, runs in found.scores.items()})
    best = sorted({row for part in shown(ranking, reference) for row in part})
    told, joint = found.told(), found.joint(best)
    if not joint:
        told += "; rows have different seeds, which are drawn apart"
    if len(best) < rows:
        told += f"; ranked are the {len(best)} rows of highest mean score of {rows}"
    return [draw(campaign, {row: found.scores[row] for row in best}, told, joint)]


def draw(campaign: Campaign, scores: Mapping[str, Runs], told: str, joint: bool) -> Drawing:
    """The drawing of these rows; `joint` where the seeds are the same of all."""
    test = friedman({row: means(runs) for row, runs in scores.items()})
    intervals = rank_intervals(scores, paired=joint)
    order = sorted(scores, key=lambda row: (intervals[row].mean, row))
    groups = cliques([intervals[row].mean for row in order], test.critical_difference)
    data = table(order, intervals, groups)
    with styled():
        figure = Figure(figsize=(COLUMN, 0.75 + 0.17 * len(order)))
        forest, bars = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
        forest_panel(forest, campaign, data)
        clique_panel(bars, groups, test.critical_difference)
    text = caption(campaign, test, told)
    return Drawing("ranks", "Mean ranks over tasks (appendix)", text, figure, data)


def means(runs: Runs) -> list[float]:
    """Each task's mean over seeds."""
    return [float(np.mean(values)) for values in runs.values()]


def cliques(ordered: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """The widest stretches, (first, last), of ordered mean ranks nearer than a distance."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ordered):
        last = max(i for i, other in enumerate(ordered) if other - rank < distance)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def table(
    rows: Sequence[str], intervals: Mapping[str, Interval], groups: Sequence[tuple[int, int]]
) -> pd.DataFrame:
    """A line a row: mean rank, limits, and the bars it stands in."""
    found = []
    for place, row in enumerate(rows):
        one = intervals[row]
        inside = [str(i + 1) for i, (a, b) in enumerate(groups) if a <= place <= b]
        found.append([row, one.mean, one.low, one.high, one.n, " ".join(inside)])
    columns = ["method", "mean_rank", "low", "high", "seeds", "bars"]
    return pd.DataFrame(found, columns=columns)


def forest_panel(axes: Axes, campaign: Campaign, data: pd.DataFrame) -> None:
    """Mean ranks with intervals, best at the top."""
    rows = list(data["method"])
    look = looks(campaign, rows)
    axes.hlines(range(len(rows)), data["low"], data["high"], [look[r].colour for r in rows])
    for place, (row, rank) in enumerate(zip(rows, data["mean_rank"], strict=True)):
        axes.plot([rank], [place], color=look[row].colour, marker=look[row].marker)
    axes.set_yticks(range(len(rows)), [look[row].label for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Mean rank (1 is best)")


def clique_panel(axes: Axes, groups: Sequence[tuple[int, int]], distance: float) -> None:
    """Bars that join what lies nearer than the critical difference, in as few columns as do."""
    ends: list[int] = []
    for first, last in groups:
        column = next((i for i, end in enumerate(ends) if end < first), len(ends))
        ends[column : column + 1] = [last]
        axes.plot([column, column], [first - 0.2, last + 0.2], color="0.2", linewidth=2.5)
    axes.set_xlim(-0.7, max(len(ends), 1) - 0.3)
    axes.set_title(f"CD {distance:.2g}", loc="right")
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def caption(campaign: Campaign, test: RankTest, told: str) -> str:
    """How to read it."""
    pvalue = "none under five tasks" if test.pvalue is None else f"{test.pvalue:.2g}"
    what = (
        f"Mean rank over {test.tasks} tasks with 95 % bootstrap interval over seeds (these tasks); "
        "bars join rows nearer than Nemenyi's critical difference (CD, 95 %); Friedman's p: "
        f"{pvalue}; failed trials at chance{told}"
    )
    return told_by(campaign, what)
