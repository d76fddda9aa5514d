"""The claims' plots: small, from the same scores as the findings beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..figures.axes import flops_axis, length_axis
from ..figures.style import colours, styled
from ..stats.intervals import seed_interval
from .drawn import Drawn, Line, by_budget, drawing, line, missing, one_panel, panels, percent
from .evidence import Evidence
from .pairing import TASK, Scores, Side, difference, lengths_of, records_of, score, sums


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
    ylabel = f"{candidate} − {standard}, points"
    figure = one_panel(lines, "length", "length (bits)", ylabel, dodge=0.04)
    with styled():
        figure.axes[0].axhline(0, color="0.45", linewidth=0.8)
        length_axis(figure.axes[0], [int(str(each["length"])) for each in lines], "length (bits)")
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
                lines.append(percent(values, curve=row, length=length, K=budget))
    figure = panels(lines, "length", "K", f"{TASK} {{}}, tokens", "K at test time")
    by_budget(figure, campaign.trials[0].evaluate["iterations"])
    return drawing(name, "The same weights at every K", campaign, figure, lines)


def anytime_of(evidence: Evidence, name: str, row: str) -> Drawn:
    """A row's own metric by K, a panel a task, a curve a trained length and a tested one."""
    campaign = evidence.main
    if campaign is None:
        return missing(name, [row])
    lines = []
    for trial in sorted(campaign.trials, key=lambda trial: (trial.question, trial.length)):
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
                    lines.append(percent(values, curve=told, task=task, K=budget))
    figure = panels(lines, "task", "K", "{}", "K at test time", apart=True)
    by_budget(figure, campaign.trials[0].evaluate["iterations"])
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
                values = list(seen.values.values())
                lines.append(percent(values, curve=row, length=length, flops=flops))
    figure = panels(lines, "length", "flops", f"{TASK} {{}}, tokens", "")
    places = pd.DataFrame(lines).groupby("length")["flops"] if lines else ()
    with styled():
        for axes, (_, spent) in zip(figure.axes, places, strict=False):
            flops_axis(axes, spent, "training FLOPs")
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
                lines.append(percent(seen, curve=f"{TASK} {length}", k=step))
    figure = one_panel(lines, "k", "iteration k", "tokens under 1e-3, %", band=True)
    with styled():
        figure.axes[0].axhline(printed, color="0.45", linewidth=0.8)
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
    names, ylabel = list(printed), "EqT / transformer (dotted: printed)"
    figure = one_panel(lines, "length", "length (bits)", ylabel, names=names)
    with styled():
        for what, value in printed.items():
            figure.axes[0].axhline(value, color=colours(names)[what], linewidth=0.8, linestyle=":")
    return drawing(name, "What EqT costs", campaign, figure, lines)


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
                lines.append(percent(values, curve=row, rows=size))
    return by_rows(evidence, name, "tokens right, %", lines)


def opened(evidence: Evidence, presets: Sequence[str]) -> list[Campaign]:
    """The campaigns of these presets that are there; the empty name is the main one."""
    found = [evidence.campaign(each) if each else evidence.main for each in presets]
    return [each for each in found if each is not None]


def by_rows(evidence: Evidence, name: str, what: str, lines: Sequence[Line]) -> Drawn:
    """Curves over the number of training rows."""
    if evidence.main is None or not lines:
        return missing(name, ())
    figure = one_panel(lines, "rows", "training rows", what)
    with styled():
        length_axis(figure.axes[0], [int(str(each["rows"])) for each in lines], "training rows")
    return drawing(name, f"{what} by training rows", evidence.main, figure, lines)
