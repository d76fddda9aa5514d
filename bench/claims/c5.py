"""C5: adaptive K saves compute at equal quality (Eq. 36–37), and the entropy rule of §3.7.

On the kept tokens of test rows, at the scored budgets: a token stops at the first budget at which
its energy is below τ (Corollary 5), or at once where the entropy of its proposal is below a
threshold (§3.7: confident tokens take few iterations, the others all). Thresholds are the quantiles
of what is thresholded, chosen on one half of the rows' tokens and judged on the other. An oracle
that knows the label stops at the first budget that is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..campaign import Campaign
from ..figures.figure import Drawing, Missing, told_by
from ..figures.style import COLUMN, styled
from ..stats.intervals import seed_interval
from .claim import Claim, Finding, Verdict, not_run
from .evidence import Evidence
from .findings import found
from .pairing import TASK, Paired, lengths_of, wanted
from .t4 import by_seed
from .tokens import Array, Tokens

ROWS = ("eqt", "eqt-plus")
QUANTILES = np.linspace(0, 1, 21)
GIVEN_UP = 0.1
"""Points of accuracy that a rule may give up against the best fixed budget."""
SAVED = "% of the best fixed budget's iterations saved"
Places = NDArray[np.int64]
Rule = Callable[[Tokens, float], Places]


def by_energy(tokens: Tokens, threshold: float) -> Places:
    """The place of the first budget with L < τ; the last where there is none, [N]."""
    assert tokens.energy is not None
    return first(tokens.energy < threshold)


def by_entropy(tokens: Tokens, threshold: float) -> Places:
    """K = 0 where the proposal is sure, all iterations elsewhere, [N]."""
    sure = tokens.entropy[tokens.at(0)] < threshold
    return np.where(sure, tokens.at(0), len(tokens.budgets) - 1)


def by_label(tokens: Tokens, threshold: float = 0.0) -> Places:
    """The first budget that is right, K = 0 where none is: a bound, which sees the label."""
    hit = tokens.right > 0
    return np.where(hit.any(0), first(hit), 0)


def first(hit: NDArray[np.bool_]) -> Places:
    """The first True of every column, the last place where there is none."""
    return np.where(hit.any(0), hit.argmax(0), len(hit) - 1)


RULES: dict[str, Rule] = {"energy (Cor. 5)": by_energy, "entropy (§3.7)": by_entropy}


def score(tokens: Tokens, places: Places) -> tuple[float, float]:
    """Percent right and mean iterations of tokens stopped at these places."""
    right = tokens.right[places, np.arange(len(places))]
    return 100 * float(right.mean()), float(np.array(tokens.budgets)[places].mean())


def fixed(tokens: Tokens) -> list[tuple[float, float]]:
    """Percent right and iterations of every fixed budget."""
    size = tokens.right.shape[1]
    return [score(tokens, np.full(size, place)) for place in range(len(tokens.budgets))]


def thresholds(tokens: Tokens, rule: str) -> Array:
    """The quantiles of what the rule thresholds, and one above all."""
    assert tokens.energy is not None
    values = tokens.energy if rule.startswith("energy") else tokens.entropy[tokens.at(0)]
    return np.append(np.quantile(values, QUANTILES), values.max() + 1)


def halves(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Tokens to choose a threshold on, and tokens to judge it on."""
    half = tokens.right.shape[1] // 2

    def part(which: slice) -> Tokens:
        assert tokens.energy is not None
        return Tokens(
            tokens.budgets,
            tokens.right[:, which],
            tokens.nats[:, which],
            tokens.entropy[:, which],
            tokens.energy[:, which],
        )

    return part(slice(half)), part(slice(half, None))


def saved(tokens: Tokens, rule: str) -> tuple[float, float]:
    """Percent of iterations saved on the judged half; points by which K = 0 is below the best.

    The best fixed budget and the cheapest threshold that is as good are chosen on the other half;
    a rule that then gives up more than GIVEN_UP points saves nothing.
    """
    choose, judge = halves(tokens)
    levels = [accuracy for accuracy, _ in fixed(choose)]
    best = int(np.argmax(np.array(levels) >= max(levels) - 1e-12))
    options = [
        (*score(choose, RULES[rule](choose, threshold)), threshold)
        for threshold in thresholds(choose, rule)
    ]
    good = [each for each in options if each[0] >= levels[best] - GIVEN_UP]
    there, spent = fixed(judge)[best]
    worth = there - fixed(judge)[judge.at(0)][0]
    if not good or not spent:
        return 0.0, worth
    threshold = min(good, key=lambda each: each[1])[2]
    accuracy, used = score(judge, RULES[rule](judge, threshold))
    return (100 * (1 - used / spent) if accuracy >= there - GIVEN_UP else 0.0), worth


def examine(evidence: Evidence) -> list[Finding]:
    """Each rule for EqT (the headlines) and EqT-plus, at every length, then the oracle."""
    campaign = evidence.main
    if campaign is None:
        return [
            not_run(f"eqt, {rule}", SAVED, wanted("small", ROWS[:1]), headline=True)
            for rule in RULES
        ]
    return [
        each
        for row in ROWS
        for length in lengths_of(campaign)
        for each in at(campaign, row, length)
    ]


def at(campaign: Campaign, row: str, length: int) -> Iterator[Finding]:
    """The rules of a row at a length."""
    seen = by_seed(campaign, row, length)
    missing = wanted(campaign.preset, [row])
    last = length == max(lengths_of(campaign))
    for rule in RULES:
        part, head = f"{row}, {rule}, {TASK} {length}", last and row == ROWS[0]
        if not seen:
            yield not_run(part, SAVED, missing, head)
            continue
        pairs = {seed: saved(tokens, rule) for seed, (tokens, _) in seen.items()}
        worth = seed_interval([gain for _, gain in pairs.values()])
        values = {seed: share for seed, (share, _) in pairs.items()}
        ids = tuple(trial for _, trial in seen.values())
        made = Paired(values, seed_interval(list(values.values())), ids)
        inert = not worth.low > 0
        note = "K = 0 is as good as the best fixed budget: nothing to save" if inert else ""
        finding = found(part, SAVED, made, missing, headline=head, note=note)
        yield vetoed(finding) if inert else finding


def vetoed(finding: Finding) -> Finding:
    """Savings where iterations buy nothing support nothing."""
    return replace(finding, verdict=Verdict.NOT_SUPPORTED)


def draw(evidence: Evidence) -> list[Drawing | Missing]:
    """Accuracy over mean iterations at the longest length: fixed, both rules, the oracle."""
    campaign = evidence.main
    for length in reversed(lengths_of(campaign) if campaign else []):
        assert campaign is not None
        seen = {row: by_seed(campaign, row, length) for row in ROWS}
        if all(seen.values()):
            return [curves_of(campaign, length, {r: pooled(s) for r, s in seen.items()})]
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
        for axes, (row, mine) in zip(figure.subplots(1, len(tokens)), tokens.items(), strict=True):
            curves = {"fixed K": fixed(mine), "oracle": [score(mine, by_label(mine))]}
            for rule, stop in RULES.items():
                curves[rule] = sorted(
                    score(mine, stop(mine, threshold)) for threshold in thresholds(mine, rule)
                )
            for (name, points), mark in zip(curves.items(), ("o-", "*", "^--", "s:"), strict=True):
                axes.plot([k for _, k in points], [a for a, _ in points], mark, label=name)
                lines += [
                    {"row": row, "curve": name, "iterations": k, "right": a} for a, k in points
                ]
            axes.set_xscale("symlog", linthresh=1)
            axes.set_title(row)
            axes.set_xlabel("mean iterations")
        figure.axes[0].set_ylabel("tokens right, %")
        figure.axes[0].legend()
    title = f"Adaptive iterations on {TASK} {length}"
    caption = told_by(campaign, f"{title}: tokens of all seeds together")
    return Drawing("claim-c5", title, caption, figure, pd.DataFrame(lines))


CLAIM = Claim(
    name="C5",
    statement="Adaptive K saves compute at equal quality.",
    source="arXiv:2511.21882v1, Corollary 5, Eq. 36–37; §3.7",
    measure="Iterations saved against the best fixed budget by stopping at L < τ, and by the "
    "entropy of the proposal; thresholds chosen on one half of the kept tokens, judged on the "
    "other; an oracle that knows the label beside them.",
    rule="supported where the 95 % t interval over seeds of the share saved, at no more than "
    f"{GIVEN_UP:g} points less accuracy, is above 0, and K = 0 is below the best fixed budget by "
    "an interval above 0; where it is not, there is nothing to save: not supported",
    examine=examine,
    draw=draw,
)
