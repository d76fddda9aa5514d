"""Finite groups as tables: products, names and lengths of the elements, 0 being the identity.

S3, S5: permutations of three and five points in lexicographic order; A5: the even ones of five in
that order. (p ∘ q)[i] = p[q[i]]. Z60: the numbers 0 … 59 under addition modulo 60. A4 × Z5: id
5 i + z for the i-th even permutation of four points and z of Z5. Tables are made when first used.
The last functions are the probabilities that the levels of random words follow from.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .sampling import count_ends

GROUPS = ("S3", "S5", "A5", "Z60", "A4xZ5")


@dataclass(frozen=True)
class Group:
    """A group of n elements.

    products is [n, n]: products[p, q] = p ∘ q. names are how the elements are written: 21345 maps
    1 to 2 and 2 to 1. cayley [n] is the least number of transpositions that make an element, None
    where the elements are not permutations.
    """

    products: Tensor
    names: tuple[str, ...]
    cayley: Tensor | None = None

    def __len__(self) -> int:
        """The number of elements."""
        return len(self.names)


@functools.lru_cache
def group(name: str) -> Group:
    """The group of that name."""
    if name == "Z60":
        return Group(cyclic(60), tuple(map(str, range(60))))
    if name == "A4xZ5":
        left, right = permutations(4, even=True), cyclic(5)
        names = tuple(f"{p}+{z}" for p in left.names for z in range(5))
        return Group(direct(left.products, right), names)
    return permutations(int(name[1]), even=name[0] == "A")


def permutations(points: int, even: bool) -> Group:
    """All or the even permutations, in lexicographic order."""
    kept = [p for p in itertools.permutations(range(points)) if not even or swaps(p) % 2 == 0]
    table = torch.tensor(kept)  # [n, points]
    places = points ** torch.arange(points - 1, -1, -1)  # digits, so that numbers sort as words
    numbers = (table * places).sum(-1)  # [n]
    composed = (table[:, table] * places).sum(-1)  # [n, n]: p[q[i]] as a number
    names = tuple("".join(str(i + 1) for i in p) for p in kept)
    products = torch.searchsorted(numbers, composed)
    return Group(products, names, torch.tensor([swaps(p) for p in kept]))


def swaps(permutation: tuple[int, ...]) -> int:
    """The least number of transpositions that make a permutation: its points less its cycles."""
    left, cycles = set(range(len(permutation))), 0
    while left:
        point, cycles = min(left), cycles + 1
        while point in left:
            left.remove(point)
            point = permutation[point]
    return len(permutation) - cycles


def cyclic(count: int) -> Tensor:
    """Sums modulo `count`, [count, count]."""
    numbers = torch.arange(count)
    return (numbers[:, None] + numbers) % count


def direct(left: Tensor, right: Tensor) -> Tensor:
    """Products of pairs, the right element running fastest."""
    pairs = left[:, None, :, None] * len(right) + right[None, :, None, :]
    return pairs.reshape(len(left) * len(right), -1)


def running(products: Tensor, inputs: Tensor) -> Tensor:
    """The products x_1 ∘ … ∘ x_t, uint8 [R, T], of inputs [R, T] of any integer type.

    Time-major and one step after the other, which on processors is faster than a parallel scan.
    """
    flat = products.to(inputs.device).flatten()
    elements, steps = flat.to(torch.uint8), (flat * len(products)).int()
    tokens = inputs.T.contiguous().int()  # [T, R]
    answers = torch.empty(tokens.shape, dtype=torch.uint8, device=inputs.device)
    place = tokens[0]  # in the row of the identity
    for t in range(len(tokens)):
        if t:
            place = steps.index_select(0, place) + tokens[t]
        torch.index_select(elements, 0, place, out=answers[t])
    return answers.T.contiguous()


def walk(products: Tensor, letters: Tensor, steps: int) -> Tensor:
    """The product of j uniform letters, as float64 [steps + 1, n]: probabilities by element."""
    n = len(products)
    reached = torch.zeros(steps + 1, n, dtype=torch.float64)
    reached[0, 0] = 1
    onto = products[:, letters].flatten()  # [n · letters]
    for j in range(steps):
        shares = (reached[j] / len(letters)).repeat_interleave(len(letters))
        reached[j + 1].index_add_(0, onto, shares)
    return reached


def natural_counts(length: int, letters: int) -> Tensor:
    """Probability [L + 1] of so many letters in L draws from the letters and the identity."""
    counts = torch.arange(length + 1, dtype=torch.float64)
    ways = torch.lgamma(counts.new_tensor(length + 1.0))
    ways = ways - torch.lgamma(counts + 1) - torch.lgamma(length - counts + 1)
    odds = torch.tensor([letters, letters + 1], dtype=torch.float64).log()
    return (ways + counts * odds[0] - length * odds[1]).exp()


def spread_counts(length: int) -> Tensor:
    """Share [L + 1] of rows with so many letters where the bins are filled in turn."""
    low, high = (end[:, None] for end in count_ends(length))
    counts = torch.arange(length + 1)
    inside = ((low <= counts) & (counts <= high)).double()  # [bins, L + 1]
    return (inside / (high - low + 1)).mean(0)


def history(shares: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For t = L … 1, shares of j letters before t by what x_t is: the identity, or a letter.

    `shares` are those of the last counts. All orders of a row are equally likely, so the t-th of t
    tokens, j of them letters, is one with probability j/t. Both are [L + 1] over j.
    """
    counts = torch.arange(len(shares), dtype=torch.float64)
    for t in range(len(shares) - 1, 0, -1):
        resting = shares * (t - counts).clamp_min(0) / t
        moving = (shares * counts / t).roll(-1)  # the first is 0, so nothing wraps
        yield resting, moving
        shares = resting + moving
