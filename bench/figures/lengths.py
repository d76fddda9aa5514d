"""Accuracy over test length, a drawing a task: one model a length, or one model on longer rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ..campaign import Campaign
from ..scores import scores
from .axes import length_axis, share_axis
from .figure import Drawing, Missing, told_by
from .panels import GREY, canvas, curve, entries, level, level_entry
from .rows import Dash, Look, left_out, looks, part_name, plain, shorten, shown, stem
from .style import COLUMN, PAGE, styled
from .summaries import (
    CHANCE,
    RULE,
    chance_levels,
    failures_told,
    metric_title,
    percent,
    rule_levels,
)

DASH: dict[str, Dash] = {CHANCE: ":", RULE: "--"}


@dataclass(frozen=True)
class Slice:
    """What one figure shows of a task: its scores by metric, and where the nets were trained.

    trained is None for a model a length, else the lengths of the training rows, least and greatest.
    """

    name: str
    task: str
    scores: dict[str, pd.DataFrame]
    trained: tuple[int, int] | None
    forms: dict[str, str]

    @property
    def own(self) -> str:
        """The metric that chance speaks of."""
        return next(iter(self.scores))


def lengths(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Every task's own metric and whole-sequence accuracy over test length, at the trained budget.

    One drawing for the models trained at each length, one for each that is tested beyond its own.
    """
    own, whole = scores(campaign), scores(campaign, "sequence")
    own, whole = own[own["trained"]], whole[whole["trained"]]
    found: list[Drawing | Missing] = []
    single = []
    for task in campaign.tasks:
        parts = slices(campaign, task, own[own["task"] == task], whole[whole["task"] == task])
        found += [drawing for part in parts for drawing in drawings(campaign, part, reference)]
        single += [] if parts else [task]
    if single:
        reason = "fewer than two test lengths with scores: " + ", ".join(single)
        found.append(Missing("lengths", reason))
    return found


def slices(campaign: Campaign, task: str, own: pd.DataFrame, whole: pd.DataFrame) -> list[Slice]:
    """The views of one task in which a row has two test lengths or more."""
    if own.empty:
        return []
    metric = own["metric"].iloc[0]
    frames = {metric: own} | ({"sequence": whole} if metric != "sequence" else {})
    forms = {row: form for row, form in zip(own["method"], own["form"], strict=True) if form}
    inside = {name: f[f["length"] == f["trained_length"]] for name, f in frames.items()}
    found = [Slice(stem("lengths", task), task, inside, None, forms)]
    for trained in sorted(own["trained_length"].unique()):
        of = {name: frame[frame["trained_length"] == trained] for name, frame in frames.items()}
        trials = [t for t in campaign.trials if t.question == task and t.length == trained]
        least = min(trial.trained_on[0] for trial in trials)
        name = stem("lengths", task, "from", str(trained))
        found.append(Slice(name, task, of, (least, int(trained)), forms))
    return [
        part
        for part in found
        if part.scores[metric].groupby("method")["length"].nunique().max() > 1
    ]


def drawings(campaign: Campaign, part: Slice, reference: str) -> list[Drawing | Missing]:
    """The drawings of one slice, by at most ten rows."""
    ranking = part.scores[part.own].groupby("method")["value"].mean()
    groups = shown(ranking, reference)
    rest = left_out(ranking, groups)
    return [draw(campaign, part, rows, place, rest) for place, rows in enumerate(groups)]


def draw(campaign: Campaign, part: Slice, rows: Sequence[str], place: int, rest: str) -> Drawing:
    """One drawing of these rows: a panel a metric."""
    data = pd.concat([table(campaign, part, metric, rows) for metric in part.scores])
    look = looks(campaign, rows)
    metrics = list(part.scores)
    with styled():
        legend = legend_of(part, look, data)
        figure = canvas(1, len(metrics), legend, PAGE if len(metrics) > 1 else COLUMN)
        for axes, metric in zip(figure.axes, metrics, strict=True):
            panel(axes, data[data["metric"] == metric], look, part.trained)
            axes.set_title(plain(metric_title(campaign, part.task, metric)))
        figure.axes[0].set_ylabel(plain(shorten(part.task)))
    return Drawing(
        part_name(part.name, place), title(part), caption(campaign, part, data, rest), figure, data
    )


def table(campaign: Campaign, part: Slice, metric: str, rows: Sequence[str]) -> pd.DataFrame:
    """Means by row and length of one metric, and its levels below."""
    found = part.scores[metric]
    found = found[found["method"].isin(rows)]
    parts = [percent(found, ["method", "length"]), rule_levels(campaign, found, metric)]
    if metric == part.own:
        parts.append(chance_levels(found))
    data = pd.concat([frame for frame in parts if len(frame)], ignore_index=True)
    data.insert(0, "metric", metric)
    return data


def panel(
    axes: Axes, data: pd.DataFrame, look: dict[str, Look], trained: tuple[int, int] | None
) -> None:
    """Curves and levels of one metric."""
    for name, dash in DASH.items():
        levels = data[data["method"] == name].sort_values("length")
        if len(levels):
            level(axes, list(levels["length"]), list(levels["mean"]), dash)
    for row, one in look.items():
        mine = data[data["method"] == row]
        if len(mine):
            curve(axes, mine, "length", one)
    share_axis(axes, [*data["mean"], *data["low"]])
    if trained and trained[0] < trained[1]:
        axes.axvspan(*trained, color="0.9", zorder=0)
    elif trained:
        axes.axvline(trained[1], color=GREY, linestyle="-", linewidth=0.8, zorder=0)
    length_axis(
        axes, list(data["length"]), "Test length" if trained else "Length, trained and tested"
    )


def legend_of(part: Slice, look: dict[str, Look], data: pd.DataFrame) -> dict[str, Artist]:
    """Rows, then the levels that are drawn, then where the nets were trained."""
    found = entries(look)
    for row, one in look.items():
        if row in part.forms:
            found = {(f"{k} *" if k == one.label else k): v for k, v in found.items()}
    present = set(data["method"])
    found |= {name.strip("()"): level_entry(DASH[name]) for name in DASH if name in present}
    if part.trained and part.trained[0] < part.trained[1]:
        found["trained lengths"] = Patch(color="0.9")
    elif part.trained:
        found["trained length"] = level_entry("-")
    return found


def title(part: Slice) -> str:
    """What the drawing shows."""
    if part.trained is None:
        return f"{part.task}: accuracy over length, one model a length"
    least, most = part.trained
    span = f"{least}…{most}" if least < most else f"{most}"
    return f"{part.task}: accuracy over length, trained at L={span}"


def caption(campaign: Campaign, part: Slice, data: pd.DataFrame, rest: str) -> str:
    """How to read it."""
    seeds = data["seeds"].dropna().astype(int)
    asked = sorted(
        {f"{form} ({row})" for row, form in part.forms.items() if row in set(data["method"])}
    )
    told = f"; * asked in another form: {', '.join(asked)}" if asked else ""
    span = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    what = (
        f"Mean over {span} seed(s) with 95 % t interval, at the trained budget; chance and the "
        f"strongest trivial rule on the test rows in grey{failures_told(data)}{told}{rest}"
    )
    return told_by(campaign, what)
