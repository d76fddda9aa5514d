"""Training curves: loss and validation accuracy against updates, and against training FLOPs.

A method's loss is its own total, with what it adds to the cross-entropy; shapes compare, heights
do not. Validation accuracy is over tokens, at the trained budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..campaign import Campaign
from ..scores import scores
from ..trial import OK, Record
from .anytime import spread
from .axes import flops_axis
from .figure import Drawing, Missing, told_by
from .panels import canvas, entries
from .rows import Look, left_out, looks, part_name, plain, shorten, shown, stem
from .style import COLUMN, PAGE, styled

POINTS = 100
"""Stretches of the training, each drawn as its mean loss."""

TITLES = {"loss": "Training loss, nats", "validation_accuracy": "Validation accuracy, %"}
LABELS = {"step": "Updates", "train_flops": "Training FLOPs"}


@dataclass(frozen=True)
class Curves:
    """The training curves of one task, TABLE, and the measures of which there is a curve."""

    task: str
    data: pd.DataFrame
    measures: tuple[str, ...]

    @property
    def lengths(self) -> list[int]:
        """The trained lengths drawn."""
        return spread(sorted(self.data["trained_length"].unique()))


LINES = ["trained_length", "method", "measure", "step", "seed", "train_flops", "value"]
"""Columns of single seeds' points; TABLE has the seeds' median, least (low) and greatest (high)."""

TABLE = [*LINES[:4], "train_flops", "median", "low", "high", "seeds"]


def training(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Every task's loss and validation accuracy over updates, and over training FLOPs.

    Median and range of seeds; the validation panel is left out where nets were validated once.
    """
    found: list[Drawing | Missing] = []
    bare = []
    values = scores(campaign)
    for task in campaign.tasks:
        mine = values[(values["task"] == task) & values["trained"]]
        ranking = mine.groupby("method")["value"].mean()
        groups = shown(ranking, reference)
        drawn = [
            drawing
            for place, rows in enumerate(groups)
            for drawing in of_rows(campaign, task, rows, place, left_out(ranking, groups))
        ]
        found += drawn
        bare += [] if drawn else [task]
    if bare:
        found.append(Missing("training", "no training curves in the records: " + ", ".join(bare)))
    return found


def of_rows(
    campaign: Campaign, task: str, rows: Sequence[str], place: int, told: str
) -> list[Drawing]:
    """Both drawings of these rows of one task; none where there is no curve."""
    table = medians(campaign, task, rows)
    lengths = table["trained_length"].nunique()
    known = table.groupby("measure")["trained_length"].nunique()
    measures = tuple(name for name in TITLES if known.get(name) == lengths)  # no empty panel
    if not measures:
        return []
    curves = Curves(task, table, measures)
    axes = ["step", *(["train_flops"] if (table["train_flops"] > 0).any() else [])]
    return [draw(campaign, curves, x, rows, place, told) for x in axes]


def medians(campaign: Campaign, task: str, rows: Sequence[str]) -> pd.DataFrame:
    """TABLE of these rows of a task; what has one point only is no curve and not in it."""
    wanted = set(rows)
    records = [
        r
        for r in campaign.records
        if r.status == OK and r.trial.question == task and r.trial.row in wanted
    ]
    data = pd.DataFrame([line for record in records for line in points(record)], columns=LINES)
    grouped = data.groupby(list(LINES[:4]), as_index=False)
    table = grouped.agg(
        train_flops=("train_flops", "mean"),
        median=("value", "median"),
        low=("value", "min"),
        high=("value", "max"),
        seeds=("value", "count"),
    )
    steps = table.groupby(list(LINES[:3]))["step"].transform("size")
    return table[(table["seeds"] > 0) & (steps > 1)]


def points(record: Record) -> list[list[object]]:
    """A record's smoothed loss, and its validation accuracy in percent; LINES."""
    trial, curves = record.trial, record.curves
    losses = numbers(curves.get("loss", []))
    steps = record.costs.get("steps") or len(losses)
    per_update = (record.costs.get("train_flops") or np.nan) / max(steps, 1)
    at, smooth = windows(losses)
    places = numbers(curves.get("validation_step", []))
    accuracy = 100 * numbers(curves.get("validation_accuracy", []))
    pairs = [("loss", *pair) for pair in zip(at, smooth, strict=True)]
    pairs += [("validation_accuracy", *pair) for pair in zip(places, accuracy, strict=False)]
    head = [trial.length, trial.row]
    return [
        [*head, name, step, trial.seed, step * per_update, value] for name, step, value in pairs
    ]


def numbers(values: Sequence[float | None]) -> np.ndarray:
    """A curve as numbers; what was not finite is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def windows(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean update and mean loss of POINTS equal stretches, of every update where there are fewer.

    A loss that is not finite makes its stretch NaN: it is a gap, not smoothed away.
    """
    if not len(losses):
        return losses, losses
    parts = min(POINTS, len(losses))
    place = np.arange(len(losses)) * parts // len(losses)
    counts = np.bincount(place)
    return (
        np.bincount(place, np.arange(1, len(losses) + 1)) / counts,
        np.bincount(place, losses) / counts,
    )


def draw(
    campaign: Campaign, curves: Curves, x: str, rows: Sequence[str], place: int, told: str
) -> Drawing:
    """One drawing: a row of panels a trained length, a column a measure."""
    lengths, columns = curves.lengths, len(curves.measures)
    data = curves.data[curves.data["trained_length"].isin(lengths)]
    data = data.dropna(subset=x)
    look = looks(campaign, [row for row in rows if (data["method"] == row).any()])
    with styled():
        figure = canvas(len(lengths), columns, entries(look), PAGE if columns > 1 else COLUMN)
        panels = iter(figure.axes)
        for length in lengths:
            for measure in curves.measures:
                axes = next(panels)
                here = data[(data["trained_length"] == length) & (data["measure"] == measure)]
                panel(axes, here, x, look, measure)
                axes.set_title(f"L={length}", loc="left")
        figure.axes[columns - 1].set_title(plain(shorten(curves.task)), loc="right")
    kind = "training" if x == "step" else "training-flops"
    name = part_name(stem(kind, curves.task), place)
    title = f"{curves.task}: training against {LABELS[x].lower().replace('flops', 'FLOPs')}"
    return Drawing(name, title, caption(campaign, curves, told), figure, data)


def panel(axes: Axes, data: pd.DataFrame, x: str, look: dict[str, Look], measure: str) -> None:
    """Medians and ranges of one measure; losses that span a factor of 20 on a logarithmic scale."""
    for row, one in look.items():
        mine = data[data["method"] == row].sort_values(x)
        style = (
            {"marker": one.marker} if len(mine) < 20 else {"markevery": 0.1, "marker": one.marker}
        )
        axes.plot(mine[x], mine["median"], color=one.colour, linestyle=one.dash, **style)
        axes.fill_between(mine[x], mine["low"], mine["high"], color=one.colour, alpha=0.15, lw=0)
    least, most = data["median"].min(), data["median"].max()
    if measure == "loss" and least > 0 and most > 20 * least:
        axes.set_yscale("log")
    axes.set_ylabel(TITLES[measure])
    if x == "train_flops":
        flops_axis(axes, data[x], LABELS[x])
    else:
        axes.set_xlabel(LABELS[x])


def caption(campaign: Campaign, curves: Curves, told: str) -> str:
    """How to read it."""
    seeds = int(curves.data["seeds"].max())
    once = (
        "" if "validation_accuracy" in curves.measures else "; validated once, at the end: no curve"
    )
    what = (
        f"Median and range of up to {seeds} seed(s); loss is each method's own total, the mean "
        f"over hundredths of the training: shapes compare, heights do not{once}{told}"
    )
    return told_by(campaign, what)
