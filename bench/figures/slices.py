"""One task's strata at one length: what the figures by stratum are drawn from."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...tasks.task import Task
from ..campaign import Campaign
from ..difficulty import LEAST, SEEN, axes_in_order, measure, strata_scores, tasks_by_name
from ..stats.intervals import seed_interval
from .figure import Drawing, told_by
from .rows import left_out, part_name, plain, stem

KEYS = ["axis", "stratum", "method", "iterations", "trained"]


@dataclass(frozen=True)
class Slice:
    """A task at its longest trained length, tested there: data has KEYS, mean, low, high, seeds.

    Numbers are percent of the task's own metric, whose title is `metric`.
    """

    campaign: Campaign
    task: Task | None
    name: str
    length: int
    metric: str
    data: pd.DataFrame
    reference: str
    remark: str

    @property
    def axes(self) -> list[str]:
        """The axes with two strata or more, dials first."""
        wide = self.data.groupby("axis")["stratum"].nunique()
        return axes_in_order(self.task, [str(axis) for axis in wide.index[wide > 1]])

    def drawing(
        self,
        kind: Sequence[str],
        what: str,
        figure: Figure,
        data: pd.DataFrame,
        groups: Sequence[Sequence[str]],
        place: int,
    ) -> Drawing:
        """A finished drawing: kind is its stem and title, groups the rows of its parts."""
        values = data.groupby("method")["mean"].mean()
        rest = left_out(values.drop(self.reference, errors="ignore"), groups)
        told = f"{what}; L={self.length}; strata of less than {100 * LEAST:.0f} % left out{rest}"
        caption = told_by(self.campaign, f"{told}{'; ' if self.remark else ''}{self.remark}")
        name = part_name(stem(kind[0], self.name), place)
        drawn = data[data["method"].isin([*groups[place], self.reference])]
        return Drawing(name, f"{self.name}: {kind[1]}", caption, figure, drawn)


def slices(campaign: Campaign, reference: str, remark: str) -> list[Slice]:
    """A slice a task that has scores."""
    found = strata_scores(campaign)
    found = found[(found["axis"] != SEEN) & (found["length"] == found["trained_length"])]
    made = []
    for name, task in tasks_by_name(campaign).items():
        metric = task.metric if task else "token"
        mine = found[(found["task"] == name) & (found["metric"] == metric)]
        mine = mine[(mine["share"] >= LEAST) & (mine["length"] == mine["length"].max())]
        if len(mine):
            length, title = int(mine["length"].iloc[0]), measure(task, metric).title
            data = means(mine)
            made.append(Slice(campaign, task, name, length, title, data, reference, remark))
    return made


def means(mine: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds in percent with t intervals cut at 0 and 100."""
    lines = []
    for key, group in mine.groupby(KEYS):
        one = seed_interval(100 * group["value"].to_numpy(dtype=float), 0, 100)
        lines.append([*key, one.mean, one.low, one.high, one.n])
    return pd.DataFrame(lines, columns=[*KEYS, "mean", "low", "high", "seeds"])


def wrapped(title: str) -> str:
    """A title in lines that fit beside a panel, plain."""
    return textwrap.fill(plain(title), 22)


def same_height(panels: Sequence[Axes], data: pd.DataFrame) -> None:
    """One scale of percent for all panels of a drawing, so that they can be compared by eye."""
    least = np.nanmin([data["mean"].min(), data["low"].min()])
    most = np.nanmax([data["mean"].max(), data["high"].max()])
    margin = max(0.06 * (most - least), 0.5)
    for axes in panels:
        axes.set_ylim(least - margin, most + margin)
