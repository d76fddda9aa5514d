"""Cellular automata: the cells after k steps, for a k that the row spells out.

Ids: cells 0 and 1, STEP 2, SEP 3, PAD 4. A row is (K−k) × PAD, k × STEP, then W cells (life: a
square board, row by row); length = W + K, so that a longer row of as many cells is more steps. The
answer on a cell is its state after k steps; cells are scored. Edges wrap around. k = 1 … K, all in
turn, is the dial: the number of updates that must be made one after the other. It is as many
tokens, since an id per k would never have been trained for a larger k. Cells are fair bits, redrawn
where state k equals state k−1 or k−2, so that no row has stopped or blinks by then.

In place a cell's answer needs the cells after it; for methods that read from left to right the row
is written twice with SEP between, and answered on the second writing. The rows are the same.

Rules: 110, a cell lives if it or its right neighbour does, but not if all three of them do; life, a
cell lives with three live neighbours, or with two if it lived. Chosen here: fair bits, borders that
wrap, steps as tokens; a ring of at least 6 cells and a board of at least 4 × 4 (on smaller ones
everything stops), and life to K ≤ 4 sides, up to where 8 boards of 100 or more still move.

Cook 2004, "Universality in elementary cellular automata", Complex Systems 15(1); Gardner 1970, "The
fantastic combinations of John Conway's new solitaire game 'life'", Scientific American 223(4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .counter import bits16, key_of
from .layouts import LAYOUTS, copied, first, second
from .sampling import cells, chunked
from .task import Batch, Rule, Split, Task, key_parts, require_known, require_sizes

STEP, SEP, PAD = 2, 3, 4
NEVER = 2
"""No cell's state: what stands for the states before the first."""
CELL_RULES = ("110", "life")
MOST_SIDES = 4


def rule_110(state: Tensor) -> Tensor:
    """The next state of rings [R, W]; bit 4l + 2c + r of 110 for neighbours l, r and cell c."""
    left, right = state.roll(1, 1), state.roll(-1, 1)
    return (state | right) ^ (left & state & right)


def life(state: Tensor) -> Tensor:
    """The next state of square boards [R, W] on a torus: 3 live cells in nine, or 4 with itself."""
    side = math.isqrt(state.shape[1])
    board = state.view(-1, side, side)
    rows = board + board.roll(1, 2) + board.roll(-1, 2)
    nine = rows + rows.roll(1, 1) + rows.roll(-1, 1)
    return ((nine == 3) | ((nine == 4) & (board == 1))).to(state.dtype).flatten(1)


@dataclass(frozen=True, kw_only=True)
class CASteps(Task):
    """Cells after k steps; stratum: steps (k).

    rule 110|life; width: cells, for life a square number; layout place|copy.
    """

    rule: str = "110"
    width: int = 32
    layout: str = "place"

    name: ClassVar[str] = "ca_steps"
    version: ClassVar[int] = 1  # type: ignore[misc]
    vocab: ClassVar[int] = 5  # type: ignore[misc]
    classes: ClassVar[int] = 2  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("steps",)  # type: ignore[misc]
    source: ClassVar[str] = "Cook 2004, Complex Systems 15(1); Gardner 1970, Sci. Am. 223(4)"
    solved_by: ClassVar[str] = "iterative methods with as many iterations as steps"
    lengths: ClassVar[tuple[int, int]] = (38, 44)
    examples: ClassVar = (
        {},
        {"layout": "copy"},
        {"rule": "life", "width": 36},
        {"rule": "life", "width": 36, "layout": "copy"},
    )

    def __post_init__(self) -> None:
        """Refuse unknown names, and boards that are no squares or on which all stops."""
        require_known("rule", self.rule, CELL_RULES)
        require_known("layout", self.layout, LAYOUTS)
        if self.rule == "110" and self.width < 6:
            raise ValueError(f"expected a width of at least 6 cells, got {self.width}")
        if self.rule == "life" and (self.width < 16 or self.side**2 != self.width):
            raise ValueError(f"expected a width of 16, 25, 36, … cells, got {self.width}")

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """In the copy layout only."""
        return self.layout == "copy"

    @property
    def side(self) -> int:
        """Cells along an edge of the board."""
        return math.isqrt(max(self.width, 0))

    def form(self, causal: bool) -> Task:
        """Copied for causal methods, in place for all others."""
        return replace(self, layout="copy" if causal else "place")

    def positions(self, length: int) -> int:
        """`length` in place, twice that and a SEP if copied."""
        return 2 * length + 1 if self.causal else length

    def require_length(self, length: int) -> None:
        """W + K positions for K ≥ 1 steps, of life no more than four sides."""
        least, most = self.width + 1, self.width + MOST_SIDES * self.side
        if length < least:
            raise ValueError(
                f"expected a length of at least {least}, {self.width} cells and one step, "
                f"got {length}"
            )
        if self.rule == "life" and length > most:
            raise ValueError(
                f"expected a length of at most {most}, {self.width} cells and "
                f"{most - self.width} steps, got {length}"
            )

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, positions(length)], the same in both layouts."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(replace(self, layout="place"), seed, split, length))
        most = length - self.width

        def make(rows: Tensor) -> Batch:
            batch = self.batch(key, rows, most)
            return copied(batch, SEP) if self.causal else batch

        return chunked(make, n)

    def batch(self, key: int, rows: Tensor, most: int) -> Batch:
        """Some rows in place."""
        steps = cells(rows, most)[0] + 1  # [R]
        start, end = self.draw(key, rows, steps)
        spelt = torch.where(torch.arange(most) < most - steps[:, None], PAD, STEP)
        head = spelt.to(torch.uint8)  # [R, K]
        inputs = torch.cat([head, start], 1)
        targets = torch.cat([torch.zeros_like(head), end], 1)
        mask = torch.arange(most + self.width) >= most
        return Batch(inputs, targets, mask.repeat(len(rows), 1), {"steps": steps})

    def draw(self, key: int, rows: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Cells before and after the steps, both [R, W]; a row that has settled is redrawn."""
        start = torch.empty(len(rows), self.width, dtype=torch.uint8)
        end, waiting, attempt = torch.empty_like(start), torch.arange(len(rows)), 0
        while len(waiting):
            bits = bits16(key_of(key, "cells", attempt), rows[waiting], self.width)
            start[waiting] = (bits & 1).to(torch.uint8)
            now, before, earlier = self.trail(start[waiting], steps[waiting])
            end[waiting] = now
            settled = (now == before).all(1) | (now == earlier).all(1)
            waiting, attempt = waiting[settled], attempt + 1
        return start, end

    def trail(self, start: Tensor, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States [R, W] after k, k−1 and k−2 steps, each row with its own k ≥ 0."""
        update = rule_110 if self.rule == "110" else life
        rank = steps.argsort(descending=True)  # the rows that still run come first
        now = start[rank]
        before, earlier = torch.full_like(now, NEVER), torch.full_like(now, NEVER)
        for step in range(1, int(steps.max()) + 1 if len(steps) else 1):
            running = int((steps >= step).sum())
            earlier[:running], before[:running] = before[:running], now[:running]
            now[:running] = update(now[:running])
        back = rank.argsort()
        return now[back], before[back], earlier[back]

    def label(self, inputs: Tensor) -> Tensor:
        """States after as many steps as there are STEP before the cells; else than 1 is dead."""
        return self.answered(inputs, 0)

    def answered(self, inputs: Tensor, fewer: int) -> Tensor:
        """States after k − `fewer` steps where they are scored, [B, T]; zeros elsewhere."""
        odd = inputs.shape[1] - 1 + inputs.shape[1] % 2
        row = first(inputs[:, :odd]) if self.causal else inputs
        answers = torch.zeros_like(inputs)
        if row.shape[1] < self.width:
            return answers
        start = (row[:, -self.width :] == 1).to(torch.uint8)
        steps = (row[:, : -self.width] == STEP).sum(1) - fewer
        answers[:, -self.width :] = self.trail(start, steps.clamp_min(0))[0].to(inputs.dtype)
        return answers

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A coin for every cell."""
        return 0.5

    def rules(self) -> dict[str, Rule]:
        """The state one step earlier; all cells alive (110) or dead (life), the commoner state."""
        state = int(self.rule == "110")
        return {
            "state after k-1 steps": lambda inputs: self.answered(inputs, 1),
            "all alive" if state else "all dead": lambda inputs: torch.full_like(inputs, state),
        }

    def input_name(self, token: int) -> str:
        """`.` and `#` for cells, `>` a step, `|` and `-` between and before."""
        return ".#>|-"[token]

    def show(self, batch: Batch, row: int) -> str:
        """The cells before and after, as boards of one line (110) or of `side`."""
        inputs, targets = batch.inputs[row : row + 1], batch.targets[row : row + 1]
        if self.causal:
            inputs, targets = first(inputs), second(targets)
        wide = self.width if self.rule == "110" else self.side
        steps = int((inputs[:, : -self.width] == STEP).sum())
        boards = [drawn(part[0, -self.width :].tolist(), wide) for part in (inputs, targets)]
        lines = [f"{before}  {after}" for before, after in zip(*boards, strict=True)]
        if self.rule == "110":
            lines = [boards[0][0], boards[1][0]]
        return "\n".join([f"before and after {steps} steps", *lines])


def drawn(states: list[int], wide: int) -> list[str]:
    """States as lines of `.` and `#`."""
    text = "".join(".#"[state] for state in states)
    return [text[place : place + wide] for place in range(0, len(text), wide)]
