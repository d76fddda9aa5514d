"""Sudoku boards drawn at random: solutions of a split, puzzles with one solution, arrangements."""

from __future__ import annotations

import functools
import itertools
from random import Random

import torch
from torch import Tensor

from .counter import bits32, generator_of, key_of
from .pool import Columns
from .sampling import cells, order
from .shares import in_split, split_of
from .sudoku_solver import (
    BOXES,
    Rules,
    bits,
    candidates,
    left_by,
    rules_of,
    size_of,
    solve,
    written,
)

TRIES = 4
"""Boards drawn for a wanted number of guesses."""
HARD = 50
"""Most empties from which guesses are aimed at: under them nearly all boards need none."""
RENAMINGS = 16
"""Renamings of a solution's digits before another one is drawn."""
ATTEMPTS = 8
"""Arrangements drawn for a training row before its board is taken as it is."""


@functools.cache
def grids_of_four(split: str) -> tuple[bytes, ...]:
    """The solutions of 4×4 of a split, of 288 in all."""
    rows = list(itertools.permutations(range(1, 5)))
    bands = [
        (*upper, *lower)
        for upper, lower in itertools.product(rows, rows)
        if len({*upper[:2], *lower[:2]}) == len({*upper[2:], *lower[2:]}) == 4
    ]
    grids = [
        bytes((*upper, *lower))
        for upper, lower in itertools.product(bands, bands)
        if all(len({*upper[c::4], *lower[c::4]}) == 4 for c in range(4))
    ]
    return tuple(grid for grid in grids if split_of(grid) == split)


def drawn_solution(rules: Rules, random: Random, split: str) -> bytes:
    """A full board of a split: the first row first, then singles and random guesses, renamed.

    Of 4×4, where a search would find some five times as often as others, any with equal chance.
    """
    if rules.size == 4:
        return random.choice(grids_of_four(split))
    row = bytes(range(1, rules.size + 1))
    while True:
        start = candidates(rules, row.ljust(rules.size**2, b"\0"))
        board = written(rules, solve(rules, *start, random.shuffle)[0])
        for _ in range(RENAMINGS):
            renamed = board.translate(bytes([0, *random.sample(row, rules.size)]).ljust(256, b"\0"))
            if split_of(renamed) == split:
                return renamed


def dug(rules: Rules, solution: bytes, empties: int, random: Random) -> bytes | None:
    """A board with this one solution and so many empty cells, in random places; None if stuck.

    A cell may be emptied if no other digit in it leads to a solution. One that may not never will.
    """
    board, area = bytearray(solution), rules.size**2
    given = {cell: (digit - 1) * area + cell for cell, digit in enumerate(solution)}
    for cell in random.sample(range(area), area):
        candidate = given.pop(cell)
        left = left_by(rules, given.values()) & ~(1 << candidate)
        if solve(rules, left, bits(given.values()))[0]:
            given[cell] = candidate
            continue
        board[cell] = 0
        if area - len(given) == empties:
            return bytes(board)
    return None


def guess_bin(guesses: int) -> int:
    """0, 1–2, or 3 and more guesses, as 0, 1, 2."""
    return min((guesses + 1) // 2, 2)


def drawn(
    rules: Rules, random: Random, split: str, empties: int, wanted: int | None
) -> tuple[bytes, bytes, int]:
    """A puzzle, its solution, and its bin of guesses: the wanted one, if TRIES boards have it."""
    tries = 0
    while True:
        solution = drawn_solution(rules, random, split)
        puzzle = dug(rules, solution, empties, random)
        if puzzle is None:
            continue
        tries += 1
        found = guess_bin(solve(rules, *candidates(rules, puzzle))[1])
        if wanted in (None, found) or tries == TRIES:
            return puzzle, solution, found


def thirds(low: int, high: int) -> list[range]:
    """The numbers from low to high in three bins as equal as can be, of which some may be empty."""
    count = high - low + 1
    ends = [low + (j * count + 1) // 3 for j in range(3)] + [high + 1]
    return [range(begin, end) for begin, end in itertools.pairwise(ends)]


def make_boards(size: int, key: int, split: str, low: int, high: int, rows: Tensor) -> Columns:
    """Puzzles and solutions [R, N²] with their bins of guesses [R], for `pooled`.

    Rows are dealt to the thirds of low … high empty cells, and from HARD on to bins of guesses.
    """
    rules, bins, hard = rules_of(size), [bin for bin in thirds(low, high) if bin], high >= HARD
    third, wanted = cells(rows, len(bins), 3 if hard else 1)
    made = []
    for row, j, wish in zip(rows.tolist(), third.tolist(), wanted.tolist(), strict=True):
        random = generator_of(key, row)
        empties = random.choice(bins[j])
        made.append(drawn(rules, random, split, empties, wish if hard else None))
    puzzles, solutions, guesses = zip(*made, strict=True)
    return {
        "puzzle": torch.tensor([list(board) for board in puzzles], dtype=torch.uint8),
        "solution": torch.tensor([list(board) for board in solutions], dtype=torch.uint8),
        "guesses": torch.tensor(guesses, dtype=torch.uint8),
    }


# ---- arrangements -------------------------------------------------------------------------


def arrangements(key: int, rows: Tensor, pair: Tensor) -> Tensor:
    """Puzzles and solutions [R, 2, L], arranged anew; the first ATTEMPTS of a training solution."""
    made, pending = pair.clone(), torch.arange(len(rows))
    for attempt in range(ATTEMPTS):
        tried = arranged(key_of(key, "arrangement", attempt), rows[pending], pair[pending])
        fits = in_split(tried[:, 1], "train")
        made[pending[fits]] = tried[fits]
        pending = pending[~fits]
    return made


def arranged(key: int, rows: Tensor, pair: Tensor) -> Tensor:
    """Puzzles and solutions [R, 2, L] with digits renamed and lines permuted within the rules."""
    size = size_of(pair.shape[2])
    high, wide = BOXES[size]
    names = order(bits32(key_of(key, "digits"), rows, size)) + 1  # [R, N]
    names = torch.cat([torch.zeros_like(names[:, :1]), names], 1)
    across = lines(key_of(key, "rows"), rows, size // high, high)
    down = lines(key_of(key, "columns"), rows, size // wide, wide)
    places = across[:, :, None] * size + down[:, None, :]  # [R, N, N]: where a cell comes from
    if high == wide:
        turned = bits32(key_of(key, "transposed"), rows, 1)[:, :, None] % 2 == 1
        places = places.transpose(1, 2).where(turned, places)
    moved = pair.gather(2, places.flatten(1)[:, None].expand_as(pair))
    return names.gather(1, moved.flatten(1).long()).view_as(pair).to(pair.dtype)


def lines(key: int, rows: Tensor, bands: int, within: int) -> Tensor:
    """A permutation [R, bands · within] of lines that keeps the lines of a band together."""
    draws = bits32(key, rows, bands * (within + 1))
    band = order(draws[:, :bands])[:, :, None]  # [R, bands, 1]
    inside = order(draws[:, bands:].reshape(-1, within)).view(len(rows), bands, within)
    return (band * within + inside).flatten(1)
