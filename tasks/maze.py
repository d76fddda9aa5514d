"""Maze: mark the one path from S to G in a perfect maze of c×c cells.

The row is a grid of (2c + 1)² places, row by row. Ids: 0 wall, 1 free, 2 S, 3 G, 4 the separator.
The answer is 1 on the path, S and G included, else 0; scored is what is no wall. In place, a row is
the grid; in the layout `copy`, [grid, 4, grid], it can be answered from left to right. Both hold
the same mazes. On a grid that has loops, what lies on any shortest path is right.

A maze is drawn by depth-first search from a random cell, S is a random cell, and G one of those
whose distance d from S, in steps from cell to cell, lies in the row's bin: [1, c), [c, 2c), [2c,
4c) or [4c, c²), dealt in turn; a bin that holds no distance below c² is left out. If no cell is so
far away, the maze is drawn anew. The second axis counts the junctions on the path: cells with three
openings or more. The walls tell the split, by their hash: no test maze is met in training with
other ends either, even where there are few (88 of 3×3 cells that such a search can draw, 13 of them
the tests'; of 2×2 there are 4, too few to be divided). Mazes are drawn faster than models read
them, tens of thousands a second at c = 7, so that they are not kept.

A path of d steps takes 2d + 1 of the 2c² − 1 open places, mostly the smaller part, so that leaving
all off the path is right more often than not.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of
from .layouts import LAYOUTS, copied, first, second, shifted
from .maze_grids import (
    beside,
    carved,
    distances,
    grids,
    on_shortest,
    picked,
    places,
    rerooted,
    walked,
)
from .sampling import cells, chunked, doubling, doubling_name
from .shares import in_split
from .task import Batch, Rule, Split, Task, measured_rules, require_known, require_sizes

WALL, FREE, START, GOAL, SEPARATOR = range(5)
AT_ONCE = 1024
"""Draws for rows whose first ones did not fit: so many at once take little longer than one."""


def cells_across(length: int) -> int:
    """The c of a grid of (2c + 1)² places, 0 if there is none with c ≥ 3."""
    side = math.isqrt(max(length, 0))
    return side // 2 if side * side == length and side % 2 and side >= 7 else 0


def path_bins(c: int) -> list[range]:
    """Bins of the path length in steps from cell to cell; the last ones may be empty."""
    ends = [min(end, c * c) for end in (1, c, 2 * c, 4 * c, c * c)]
    return [range(low, high) for low, high in itertools.pairwise(ends)]


@dataclass(frozen=True, kw_only=True)
class Maze(Task):
    """Maze; strata: path (bin of its length) and junctions (on it, doubling bins).

    layout place|copy.
    """

    layout: str = "place"

    name: ClassVar[str] = "maze"
    version: ClassVar[int] = 2  # type: ignore[misc]
    vocab: ClassVar[int] = 5  # type: ignore[misc]
    classes: ClassVar[int] = 2  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("path",)  # type: ignore[misc]
    source: ClassVar[str] = "Schwarzschild et al. 2021, arXiv:2106.04537 (mazes); drawn here"
    solved_by: ClassVar[str] = "recurrent convolutions with recall (Bansal et al. 2022)"
    lengths: ClassVar[tuple[int, int]] = (49, 81)
    examples: ClassVar = ({}, {"layout": "copy"})

    def __post_init__(self) -> None:
        """Refuse unknown layouts."""
        require_known("layout", self.layout, LAYOUTS)

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """A place's answer needs the whole grid, which the layout `copy` shows before."""
        return self.layout == "copy"

    def form(self, causal: bool) -> Task:
        """The same mazes copied for causal methods; as they are for others."""
        return replace(self, layout="copy") if causal else self

    def require_length(self, length: int) -> None:
        """Refuse what is no grid."""
        if not cells_across(length):
            raise ValueError(
                f"expected a length of (2c + 1)² with c ≥ 3 (49, 81, 121, …), got {length}"
            )

    def positions(self, length: int) -> int:
        """The places, and in the layout `copy` the separator and the places again."""
        return length if self.layout == "place" else 2 * length + 1

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Mazes with their paths, in uint8."""
        require_sizes(self, n, length, split)
        key = key_of(self.name, self.version, split, seed, length)
        return chunked(lambda rows: self.batch(*drawn(key, rows, length, split)), n)

    def batch(self, inputs: Tensor, targets: Tensor) -> Batch:
        """Grids [R, L] and paths with all that follows from them."""
        c = cells_across(inputs.shape[1])
        steps = targets.sum(1, dtype=torch.int64) // 2
        ends = torch.tensor([bin.stop for bin in path_bins(c)[:-1]])
        forks = (openings(inputs) >= 3) & (targets > 0)
        strata = {
            "path": torch.bucketize(steps, ends, right=True),
            "junctions": doubling(forks.sum(1)),
        }
        batch = Batch(inputs, targets, inputs > WALL, strata)
        return batch if self.layout == "place" else copied(batch, SEPARATOR)

    def label(self, inputs: Tensor) -> Tensor:
        """1 on all shortest paths, found by flooding the grid from both ends."""
        grid = square(self.grid(inputs))
        open = (grid > WALL) & (grid < SEPARATOR)
        on = on_shortest(open, grid == START, grid == GOAL)
        return self.placed(on.flatten(1).to(inputs.dtype))

    def grid(self, column: Tensor) -> Tensor:
        """The grid [B, L] that inputs [B, T] show."""
        return column if self.layout == "place" else first(column)

    def placed(self, column: Tensor) -> Tensor:
        """A column [B, L] of the grid at the positions [B, T] that are answered."""
        return column if self.layout == "place" else shifted(column)

    # ---- levels ------------------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """S and G on the path and the rest off it, or all on; measured, bins being uneven."""
        levels = measured_rules(self, length)
        return max(levels["ends alone"], levels["all open"])

    def rules(self) -> dict[str, Rule]:
        """S and G alone; all that is open; all that is open but dead ends."""
        return {
            "ends alone": lambda inputs: self.answered(inputs, self.is_end(inputs)),
            "all open": lambda inputs: self.answered(inputs, self.grid(inputs) > WALL),
            "no dead ends": lambda inputs: self.answered(
                inputs, (openings(self.grid(inputs)) > 1) | self.is_end(inputs)
            ),
        }

    def is_end(self, inputs: Tensor) -> Tensor:
        """Where S and G are, bool [B, L]."""
        grid = self.grid(inputs)
        return (grid == START) | (grid == GOAL)

    def answered(self, inputs: Tensor, on: Tensor) -> Tensor:
        """Answers [B, T] that tell the open places of a mask [B, L] to be on the path."""
        return self.placed((on & (self.grid(inputs) > WALL)).to(inputs.dtype))

    # ---- names -------------------------------------------------------------------------------

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`path c to 2c`, in steps from cell to cell; `junctions 2-3`."""
        if axis == "junctions":
            return f"junctions {doubling_name(stratum)}"
        return f"path {('under c', 'c to 2c', '2c to 4c', 'from 4c')[stratum]}"

    def input_name(self, token: int) -> str:
        """`#` for a wall, `_` for a free place, S, G, `|` for the separator."""
        return "#_SG|"[token]

    def answer_name(self, token: int) -> str:
        """0 or 1."""
        return str(token)

    def show(self, batch: Batch, row: int) -> str:
        """The maze, dots on its path."""
        grid = square(self.grid(batch.inputs[row : row + 1]))[0]
        targets = batch.targets[row : row + 1]
        on = square(targets if self.layout == "place" else second(targets))[0]
        drawn = torch.where((grid == FREE) & (on > 0), SEPARATOR, grid)
        lines = ["".join("█ SG·"[place] for place in line) for line in drawn.tolist()]
        strata = [self.stratum_name(a, int(c[row])) for a, c in batch.strata.items()]
        return "\n".join([*lines, f"{int(on.sum()) // 2} steps: {', '.join(strata)}"])


def square(grid: Tensor) -> Tensor:
    """Grids [B, L] as [B, H, W]."""
    side = math.isqrt(grid.shape[1])
    return grid.unflatten(1, (side, side))


def openings(grid: Tensor) -> Tensor:
    """Open places beside each open one, 0 for a wall, [B, L]."""
    open = square(grid) > WALL
    return (beside(open).sum(0) * open).flatten(1)


def drawn(key: int, rows: Tensor, length: int, split: Split) -> tuple[Tensor, Tensor]:
    """Grids and their paths, uint8 [R, L] both: of each row the first draw that fits."""
    bins = [bin for bin in path_bins(cells_across(length)) if bin]
    (chosen,) = cells(rows, len(bins))
    low = torch.tensor([bin.start for bin in bins])[chosen]
    high = torch.tensor([bin.stop for bin in bins])[chosen]
    inputs = torch.zeros(len(rows), length, dtype=torch.uint8)
    targets, pending, attempt = inputs.clone(), torch.arange(len(rows)), 0
    while count := len(pending):
        many = max(1, AT_ONCE // count)  # attempts of every row, by numbers of their own
        numbers = rows[pending] + (torch.arange(attempt, attempt + many)[:, None] << 32)
        bounds = low[pending].repeat(many), high[pending].repeat(many)
        grid, on, found = tried(key, numbers.flatten(), *bounds, cells_across(length))
        fits = (found & in_split((grid > WALL).long(), split)).view(many, count)
        fit, first_fit = fits.any(0), fits.int().argmax(0) * count + torch.arange(count)
        inputs[pending[fit]], targets[pending[fit]] = grid[first_fit[fit]], on[first_fit[fit]]
        pending, attempt = pending[~fit], attempt + many
    return inputs, targets


def tried(
    key: int, rows: Tensor, low: Tensor, high: Tensor, c: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Grids and paths [R, L], and whether [R] G could be put at least low, less than high away."""
    draws = bits32(key_of(key, "ends"), rows, 2)
    start = below(draws[:, 0], c * c)
    towards = rerooted(carved(key, rows, c), start)
    far = distances(towards)
    among = (far >= low[:, None]) & (far < high[:, None])
    goal = picked(among, draws[:, 1])
    grid = grids(towards, torch.ones_like(among)).to(torch.uint8)
    for end, token in ((start, START), (goal, GOAL)):
        grid.scatter_(1, places(c)[end][:, None], token)
    return grid, grids(towards, walked(towards, goal)).to(torch.uint8), among.any(1)
