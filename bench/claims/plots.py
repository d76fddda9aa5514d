"""The claims' plots: small, from the same scores as the findings beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..figures.figure import Drawing, Missing, told_by
from ..figures.style import COLUMN, PAGE, colours, marks, styled
from ..stats.intervals import seed_interval
from .evidence import Evidence
from .pairing import TASK, Scores, Side, difference, lengths_of, records_of, score, sums, wanted

Drawn = list[Drawing | Missing]
INTERVAL = "mean over seeds, 95 % t interval"


def named(name: str) -> str:
    """The stem of a claim's plot."""
    return f"claim-{name}"


def missing(name: str, rows: Sequence[str]) -> Drawn:
    """No records to draw from."""
    return [Missing(named(name), wanted("small", rows))]


def drawing(
    name: str, title: str, campaign: Campaign, figure: Figure, lines: Sequence[Mapping[str, object]]
) -> Drawn:
    """The figure, unless nothing was drawn into it."""
    if not lines:
        return [Missing(named(name), wanted(campaign.preset, []))]
    caption = f"{title}; {told_by(campaign, INTERVAL)}"
    return [Drawing(named(name), title, caption, figure, pd.DataFrame(lines))]


def gains_by_length(
    evidence: Evidence, name: str, rows: Sequence[str], budgets: Sequence[int]
) -> Drawn:
    """Points of the second row above the first by length, a curve a budget."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, rows)
    standard, candidate = rows
    lines = []
    for budget in budgets:
        for length in lengths_of(campaign):
            made = difference(
                campaign, Side(candidate, budget), Side(standard), TASK, length, "token"
            )
            if made is not None:
                lines.append(line(made.figure, curve=f"K = {budget}", length=length))
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        curves(axes, lines, "length", dodge=0.04)
        axes.axhline(0, color="0.45", linewidth=0.8)
        axes.set_xscale("log", base=2)
        ticks = sorted({int(str(each["length"])) for each in lines})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xlabel("length (bits)")
        axes.set_ylabel(f"{candidate} − {standard}, points")
        axes.legend()
    return drawing(name, f"{candidate} against {standard} on parity", campaign, figure, lines)


def anytime(evidence: Evidence, name: str) -> Drawn:
    """Token accuracy by K of every row that iterates, a panel a length of parity."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, ["eqt"])
    lines = []
    for length in lengths_of(campaign):
        for row in campaign.rows:
            records = records_of(campaign, row, TASK, length)
            budgets = sorted({k for r in records for k in sums(r, "test", length, "token")})
            for budget in budgets if len(budgets) > 1 else ():
                values = list(score(campaign, Side(row, budget), TASK, length).values.values())
                lines.append(line(seed_interval(values), curve=row, length=length, K=budget))
    lengths = sorted({int(str(each["length"])) for each in lines})
    with styled():
        figure = Figure(figsize=(PAGE, 2.6))
        panels = figure.subplots(1, max(1, len(lengths)), squeeze=False, sharey=True)[0]
        names = sorted({str(each["curve"]) for each in lines})
        for axes, length in zip(panels, lengths, strict=False):
            mine = [each for each in lines if each["length"] == length]
            curves(axes, mine, "K", names=names)
            axes.set_xscale("symlog", base=2, linthresh=1)
            axes.set_xticks([0, 1, 2, 4, 8, 16, 32], ["0", "1", "2", "4", "8", "16", "32"])
            axes.set_title(f"{TASK} {length}")
            axes.set_xlabel("K at test time")
        panels[0].set_ylabel("tokens right, %")
        handles, labels = panels[-1].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return drawing(name, "The same weights at every K", campaign, figure, lines)


def anytime_of(evidence: Evidence, name: str, row: str) -> Drawn:
    """A row's own metric by K, a panel a task, a curve a trained length and a tested one."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, [row])
    lines = []
    for trial in campaign.trials:
        if trial.row != row or trial.seed:
            continue
        for tested in trial.test_lengths:
            told = f"{tested}" if tested == trial.length else f"{tested} ({trial.length} trained)"
            for budget in trial.evaluate["iterations"]:
                side, task = Side(row, budget), trial.question
                values = list(
                    score(campaign, side, task, trial.length, tested=tested).values.values()
                )
                if values:
                    lines.append(line(seed_interval(values), curve=told, task=task, K=budget))
    tasks = sorted({str(each["task"]) for each in lines})
    with styled():
        figure = Figure(figsize=(PAGE, 2.4))
        panels = figure.subplots(1, max(1, len(tasks)), squeeze=False)[0]
        for axes, task in zip(panels, tasks, strict=False):
            curves(axes, [each for each in lines if each["task"] == task], "K")
            axes.set_xscale("symlog", base=2, linthresh=1)
            axes.set_xticks([0, 1, 2, 4, 8, 16, 32], ["0", "1", "2", "4", "8", "16", "32"])
            axes.set_title(task)
            axes.set_xlabel("K")
            axes.legend(fontsize=5)
        panels[0].set_ylabel("right, %")
    return drawing(name, f"{row} by K at test time", campaign, figure, lines)


def compute(evidence: Evidence, name: str, rows: Sequence[str]) -> Drawn:
    """Accuracy over training FLOPs, a panel a length of parity, a point a row."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, rows)
    lines = []
    for length in lengths_of(campaign):
        for row in rows:
            records = records_of(campaign, row, TASK, length)
            seen = score(campaign, Side(row, 8 if row == "eqt" else None), TASK, length)
            if records and seen.values:
                flops = float(records[0].costs["train_flops"])
                figure_of = seed_interval(list(seen.values.values()))
                lines.append(line(figure_of, curve=row, length=length, flops=flops))
    lengths = sorted({int(str(each["length"])) for each in lines})
    with styled():
        figure = Figure(figsize=(PAGE, 2.4))
        panels = figure.subplots(1, max(1, len(lengths)), squeeze=False)[0]
        names = sorted({str(each["curve"]) for each in lines})
        for axes, length in zip(panels, lengths, strict=False):
            mine = [each for each in lines if each["length"] == length]
            curves(axes, mine, "flops", names=names)
            axes.set_xscale("log")
            axes.set_title(f"{TASK} {length}")
            axes.set_xlabel("training FLOPs")
        panels[0].set_ylabel("tokens right, %")
        handles, labels = panels[-1].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return drawing(name, "What the same compute buys", campaign, figure, lines)


def settling(
    evidence: Evidence,
    name: str,
    row: str,
    shares: Callable[[Campaign, str, int, int], dict[int, tuple[float, str]]],
    printed: float,
) -> Drawn:
    """Percent of settled tokens by iteration, a curve a length."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, [row])
    lines = []
    for length in lengths_of(campaign):
        for step in range(1, max(campaign.trials[0].evaluate["iterations"]) + 1):
            seen = [share for share, _ in shares(campaign, row, length, step).values()]
            if seen:
                lines.append(line(seed_interval(seen), curve=f"{TASK} {length}", k=step))
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        curves(axes, lines, "k", band=True)
        axes.axhline(printed, color="0.45", linewidth=0.8)
        axes.set_xlabel("iteration k")
        axes.set_ylabel("tokens under 1e-3, %")
        axes.legend()
    return drawing(name, f"How soon {row} settles", campaign, figure, lines)


def cost_ratios(
    evidence: Evidence,
    name: str,
    ratios: Callable[[Campaign, int], Mapping[str, tuple[float, tuple[str, ...]]]],
    printed: Mapping[str, float],
) -> Drawn:
    """Counted ratios by length, the printed ones as lines."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, ["eqt", "transformer"])
    lines = [
        {"curve": what, "length": n, "mean": value, "low": np.nan, "high": np.nan}
        for n in lengths_of(campaign)
        for what, (value, _) in ratios(campaign, n).items()
    ]
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        names = list(printed)
        curves(axes, lines, "length", names=names)
        for what, value in printed.items():
            axes.axhline(value, color=colours(names)[what], linewidth=0.8, linestyle=":")
        axes.set_xlabel("length (bits)")
        axes.set_ylabel("EqT / transformer (dotted: printed)")
        axes.legend()
    return drawing(name, "What EqT costs", campaign, figure, lines)


# ---- bricks ------------------------------------------------------------------------------------


def line(figure, **place: object) -> dict[str, object]:  # noqa: ANN001 - an Interval
    """A row of a plot's numbers."""
    return {**place, "mean": figure.mean, "low": figure.low, "high": figure.high, "n": figure.n}


def curves(
    axes,  # noqa: ANN001 - matplotlib's Axes
    lines: Sequence[Mapping[str, object]],
    x: str,
    names: Sequence[str] = (),
    dodge: float = 0.0,
    band: bool = False,
) -> None:
    """A curve a name with its intervals; `dodge` sets curves apart by a share of x."""
    frame = pd.DataFrame(lines)
    if not len(frame):
        return
    names = list(names) or list(dict.fromkeys(frame["curve"]))
    hue, mark = colours(names), marks(names)
    for place, name in enumerate(names):
        mine = frame[frame["curve"] == name].sort_values(x)
        if not len(mine):
            continue
        at = mine[x] * (1 + dodge * (place - (len(names) - 1) / 2))
        marker, dash = ("", mark[name][1]) if band else mark[name]
        if band:
            axes.plot(at, mine["mean"], color=hue[name], linestyle=dash, label=name)
            axes.fill_between(at, mine["low"], mine["high"], color=hue[name], alpha=0.2, lw=0)
            continue
        spread = np.abs(mine[["low", "high"]].sub(mine["mean"], axis=0).to_numpy().T)
        axes.errorbar(
            at,
            mine["mean"],
            yerr=np.nan_to_num(spread),
            color=hue[name],
            marker=marker,
            linestyle=dash,
            label=name,
            elinewidth=0.8,
        )


def gaps(
    evidence: Evidence,
    name: str,
    rows: Sequence[str],
    presets: Sequence[str],
    gap: Callable[[Campaign, str, int], Scores],
) -> Drawn:
    """Train − test by training rows, a curve a row of the tables."""
    lines = []
    for campaign in opened(evidence, presets):
        for length in lengths_of(campaign):
            for row in rows:
                values = list(gap(campaign, row, length).values.values())
                if values:
                    size = campaign.trials[0].train["rows"]
                    lines.append(line(seed_interval(values), curve=f"{row} {length}", rows=size))
    return by_rows(evidence, name, "train − test, points", lines)


def samples(
    evidence: Evidence, name: str, rows: Sequence[str], presets: Sequence[str], length: int
) -> Drawn:
    """Accuracy by training rows, a curve a row of the tables."""
    lines = []
    for campaign in opened(evidence, presets):
        for row in rows:
            values = list(score(campaign, Side(row), TASK, length).values.values())
            if values:
                size = campaign.trials[0].train["rows"]
                lines.append(line(seed_interval(values), curve=row, rows=size))
    return by_rows(evidence, name, "tokens right, %", lines)


def opened(evidence: Evidence, presets: Sequence[str]) -> list[Campaign]:
    """The campaigns of these presets that are there; the empty name is the main one."""
    found = [evidence.campaign(each) if each else evidence.main for each in presets]
    return [each for each in found if each is not None]


def by_rows(
    evidence: Evidence, name: str, what: str, lines: Sequence[Mapping[str, object]]
) -> Drawn:
    """Curves over the number of training rows."""
    if evidence.main is None or not lines:
        return missing(name, [])
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        curves(axes, lines, "rows")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("training rows")
        axes.set_ylabel(what)
        axes.legend()
    return drawing(name, f"{what} by training rows", evidence.main, figure, lines)
