"""Nested prefix expressions of ListOps: their tokens, their values, and how they are drawn.

Drawing is one row after the other, in Python; values are found for all rows at once, level by
level. What each token is and which expressions are drawn stands with the task.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

MIN, MAX, MED, SM, CLOSE, PAD = range(10, 16)
NAMES = (*map(str, range(10)), "[MIN", "[MAX", "[MED", "[SM", "]", ".")
MOST_ARGUMENTS = 10

# ---- values ----------------------------------------------------------------------------------


def levels(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Brackets open before and after every token, [B, T]; a `]` where none is open is skipped."""
    opens = (inputs >= MIN) & (inputs <= SM)
    sums = (opens.long() - (inputs == CLOSE).long()).cumsum(1)
    after = sums - sums.cummin(1).values.clamp_max(0)
    before = torch.nn.functional.pad(after, (1, -1))
    return before, after


def evaluated(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Value and depth [B, T], uint8, of what each `]` closes, 0 elsewhere; deepest level first.

    A bracket's arguments are counted by their value, so that the time goes with the depth.
    """
    inputs = inputs.long()
    before, after = levels(inputs)
    values = inputs.where(inputs < MIN, 0)
    heights = torch.zeros_like(inputs)
    for level in range(int(after.max()) if after.numel() else 0, 0, -1):
        opens = (after == level) & (before == level - 1)
        closes = (before == level) & (after == level - 1)
        inside = (after == level) & ((inputs < MIN) | (before == level + 1))
        bracket = opens.flatten().cumsum(0).view_as(inputs) - 1  # the latest one opened here
        count = int(opens.sum())
        places = bracket[inside] * 10 + values[inside]
        counts = places.bincount(minlength=10 * count).view(count, 10)
        deepest = torch.zeros(count, dtype=torch.int64, device=inputs.device)
        deepest.scatter_reduce_(0, bracket[inside], heights[inside], "amax")
        values[closes] = applied(inputs[opens], counts)[bracket[closes]]
        heights[closes] = 1 + deepest[bracket[closes]]
    values = values.where(inputs == CLOSE, 0)
    return values.to(torch.uint8), heights.to(torch.uint8)


def applied(operators: Tensor, counts: Tensor) -> Tensor:
    """Values [N] of operators [N] on arguments given by how many have each value, [N, 10]."""
    running = counts.cumsum(1)
    size = running[:, -1]

    def ranked(rank: Tensor) -> Tensor:
        """The argument of a rank from 0 on, by size."""
        return (running <= rank[:, None]).sum(1)

    middle = (ranked((size - 1) // 2) + ranked(size // 2)) // 2
    total = (counts * torch.arange(10, device=counts.device)).sum(1) % 10
    values = ranked(torch.zeros_like(size)).where(operators == MIN, total)
    values = ranked(size - 1).where(operators == MAX, values)
    return middle.where(operators == MED, values).where(size > 0, 0)


def arguments(inputs: Tensor) -> Tensor:
    """How many arguments [B] the outermost operator has."""
    before, after = levels(inputs)
    return ((after == 1) & ((inputs < MIN) | (before == 2))).sum(1)


# ---- generators ------------------------------------------------------------------------------


def natural(rng: random.Random, depth: int, room: int) -> list[int]:
    """An operator with 2–10 arguments, each a digit with probability 3/4, else one of these.

    At most `depth` deep; nothing if it does not fit in `room` tokens.
    """
    tokens = [rng.randrange(MIN, CLOSE)]
    for _ in range(rng.randrange(2, MOST_ARGUMENTS + 1)):
        if depth > 1 and rng.randrange(4) == 0:
            inner = natural(rng, depth - 1, room - len(tokens) - 1)
            if not inner:
                return []
            tokens += inner
        else:
            tokens.append(rng.randrange(10))
        if len(tokens) >= room:
            return []
    return [*tokens, CLOSE]


def exact(rng: random.Random, depth: int, length: int) -> list[int]:
    """An expression of exactly this depth, at most `length` tokens long."""
    sides: list[list[list[int]]] = [[[]] for _ in range(depth)]  # by depth left, one beside each
    room = length - (3 * depth + 1)
    for side in rng.sample(sides, depth):
        more = rng.randrange(min(MOST_ARGUMENTS - 2, room) + 1)
        side += [[] for _ in range(more)]
        room -= more
    places = [(left, at) for left, side in enumerate(sides) for at in range(len(side))]
    for left, at in rng.sample(places, len(places)):
        inner = natural(rng, left, room + 1) if left and rng.randrange(4) == 0 else []
        sides[left][at] = inner or [rng.randrange(10)]
        room -= len(sides[left][at]) - 1
    tokens = [rng.randrange(10)]
    for side in sides:
        side.insert(rng.randrange(len(side) + 1), tokens)
        tokens = [rng.randrange(MIN, CLOSE), *(t for inner in side for t in inner), CLOSE]
    return tokens


def mean_tokens(depth: int) -> float:
    """Expected tokens of `natural`: two brackets and six arguments."""
    return 2 + 6 * (1 if depth == 1 else 0.75 + 0.25 * mean_tokens(depth - 1))
