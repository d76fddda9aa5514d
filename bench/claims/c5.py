"""C5: adaptive K saves compute at equal quality (Eq. 36–37), and the entropy rule of §3.7.

On the kept tokens of test rows, at the scored budgets: a token stops at the first budget at which
its energy is below τ (Corollary 5); or takes K = 8 where the entropy of its proposal is below a
threshold and all iterations elsewhere (§3.7); or, our own, stops where the entropy of its present
answer is below one. An oracle that knows the label stops at the first budget that is right.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..figures.figure import Drawing, Missing, told_by
from ..figures.style import COLUMN, colours, marks, styled
from ..stats.intervals import seed_interval
from .claim import Claim, Finding, Verdict, not_run
from .evidence import Evidence
from .findings import found
from .halting import (
    CONFIDENT,
    GIVEN_UP,
    PRINTED,
    RULES,
    Saving,
    by_label,
    fixed,
    saved,
    saved_by_label,
    score,
    swept,
)
from .pairing import TASK, lengths_of, sampled, wanted
from .t4 import by_seed
from .tokens import Array, Tokens

ROWS = ("eqt", "eqt-plus")
ORACLE = "oracle"
SAVED = "% of the best fixed budget's iterations saved"


def examine(evidence: Evidence) -> list[Finding]:
    """Each rule for EqT (the printed ones at the longest length are the headlines) and EqT-plus."""
    campaign = evidence.main
    if campaign is None:
        missing = wanted("small", ROWS[:1])
        return [not_run(f"eqt, {rule}, {TASK}", SAVED, missing, headline=True) for rule in PRINTED]
    return [
        each
        for row in ROWS
        for length in lengths_of(campaign)
        for each in at(campaign, row, length)
    ]


def at(campaign: Campaign, row: str, length: int) -> Iterator[Finding]:
    """The rules of a row at a length, then the oracle."""
    seen = by_seed(campaign, row, length)
    last = length == max(lengths_of(campaign))
    for rule in (*RULES, ORACLE):
        part = f"{row}, {rule}, {TASK} {length}"
        head = last and row == ROWS[0] and rule in PRINTED
        if not seen:
            yield not_run(part, SAVED, wanted("small", [row]), head)
            continue
        of = saved_by_label if rule == ORACLE else functools.partial(saved, rule=rule)
        finding = judged(seen, part, of)
        bound = "; it sees the label: a bound" if rule == ORACLE else ""
        yield replace(finding, headline=head, note=finding.note + bound)


def judged(
    seen: dict[int, tuple[Tokens, str]], part: str, of: Callable[[Tokens], Saving]
) -> Finding:
    """What was saved, by seed; savings where iterations buy nothing support nothing."""
    savings = {seed: of(tokens) for seed, (tokens, _) in seen.items()}
    worth = seed_interval([each.worth for each in savings.values()])
    values = {seed: each.share for seed, each in savings.items()}
    made = sampled(values, [trial for _, trial in seen.values()])
    note = f"the best fixed budget is {worth.mean:.2f} points above K = 0"
    if worth.low > 0:
        return found(part, SAVED, made, "", note=note)
    note += ", by no interval above 0: nothing to save" if worth.n > 1 else ": one seed"
    return replace(found(part, SAVED, made, "", note=note), verdict=Verdict.NOT_SUPPORTED)


def draw(evidence: Evidence) -> list[Drawing | Missing]:
    """Accuracy over mean iterations at the longest length: fixed, the rules, the oracle."""
    campaign = evidence.main
    for length in reversed(lengths_of(campaign) if campaign else []):
        assert campaign is not None
        seen = {row: by_seed(campaign, row, length) for row in ROWS}
        kept = {row: pooled(mine) for row, mine in seen.items() if mine}
        if kept:
            return [curves_of(campaign, length, kept)]
    return [Missing("claim-c5", wanted("small", ROWS))]


def pooled(seen: dict[int, tuple[Tokens, str]]) -> Tokens:
    """The tokens of all seeds together."""
    parts = [tokens for tokens, _ in seen.values()]
    energies = [part.energy for part in parts if part.energy is not None]

    def joined(name: str) -> Array:
        return np.concatenate([getattr(part, name) for part in parts], 1)

    right, nats, entropy = (joined(name) for name in ("right", "nats", "entropy"))
    return Tokens(parts[0].budgets, right, nats, entropy, np.concatenate(energies, 1))


def curves_of(campaign: Campaign, length: int, tokens: dict[str, Tokens]) -> Drawing:
    """A panel a row of the tables."""
    lines: list[dict[str, object]] = []
    with styled():
        figure = Figure(figsize=(2 * COLUMN, 2.4))
        panels = figure.subplots(1, len(tokens), squeeze=False)[0]
        for axes, (row, mine) in zip(panels, tokens.items(), strict=True):
            curves = curves_by_name(mine)
            panel(axes, row, curves, mine.budgets)
            lines += [
                {"row": row, "curve": name, "iterations": k, "right": accuracy}
                for name, points in curves.items()
                for accuracy, k in points
            ]
        panels[0].set_ylabel("tokens right, %")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
    title = f"Adaptive iterations on {TASK} {length}"
    caption = told_by(campaign, f"{title}: tokens of all seeds together")
    return Drawing("claim-c5", title, caption, figure, pd.DataFrame(lines))


def curves_by_name(tokens: Tokens) -> dict[str, list[tuple[float, float]]]:
    """Fixed budgets, every rule's thresholds, the oracle: percent right and mean iterations."""
    rules = {name: swept(tokens, rule) for name, rule in RULES.items()}
    return {"fixed K": fixed(tokens), **rules, ORACLE: [score(tokens, by_label(tokens))]}


def panel(
    axes: Axes, row: str, curves: dict[str, list[tuple[float, float]]], budgets: Sequence[int]
) -> None:
    """One row's curves over the mean number of iterations."""
    hue, mark = colours(list(curves)), marks(list(curves))
    for name, points in curves.items():
        taken, accuracy = [k for _, k in points], [a for a, _ in points]
        marker, dash = mark[name]
        axes.plot(taken, accuracy, marker=marker, linestyle=dash, color=hue[name], label=name, ms=3)
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_xticks(list(budgets), [str(budget) for budget in budgets])
    axes.set_title(row)
    axes.set_xlabel("mean iterations")


CLAIM = Claim(
    name="C5",
    statement="Adaptive K saves compute at equal quality.",
    source="arXiv:2511.21882v1, Corollary 5, Eq. 36–37; §3.7",
    measure="Iterations saved against the best fixed budget by stopping at L < τ, and by taking "
    f"K = {CONFIDENT} where the proposal's entropy is low and all elsewhere; thresholds chosen on "
    "one half of the kept tokens, judged on the other; beside them stopping by the present "
    "answer's entropy, and an oracle that knows the label.",
    rule="supported where the 95 % t interval over seeds of the share saved, at no more than "
    f"{GIVEN_UP:g} points less accuracy, is above 0, and K = 0 is below the best fixed budget by "
    "an interval above 0; where it is not, there is nothing to save: not supported; contradicted "
    "where it costs more. Headlines: the paper's two rules for EqT at the longest length",
    examine=examine,
    draw=draw,
)
