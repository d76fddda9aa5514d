"""Walks of steps up and down between 0 and h that reach h: the shapes of Dyck words.

A walk steps up or down with ½ each; it is forced up at 0, down at h and, where it has to come back
to 0, down when the steps that are left are as many as its depth. What is drawn is that law, given
that h is reached and the end is as wanted. Drawing until this holds would take 2¹⁵ walks for depth
16 in 32 steps; here the odds of a step are weighed by the chances of its two continuations, counted
in whole numbers from the end, so that every walk that is begun is kept.
"""

from __future__ import annotations

import functools
import itertools

import torch
from torch import Tensor

from .counter import bits32
from .sampling import cells


def steps(key: int, rows: Tensor, length: int, heights: tuple[int, ...], *, final: bool) -> Tensor:
    """Steps bool [length, R], True for up; the heights are dealt to the rows in turn.

    A walk ends at 0; a final one ends anywhere above, with a step down.
    """
    odds, moves = chart(length, heights, final)
    (number,) = cells(rows, len(heights))
    state = number * (odds.shape[1] // len(heights))
    draws = bits32(key, rows, length).T.contiguous()
    ups = torch.empty(length, len(rows), dtype=torch.bool)
    for t in range(length):
        ups[t] = draws[t] < odds[t].index_select(0, state)
        state = moves.index_select(0, 2 * state + ups[t])
    return ups


@functools.lru_cache(maxsize=32)
def chart(length: int, heights: tuple[int, ...], final: bool) -> tuple[Tensor, Tensor]:
    """Odds of a step up, in 2⁻³², [length, S], and the state after a step, flat [2S]: down, up.

    A state is a height's number, whether that height has been reached, and the depth.
    """
    span = max(heights) + 1
    parts = [odds_up(length, height, span, final) for height in heights]
    odds = torch.cat([torch.tensor(part) for part in parts], 1)
    moves = []
    for number, reached, depth in itertools.product(range(len(heights)), (0, 1), range(span)):
        for to in (max(depth - 1, 0), min(depth + 1, span - 1)):
            there = reached or int(to == heights[number])
            moves.append((2 * number + there) * span + to)
    return odds, torch.tensor(moves)


def odds_up(length: int, height: int, span: int, final: bool) -> list[list[int]]:
    """Odds of a step up for every step, reached (0, 1) and depth: [length][2 · span].

    Counted back from the end: ways[reached][depth], in units of 2⁻ʳ with r steps to come, is the
    chance that a walk which goes on from there ends as wanted. A forced step has chance 1.
    """
    ends = [int((depth > 0) == final) for depth in range(height + 1)]
    ways, odds = ([0] * (height + 1), ends), []
    for rest in range(1, length + 1):
        before, chances = ([0] * (height + 1), [0] * (height + 1)), [0] * (2 * span)
        for reached, depth in itertools.product((0, 1), range(height + 1)):
            closes = depth == height or (final and rest == 1)
            up = 0 if closes else ways[reached or int(depth + 1 == height)][depth + 1]
            down = ways[reached][depth - 1] if depth else 0
            forced = depth in (0, height) or (depth == rest and not final)
            before[reached][depth] = (up + down) << forced
            chances[reached * span + depth] = (up << 32) // max(up + down, 1)
        ways = before
        odds.append(chances)
    return odds[::-1]
