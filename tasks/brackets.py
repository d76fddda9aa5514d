"""Bracketed expressions of an exact length and bracket depth, and their values.

An expression of 1, 2, 3 or 4 tokens is d, −d, (d) or (−d). A longer one, of n tokens, is
"(" A op B ")" with |A| uniform in 1 … n − 4 and |B| = n − 3 − |A|, as in Delétang et al. 2023,
arXiv:2207.02098, "modular arithmetic (brackets)". Its depth is the deepest nesting of brackets.

Rows of one depth are drawn by the law that redrawing until the depth comes would give, and without
a redraw: `depth_shares` holds how likely each depth is at each size, so that a size |A| and the
depths of A and B are drawn with the weights that they have among expressions of the depth wanted.
Shares are whole numbers of 2⁻³⁰, and all arithmetic is on integers.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from .counter import below, bits32, key_of, words
from .sampling import cells

PLUS, MINUS, TIMES, OPEN, CLOSE = range(5)
"""What the ids m, m + 1, … stand for, after the digits 0 … m − 1."""

COMMON = 64  # a stratum holds a depth that one in so many natural expressions has
LONGEST = 2048  # tokens; weights are exact below 4096, and their tables grow with the square
UNIT = 30  # a share is a number of 2⁻³⁰
TAIL = 10  # depths past the point where 2⁻²⁰ of the rows are left are not drawn
ROW = 42  # a row of cumulated weights takes less than 2⁴²
POSITIVE = (1 << 62) - 1


class Shares(NamedTuple):
    """Shares [depths, sizes + 1] of expressions of a depth, and of that depth at most."""

    exact: Tensor
    most: Tensor

    def sides(self, depth: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Weights with which A and B of these sizes make `depth`: by A; by B, and not by A."""
        by_a = (self.exact[depth - 1, a] * self.most[depth - 1, b]) >> UNIT
        shallow = torch.where(depth > 1, self.most[depth - 2, a], 0)
        return by_a, (shallow * self.exact[depth - 1, b]) >> UNIT

    def weights(self, size: Tensor, depth: Tensor) -> Tensor:
        """Weights [U, sizes] of |A| = 1, 2, … in expressions of a size [U] and depth [U]."""
        a = torch.arange(1, self.exact.shape[1])[None]
        b = size[:, None] - 3 - a
        by_a, by_b = self.sides(depth[:, None], a, b.clamp_min(0))
        return (by_a + by_b).where(b > 0, 0)


@functools.lru_cache(maxsize=64)
def depth_shares(length: int) -> Shares:
    """Shares of every depth at the sizes up to `length`; size 0 has none."""
    sizes = torch.arange(length + 1)
    exact = [torch.where((sizes == 1) | (sizes == 2), 1 << UNIT, 0)]
    most = [exact[0]]
    tail = max(1 << TAIL, 2 * length)  # rounding loses under a unit a token
    while int(most[-1][length]) < (1 << UNIT) - tail:
        depth = torch.full_like(sizes, len(exact))
        weights = Shares(torch.stack(exact), torch.stack(most)).weights(sizes, depth)
        longer = weights.sum(1) // (sizes - 4).clamp_min(1)
        short = (sizes == 3) | (sizes == 4)
        first = (1 << UNIT) * int(len(exact) == 1)
        exact.append(longer.where(sizes > 4, short * first))
        most.append(most[-1] + exact[-1])
    return Shares(torch.stack(exact), torch.stack(most))


def natural_depths(key: int, rows: Tensor, length: int) -> Tensor:
    """Depths [R] as natural expressions have them."""
    most = depth_shares(length).most[:, length].contiguous()
    draws = (words(key, rows, 1)[:, 0] & POSITIVE) % most[-1]
    return torch.bucketize(draws, most, right=True)


def common_depths(rows: Tensor, length: int) -> Tensor:
    """Depths [R] in turn: those that at least one in COMMON natural expressions has."""
    shares = depth_shares(length).exact[:, length]
    depths = (shares * COMMON >= 1 << UNIT).nonzero()[:, 0]
    return depths[cells(rows, len(depths))[0]]


def expressions(key: int, rows: Tensor, depth: Tensor, length: int, ids: tuple[int, int]) -> Tensor:
    """Tokens [R, length] of expressions of depth [R]; ids: the modulus, the number of operators.

    The parts of all rows are worked on level by level, from the whole rows to their digits.
    """
    modulus, operators = ids
    tokens = below(bits32(key_of(key, "digits"), rows, length), modulus)
    drawn = modulus + below(bits32(key_of(key, "operators"), rows, length), operators)
    draws = [words(key_of(key, what), rows, length) & POSITIVE for what in ("A", "side", "other")]
    row, start, size = (
        torch.arange(len(rows)),
        torch.zeros_like(rows),
        torch.full_like(rows, length),
    )
    while len(row):
        write_ends(tokens, row, start, size, modulus)
        row, start, size, depth = (part[size > 4] for part in (row, start, size, depth))
        a, depths = divided(length, size, depth, [draw[row, start] for draw in draws])
        middle = start + 1 + a
        tokens[row, middle] = drawn[row, middle]
        row, depth = row.repeat(2), torch.cat(depths)
        start, size = torch.cat([start + 1, middle + 1]), torch.cat([a, size - 3 - a])
    return tokens.to(torch.uint8)


def write_ends(tokens: Tensor, row: Tensor, start: Tensor, size: Tensor, modulus: int) -> None:
    """Write the brackets of parts of more than two tokens, and the sign of −d and (−d)."""
    wide, signed = size > 2, (size == 2) | (size == 4)
    tokens[row[wide], start[wide]] = modulus + OPEN
    tokens[row[wide], (start + size - 1)[wide]] = modulus + CLOSE
    tokens[row[signed], (start + size // 4)[signed]] = modulus + MINUS


def divided(
    length: int, size: Tensor, depth: Tensor, draws: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """|A| [S] of parts of more than four tokens, and the depths of A and B."""
    shares = depth_shares(length)
    pairs, group = torch.unique(size * (length + 1) + depth, return_inverse=True)
    cumulated = shares.weights(pairs // (length + 1), pairs % (length + 1)).cumsum(1)  # [U, sizes]
    pick = draws[0] % cumulated[group, -1]
    line = cumulated + (torch.arange(len(pairs)) << ROW)[:, None]
    found = torch.searchsorted(line.flatten(), pick + (group << ROW), right=True)
    a = found - group * length + 1
    by_a, by_b = shares.sides(depth, a, size - 3 - a)
    left = draws[1] % (by_a + by_b) < by_a
    other, most = torch.where(left, size - 3 - a, a), depth - torch.where(left, 1, 2)
    pick = draws[2] % shares.most[most, other]
    shallow = (shares.most[:, other] <= pick).sum(0)
    return a, (torch.where(left, depth - 1, shallow), torch.where(left, shallow, depth - 1))


def nesting(inputs: Tensor, modulus: int) -> Tensor:
    """Bracket depth [B] of rows: the most brackets open at once."""
    steps = (inputs == modulus + OPEN).long() - (inputs == modulus + CLOSE).long()
    return steps.cumsum(1).amax(1).clamp_min(0)


def values(inputs: Tensor, modulus: int) -> Tensor:
    """Value mod m [B, T] of what the innermost open bracket holds so far; × goes before + and −.

    At the end of an expression this is its value. In rows that are none, a closing bracket without
    its opening one and an operator × or + where a value should stand are passed over.
    """
    tokens = inputs.T.contiguous().int()
    state = State(tokens.shape[1], tokens.shape[0], modulus)
    found = [state.read(token) for token in tokens]
    return torch.stack(found, 1).to(inputs.dtype)


class State:
    """Where the evaluation of B rows stands: total + product is the value of the open bracket."""

    def __init__(self, rows: int, length: int, modulus: int) -> None:
        self.modulus, zero = modulus, torch.zeros(rows, dtype=torch.int32)
        self.total, self.product, self.negative = zero, zero, zero  # negative: the pending sign
        self.times = self.valued = torch.zeros(rows, dtype=torch.bool)  # pending ×; a value came
        self.frames = torch.zeros(length + 1, rows, dtype=torch.int32)
        self.depth = torch.zeros(1, rows, dtype=torch.int64)

    def read(self, token: Tensor) -> Tensor:
        """The value [B] after one more token."""
        kind = token - self.modulus
        opens, closes = kind == OPEN, (kind == CLOSE) & (self.depth[0] > 0)
        inner = (self.total + self.product) % self.modulus
        self.enter(opens)
        self.leave(closes)
        self.operand(token.where(kind < 0, inner), (kind < 0) | closes)
        self.operator(kind)
        return (self.total + self.product) % self.modulus

    def enter(self, opens: Tensor) -> None:
        """Keep what stands before an opening bracket, and start anew."""
        frame = ((self.total * self.modulus + self.product) * 2 + self.times) * 2 + self.negative
        self.frames.scatter_(0, self.depth, frame[None])  # where none opens, it is written over
        self.depth = self.depth + opens
        self.total, self.product = (v.where(~opens, 0) for v in (self.total, self.product))
        self.negative, self.times = self.negative.where(~opens, 0), self.times & ~opens
        self.valued = self.valued & ~opens

    def leave(self, closes: Tensor) -> None:
        """Take up again what stood before the opening bracket."""
        self.depth = self.depth - closes.long()
        frame = self.frames.gather(0, self.depth)[0]
        both = frame >> 2
        self.negative = (frame & 1).where(closes, self.negative)
        self.times = ((frame & 2) > 0).where(closes, self.times)
        self.product = (both % self.modulus).where(closes, self.product)
        self.total = (both // self.modulus).where(closes, self.total)

    def operand(self, value: Tensor, comes: Tensor) -> None:
        """Multiply the product by a value, or let a new product begin with it."""
        signed = torch.where(self.negative > 0, self.modulus - value, value)
        begun = signed % self.modulus
        total = self.total.where(self.times, (self.total + self.product) % self.modulus)
        product = torch.where(self.times, self.product * begun % self.modulus, begun)
        self.total, self.product = (
            total.where(comes, self.total),
            product.where(comes, self.product),
        )
        self.valued = self.valued | comes

    def operator(self, kind: Tensor) -> None:
        """Note an operator after a value; before one, − turns the sign."""
        comes = (kind >= PLUS) & (kind <= TIMES)
        binary, minus = comes & self.valued, (kind == MINUS).int()
        self.times = (kind == TIMES).where(binary, self.times)
        turned = (self.negative ^ minus).where(comes, self.negative)
        self.negative = minus.where(binary, turned)
        self.valued = self.valued & ~comes
