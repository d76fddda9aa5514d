"""Perfect mazes of c×c cells, drawn row by row side by side, and their paths.

A maze is a tree over cells: `towards` [R, c²] holds, for each, the next cell on the way to a root,
which is its own next. Between any two cells there is one path. Steps run over time for all rows R
at once; the draws of a row depend on its number and key alone.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from .counter import below, bits32, key_of

BACK = 4
"""The way back, after the four directions."""


@functools.cache
def neighbours(c: int) -> Tensor:
    """Cells above, below, left and right [c², 4]; c² stands for none."""
    cells = torch.full((c + 2, c + 2), c * c)
    cells[1:-1, 1:-1] = torch.arange(c * c).view(c, c)
    sides = (cells[:-2, 1:-1], cells[2:, 1:-1], cells[1:-1, :-2], cells[1:-1, 2:])
    return torch.stack([side.flatten() for side in sides], 1)


@functools.cache
def choices() -> Tensor:
    """A direction for each set of open ones, as four bits, and each of 12 draws [16 · 12].

    Twelve draws choose evenly from one, two, three or four; from none, BACK.
    """
    table = [[d for d in range(4) if open >> d & 1] or [BACK] for open in range(16)]
    return torch.tensor([ways[draw % len(ways)] for ways in table for draw in range(12)])


def carved(key: int, rows: Tensor, c: int) -> Tensor:
    """Mazes by depth-first search from a random cell, `towards` it [R, c²].

    A step goes to a random neighbour that is new, or back if there is none: 2(c² − 1) in all.
    """
    count, steps = c * c, 2 * (c * c - 1)
    draws = below(bits32(key_of(key, "turns"), rows, steps), 12).T.contiguous()
    here = below(bits32(key_of(key, "root"), rows, 1)[:, 0], count)
    base = torch.arange(len(rows)) * (count + 1)
    new = torch.ones(len(rows), count + 1, dtype=torch.bool)  # and a place for none, never new
    towards = torch.zeros(len(rows), count + 1, dtype=torch.int64)
    new[:, count] = False
    new.view(-1)[base + here] = False
    towards.view(-1)[base + here] = here
    powers, near, table = torch.tensor([1, 2, 4, 8]), neighbours(c), choices()
    for step in range(steps):
        around = near[here]  # [R, 4]
        open = (new.view(-1)[base[:, None] + around] * powers).sum(1)
        turn = table[open * 12 + draws[step]]
        back = towards.view(-1)[base + here]
        there = torch.cat([around, back[:, None]], 1).gather(1, turn[:, None])[:, 0]
        place = base + there
        towards.view(-1)[place] = here.where(turn < BACK, towards.view(-1)[place])
        new.view(-1)[place] = False
        here = there
    return towards[:, :count]


def rerooted(towards: Tensor, root: Tensor) -> Tensor:
    """The same trees towards other roots [R]: the pointers on the way to the old ones turn."""
    turned = towards.clone()
    before = here = root[:, None]
    while True:
        turned.scatter_(1, here, before)
        there = towards.gather(1, here)
        if bool((there == here).all()):
            return turned
        before, here = here.where(there != here, before), there


def distances(towards: Tensor) -> Tensor:
    """Steps from every cell to the root [R, c²], by doubling the reach of the pointers."""
    jump = towards
    far = (towards != torch.arange(towards.shape[1])).long()
    while bool(far.gather(1, jump).any()):
        far = far + far.gather(1, jump)
        jump = jump.gather(1, jump)
    return far


def walked(towards: Tensor, start: Tensor) -> Tensor:
    """The cells from starts [R] to the root, bool [R, c²]."""
    on = torch.zeros(towards.shape, dtype=torch.bool)
    here = start[:, None]
    while not bool(on.gather(1, here).all()):
        on.scatter_(1, here, True)
        here = towards.gather(1, here)
    return on


def picked(among: Tensor, bits: Tensor) -> Tensor:
    """One of the columns that are True, uniformly, [R]; `bits` [R] from `bits32`."""
    rank = below(bits, among.sum(1))
    return (among & (among.cumsum(1) == rank[:, None] + 1)).int().argmax(1)


def places(c: int) -> Tensor:
    """Where cells lie on the (2c + 1)² grid [c²]."""
    odd = torch.arange(1, 2 * c, 2)
    return (odd[:, None] * (2 * c + 1) + odd).flatten()


def grids(towards: Tensor, cells: Tensor) -> Tensor:
    """A bool per cell [R, c²] drawn on the grid [R, (2c + 1)²], with its opening to the root."""
    c = math.isqrt(cells.shape[1])
    at = places(c)
    openings = (at + at[towards]) // 2  # of the root, its own place
    grid = torch.zeros(len(cells), (2 * c + 1) ** 2, dtype=torch.bool)
    grid[:, at] = cells
    return grid.scatter_(1, openings, cells)


# ---- any grid, also with loops ---------------------------------------------------------------


def beside(grid: Tensor) -> Tensor:
    """What lies above, below, left and right of the places of a grid [B, H, W], [4, B, H, W]."""
    wide = pad(grid, (1, 1, 1, 1))
    sides = (wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
    return torch.stack(sides)


def flooded(open: Tensor, sources: Tensor) -> Tensor:
    """Steps [B, H, W] from the nearest source over open places; H · W where there is no way."""
    steps = torch.full(open.shape, open[0].numel(), dtype=torch.int64, device=open.device)
    front, dry, step = sources & open, open.clone(), 0
    while bool(front.any()):
        steps[front] = step
        dry &= ~front
        front, step = beside(front).any(0) & dry, step + 1
    return steps


def on_shortest(open: Tensor, starts: Tensor, goals: Tensor) -> Tensor:
    """The open places that lie on a shortest way from a start to a goal, bool [B, H, W]."""
    if not len(open):
        return open
    total = flooded(open, starts) + flooded(open, goals)
    least = total.amin((1, 2), keepdim=True)
    return (total == least) & (least < open[0].numel())
