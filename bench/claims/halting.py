"""Rules that stop single tokens early (Eq. 36–37, §3.7), and what they save at equal accuracy.

A rule thresholds a signal; thresholds are the signal's quantiles, chosen on one half of the kept
rows' tokens and judged on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tokens import Array, Tokens

QUANTILES = np.linspace(0, 1, 21)
GIVEN_UP = 0.1
"""Points of accuracy that a rule may give up against the best fixed budget."""
CONFIDENT = 8
"""§3.7's budget of a confident token; an uncertain one takes all (32 as printed)."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Rule:
    """What is thresholded, [..., N], and the place of the budget at which a token stops, [N]."""

    signal: Callable[[Tokens], Array]
    stop: Callable[[Tokens, float], Places]


class Saving(NamedTuple):
    """Percent of iterations saved; points by which K = 0 is below the best fixed budget."""

    share: float
    worth: float


# ---- rules -------------------------------------------------------------------------------------


def first(hit: NDArray[np.bool_]) -> Places:
    """The first True of every column, the last place where there is none."""
    return np.where(hit.any(0), hit.argmax(0), len(hit) - 1)


def energy_of(tokens: Tokens) -> Array:
    """L at every budget, [K, N]."""
    assert tokens.energy is not None
    return tokens.energy


def by_energy(tokens: Tokens, threshold: float) -> Places:
    """The first budget with L < τ, the last where there is none."""
    return first(energy_of(tokens) < threshold)


def by_entropy(tokens: Tokens, threshold: float) -> Places:
    """K = 8 where the proposal is sure, all iterations elsewhere."""
    sure = tokens.entropy[tokens.at(0)] < threshold
    return np.where(sure, tokens.at(CONFIDENT), len(tokens.budgets) - 1)


def by_current(tokens: Tokens, threshold: float) -> Places:
    """The first budget whose read-out is sure, the last where there is none."""
    return first(tokens.entropy < threshold)


def by_label(tokens: Tokens) -> Places:
    """The first budget that is right, K = 0 where none is: a bound, which sees the label."""
    hit = tokens.right > 0
    return np.where(hit.any(0), first(hit), tokens.at(0))


PRINTED = {
    "energy (Cor. 5)": Rule(energy_of, by_energy),
    "entropy (§3.7)": Rule(lambda tokens: tokens.entropy[tokens.at(0)], by_entropy),
}
RULES = {**PRINTED, "current entropy": Rule(lambda tokens: tokens.entropy, by_current)}
"""The paper's two, and ours: stop as soon as the present answer is sure."""


# ---- what they cost and give -------------------------------------------------------------------


def score(tokens: Tokens, places: Places) -> tuple[float, float]:
    """Percent right and mean iterations of tokens stopped at these places."""
    right = tokens.right[places, np.arange(len(places))]
    return 100 * float(right.mean()), float(np.array(tokens.budgets)[places].mean())


def fixed(tokens: Tokens) -> list[tuple[float, float]]:
    """Percent right and iterations of every fixed budget."""
    size = tokens.right.shape[1]
    return [score(tokens, np.full(size, place)) for place in range(len(tokens.budgets))]


def thresholds(tokens: Tokens, rule: Rule) -> Array:
    """The quantiles of what the rule thresholds, and one above all."""
    values = rule.signal(tokens)
    return np.append(np.quantile(values, QUANTILES), values.max() + 1)


def swept(tokens: Tokens, rule: Rule) -> list[tuple[float, float]]:
    """Percent right and mean iterations at every threshold, highest threshold last."""
    return [score(tokens, rule.stop(tokens, each)) for each in thresholds(tokens, rule)]


def halves(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Tokens to choose a threshold on, and tokens to judge it on."""
    half = tokens.right.shape[1] // 2

    def part(which: slice) -> Tokens:
        energy = None if tokens.energy is None else tokens.energy[:, which]
        right, nats = tokens.right[:, which], tokens.nats[:, which]
        return Tokens(tokens.budgets, right, nats, tokens.entropy[:, which], energy)

    return part(slice(half)), part(slice(half, None))


def best_fixed(tokens: Tokens) -> int:
    """The place of the smallest of the fixed budgets that are most often right."""
    levels = np.array([accuracy for accuracy, _ in fixed(tokens)])
    return int(np.argmax(levels >= levels.max() - 1e-12))


def saved(tokens: Tokens, rule: str) -> Saving:
    """What the cheapest threshold that is as good as the best fixed budget saves.

    Both are chosen on one half and judged on the other; a rule that then gives up more than
    GIVEN_UP points saves nothing, nor does one where the best fixed budget is none.
    """
    choose, judge = halves(tokens)
    best, stop = best_fixed(choose), RULES[rule].stop
    there, spent = fixed(judge)[best]
    worth = there - fixed(judge)[judge.at(0)][0]
    enough = fixed(choose)[best][0] - GIVEN_UP
    levels = thresholds(choose, RULES[rule])
    good = [
        (used, level)
        for (accuracy, used), level in zip(swept(choose, RULES[rule]), levels, strict=True)
        if accuracy >= enough
    ]
    if not good or not spent:
        return Saving(0.0, worth)
    accuracy, used = score(judge, stop(judge, min(good)[1]))
    return Saving(100 * (1 - used / spent) if accuracy >= there - GIVEN_UP else 0.0, worth)


def saved_by_label(tokens: Tokens) -> Saving:
    """What the oracle saves on the judged half: a bound on every rule."""
    choose, judge = halves(tokens)
    there, spent = fixed(judge)[best_fixed(choose)]
    used = score(judge, by_label(judge))[1]
    share = 100 * (1 - used / spent) if spent else 0.0
    return Saving(share, there - fixed(judge)[judge.at(0)][0])
