"""Sudoku: fill the empty cells so that every row, column and box holds each digit once.

Boards of 4×4, 6×6 and 9×9 (boxes of 2×2, 2×3 and 3×3, rows × columns), row by row. Ids: 0 an empty
cell, 1 … 9 digits, 10 the separator, the same on all boards, so that a model may meet several of
them. The answer at an empty cell is its digit, class d for digit d; class 0 is never right. Scored
are the empty cells alone, and no board has a second solution. In place, a row is the board; in the
layout `copy`, [board, 10, board], it can be answered from left to right. Both hold the same boards.

A board is a random solution (on 4×4 any of the split's with equal chance; else by backtracking, its
digits renamed until its split is the row's: no uniform draw), emptied cell by cell in
random order wherever its solution stays the only one, until as many cells are empty as wanted, or
drawn anew. The dial is the number of empty cells, in thirds of fewest … most as equal as can be
(6–7, 8, 9–10; 14–16, 17–19, 20–22; 30–34, 35–40, 41–45; 50–52, 53–55, 56–58), dealt in turn and
uniform within. The second axis is the number of guesses, branches tried in all, of a solver that
places naked and hidden singles and else guesses in a cell of fewest candidates. Nearly all boards
need none; where `most` is 50 or more, 0, 1–2 and more are aimed at with up to four boards for each
row, and what is found is what is told.

A solution tells its split, by its hash: no test solution, on whatever board, is met in training.
With `boards`, the training rows after so many are their arrangements: digits renamed; bands,
stacks, and rows and columns in them, permuted; transposed, where a box is square. They are told
with their board's guesses, which another order of cells may change, and those of another split's
solution are drawn again. Up to arrangement there are 2 solutions of 4×4, a few dozen of 6×6 and
5,472,730,538 of 9×9 (Russell and Jarvis 2006): on 9×9 alone is a new solution also a new
arrangement, but for one in millions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from .counter import key_of
from .layouts import LAYOUTS, copied, first, second, shifted
from .pool import pooled
from .sampling import chunked
from .sudoku_boards import arrangements, make_boards, thirds
from .sudoku_solver import BOXES, size_of, solution_of
from .task import Batch, Check, Rule, Split, Task, require_known, require_sizes

SEPARATOR = 10
EMPTIES = {4: (6, 10, 12), 6: (14, 22, 26), 9: (30, 45, 58)}
"""N -> fewest and most empty cells by default, and the most that is drawn in reasonable time."""


@dataclass(frozen=True, kw_only=True)
class Sudoku(Task):
    """Sudoku; strata: empties (third of the range) and guesses (0, 1–2, more).

    layout place|copy; fewest and most empty cells, 0 for the board's own; boards: how many training
    rows are boards of their own, 0 for all of them.
    """

    layout: str = "place"
    fewest: int = 0
    most: int = 0
    boards: int = 0

    name: ClassVar[str] = "sudoku"
    version: ClassVar[int] = 2  # type: ignore[misc]
    vocab: ClassVar[int] = SEPARATOR + 1  # type: ignore[misc]
    classes: ClassVar[int] = 10  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("empties",)  # type: ignore[misc]
    source: ClassVar[str] = "Wang et al. 2025, arXiv:2506.21734 (9×9); boards drawn here"
    titles: ClassVar[Mapping[str, str]] = {"legal": "Answers that no given contradicts, %"}
    solved_by: ClassVar[str] = "models that iterate; feed-forward ones fail on hard boards"
    lengths: ClassVar[tuple[int, int]] = (16, 36)
    examples: ClassVar = ({}, {"layout": "copy"}, {"boards": 48})

    def __post_init__(self) -> None:
        """Refuse unknown layouts and negative numbers."""
        require_known("layout", self.layout, LAYOUTS)
        for option in ("fewest", "most", "boards"):
            if getattr(self, option) < 0:
                raise ValueError(f"expected {option} ≥ 0, got {getattr(self, option)}")

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """A cell's digit needs the whole board, which the layout `copy` shows before."""
        return self.layout == "copy"

    def form(self, causal: bool) -> Task:
        """The same boards copied for causal methods; as they are for others."""
        return replace(self, layout="copy") if causal else self

    def require_length(self, length: int) -> None:
        """Refuse what is no board, and numbers of empty cells that it cannot have."""
        if not size_of(length):
            raise ValueError(
                f"expected a length of 16, 36 or 81 (boards of 4, 6 or 9), got {length}"
            )
        low, high, limit = *self.empties(length), EMPTIES[size_of(length)][2]
        if not 1 <= low <= high <= limit:
            raise ValueError(
                f"expected 1 ≤ fewest ≤ most ≤ {limit} empty cells at length {length}, "
                f"got {low} and {high}"
            )

    def empties(self, length: int) -> tuple[int, int]:
        """Fewest and most empty cells."""
        low, high, _ = EMPTIES[size_of(length)]
        return self.fewest or low, self.most or high

    def positions(self, length: int) -> int:
        """The cells, and in the layout `copy` the separator and the cells again."""
        return length if self.layout == "place" else 2 * length + 1

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Boards of a pool, and in training their arrangements."""
        require_sizes(self, n, length, split)
        size, empties = size_of(length), self.empties(length)
        key = key_of(self.name, self.version, *empties, split, seed, length)
        own = min(n, self.boards) if split == "train" and self.boards else n
        make = functools.partial(make_boards, size, key, split, *empties)
        pool = pooled(f"sudoku-{size}x{size}-{split}", key, own, make)

        def rows_of(rows: Tensor) -> Batch:
            drawn = {name: column[rows % max(own, 1)] for name, column in pool.items()}
            arranged = rows >= own
            pair = torch.stack([drawn["puzzle"], drawn["solution"]], 1)  # [R, 2, L]
            pair[arranged] = arrangements(key, rows[arranged], pair[arranged])
            return self.batch(pair[:, 0], pair[:, 1], drawn["guesses"])

        return chunked(rows_of, n)

    def batch(self, puzzle: Tensor, solution: Tensor, guesses: Tensor) -> Batch:
        """Boards [R, L] with all that follows from them."""
        mask = puzzle == 0
        low, high = self.empties(puzzle.shape[1])
        ends = torch.tensor([bin.stop for bin in thirds(low, high)[:2]])
        strata = {
            "empties": torch.bucketize(mask.sum(1), ends, right=True),
            "guesses": guesses.long(),
        }
        batch = Batch(puzzle, solution.where(mask, 0), mask, strata)
        return batch if self.layout == "place" else copied(batch, SEPARATOR)

    def label(self, inputs: Tensor) -> Tensor:
        """The digits of a solution in the empty cells; zeros where a board has none."""
        boards = self.board(inputs)
        size = size_of(boards.shape[1])
        solved = [list(solution_of(size, bytes(board))) for board in boards.tolist()]
        solution = torch.tensor(solved, dtype=inputs.dtype, device=inputs.device)
        return self.placed(solution.view_as(boards).where(boards == 0, 0))

    def board(self, column: Tensor) -> Tensor:
        """The board [B, L] that inputs show, with cells of no digit of its size empty."""
        board = column if self.layout == "place" else first(column)
        return board.where(board <= size_of(board.shape[1]), 0)

    def placed(self, column: Tensor) -> Tensor:
        """A column [B, L] of the board at the positions [B, T] that are answered."""
        return column if self.layout == "place" else shifted(column)

    # ---- levels and metrics ------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """Any of the N digits."""
        return 1 / size_of(length)

    def rules(self) -> dict[str, Rule]:
        """The least digit that no given of the cell's row, column and box forbids."""
        return {"smallest legal digit": self.smallest_legal}

    def smallest_legal(self, inputs: Tensor) -> Tensor:
        """The rule's answers [B, T]; 0 where no digit is legal."""
        legal = legal_digits(self.board(inputs))
        least = legal.int().argmax(2)  # the first of equals; class 0 is never legal
        return self.placed(least.to(inputs.dtype))

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Legal: no given of the cell's row, column or box is the answer."""
        place = self.layout == "place"
        legal = legal_digits(self.board(batch.inputs))
        answered = (answers if place else second(answers)).long()
        fits = legal.gather(2, answered[:, :, None]).squeeze(2)
        return {"legal": (self.placed(fits), batch.mask)}

    # ---- names -------------------------------------------------------------------------------

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`empties 1/3`, fewest first; `guesses 1-2`."""
        if axis == "empties":
            return f"empties {stratum + 1}/3"
        return f"guesses {('0', '1-2', '3+')[stratum]}"

    def input_name(self, token: int) -> str:
        """A digit, `.` for an empty cell, `|` for the separator."""
        return {0: ".", SEPARATOR: "|"}.get(token, str(token))

    def show(self, batch: Batch, row: int) -> str:
        """The board and its solution, side by side."""
        board = self.board(batch.inputs[row : row + 1])
        answers = batch.targets[row : row + 1]
        answers = answers if self.layout == "place" else second(answers)
        solution = torch.where(board == 0, answers, board)
        strata = [self.stratum_name(a, int(c[row])) for a, c in batch.strata.items()]
        pair = zip(ruled(board[0].tolist()), ruled(solution[0].tolist()), strict=True)
        lines = [f"{left}     {right}" for left, right in pair]
        return "\n".join([*lines, f"{int((board == 0).sum())} empty: {', '.join(strata)}"])


def legal_digits(board: Tensor) -> Tensor:
    """Digits that no given of the cell's row, column or box is, bool [B, L, 10]; 0 never."""
    size = size_of(board.shape[1])
    high, wide = BOXES[size]
    given = one_hot(board.long(), SEPARATOR)[..., 1 : size + 1].bool()  # [B, L, N]
    grid = given.unflatten(1, (size, size))
    boxes = given.unflatten(1, (size // high, high, size // wide, wide))
    used = grid.any(1, keepdim=True) | grid.any(2, keepdim=True)  # [B, N, N, N]
    in_box = boxes.any(4, keepdim=True).any(2, keepdim=True).expand_as(boxes)
    legal = ~(used.flatten(1, 2) | in_box.flatten(1, 4))
    return torch.nn.functional.pad(legal, (1, SEPARATOR - 1 - size))


def ruled(board: list[int]) -> list[str]:
    """A board as lines of text, with lines between its boxes."""
    size = size_of(len(board))
    high, wide = BOXES[size]
    words = ["." if digit == 0 else str(digit) for digit in board]
    text = []
    for row in range(size):
        if row and row % high == 0:
            text.append("┼".join(["─" * (2 * wide + 1)] * (size // wide)))
        line = words[row * size : (row + 1) * size]
        boxes = [" ".join(line[c : c + wide]) for c in range(0, size, wide)]
        text.append("│".join(f" {box} " for box in boxes))
    return text
