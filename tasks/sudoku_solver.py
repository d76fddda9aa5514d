"""A solver of sudoku boards of N×N that works on all constraints at once.

A board is one integer of N³ bits, a bit for every candidate (digit, cell) that is still open, digit
by digit. Each of four kinds of constraint (a cell holds a digit; a row, a column, a box holds each
digit) is met by one of N candidates, which lie at fixed steps from each other. So a few operations
on long integers find all constraints of a kind with one candidate left (naked and hidden singles)
or with none. The constraints are those of Knuth's exact cover (2000, "Dancing Links",
arXiv:cs/0011047).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
"""N -> rows and columns of a box."""


def size_of(length: int) -> int:
    """N of a board of N² cells, 0 if there is no such board."""
    return next((size for size in BOXES if size * size == length), 0)


@dataclass(frozen=True)
class Rules:
    """A board's candidates as bits: bit (d − 1)·N² + cell says that digit d may stand there.

    kinds: for each kind of constraint, a bit for the first candidate of every constraint, how far
    the others lie from it, and a bit at each of these distances. keep: for each candidate, all that
    may stand beside it.
    """

    size: int
    full: int
    kinds: tuple[tuple[int, tuple[int, ...], int], ...]
    keep: tuple[int, ...]


@functools.cache
def rules_of(size: int) -> Rules:
    """The rules of an N×N board."""
    area, (high, wide) = size**2, BOXES[size]
    digits, rows, columns = range(0, size**3, area), range(0, area, size), range(size)
    corners = [row + column for row in rows[::high] for column in columns[::wide]]
    inside = [row + column for row in rows[:high] for column in columns[:wide]]
    groups = [(list(range(area)), list(digits))]  # where the constraints begin, and their steps
    for begins, steps in ((rows, columns), (columns, rows), (corners, inside)):
        groups.append(([digit + begin for digit in digits for begin in begins], list(steps)))
    kinds = tuple((bits(begins), tuple(steps), bits(steps)) for begins, steps in groups)
    rivals = [0] * size**3
    for begins, steps in groups:
        for begin in begins:
            for step in steps:
                rivals[begin + step] |= bits(steps) << begin
    full = (1 << size**3) - 1
    keep = tuple(full & ~rival | 1 << k for k, rival in enumerate(rivals))
    return Rules(size, full, kinds, keep)


def bits(places: Iterable[int]) -> int:
    """An integer with a bit at every place."""
    return sum(1 << place for place in places)


def settle(rules: Rules, left: int, placed: int) -> tuple[int, int] | None:
    """Place singles until there are no more, from candidates left and placed; None: no solution."""
    while True:
        forced = 0
        for first, shifts, spread in rules.kinds:
            once = twice = 0
            for shift in shifts:
                here = left >> shift & first
                twice |= once & here
                once |= here
            if once != first:
                return None
            forced |= left & (once ^ twice) * spread  # the bits of a product that never carries
        new = forced & ~placed
        if not new:
            return left, placed
        placed |= new
        while new:
            bit = new & -new
            if not left & bit:
                return None
            left &= rules.keep[bit.bit_length() - 1]
            new ^= bit


def narrowest(rules: Rules, left: int) -> list[int]:
    """The candidates, least digit first, of the first of the cells that have fewest, but over one.

    at_least[k] holds the cells of at least k candidates.
    """
    cells, steps, spread = rules.kinds[0]
    at_least = [cells] + [0] * (rules.size + 1)
    for step in steps:
        here = left >> step & cells
        for count in range(rules.size, 0, -1):
            at_least[count] |= at_least[count - 1] & here
    exactly = (more & ~most for more, most in itertools.pairwise(at_least[2:]))
    fewest = next(filter(None, exactly))
    first = fewest & -fewest
    return places(left & first * spread)


def places(found: int) -> list[int]:
    """Where an integer has bits, upwards."""
    where = []
    while found:
        bit = found & -found
        where.append(bit.bit_length() - 1)
        found ^= bit
    return where


def as_they_are(choices: list[int]) -> None:
    """Leave the order of choices alone."""


def solve(
    rules: Rules, left: int, placed: int = 0, mix: Callable[[list[int]], None] = as_they_are
) -> tuple[int, int]:
    """A solution's candidates (0: none) and the guesses that it took: branches tried in all."""
    settled = settle(rules, left, placed)
    if settled is None:
        return 0, 0
    left, placed = settled
    if left == placed:
        return placed, 0
    guesses, choices = 0, narrowest(rules, left)
    mix(choices)
    for choice in choices:
        found, deeper = solve(rules, left & rules.keep[choice], placed, mix)
        guesses += 1 + deeper
        if found:
            return found, guesses
    return 0, guesses


def candidates(rules: Rules, board: bytes) -> tuple[int, int]:
    """The candidates that a board of digits leaves (0 is an empty cell), and the placed ones."""
    area = rules.size**2
    given = [(digit - 1) * area + cell for cell, digit in enumerate(board) if digit]
    return left_by(rules, given), bits(given)


def left_by(rules: Rules, given: Iterable[int]) -> int:
    """The candidates that placed ones leave."""
    left, keep = rules.full, rules.keep
    for candidate in given:
        left &= keep[candidate]
    return left


def written(rules: Rules, placed: int) -> bytes:
    """Placed candidates as a board of digits; empty cells where there are none."""
    board = bytearray(rules.size**2)
    for candidate in places(placed):
        digit, cell = divmod(candidate, len(board))
        board[cell] = digit + 1
    return bytes(board)


@functools.lru_cache(maxsize=2**16)
def solution_of(size: int, board: bytes) -> bytes:
    """A solution of a board, zeros if it has none."""
    rules = rules_of(size)
    return written(rules, solve(rules, *candidates(rules, board))[0])
