"""Cumulative parity: y_t = b_1 ⊕ … ⊕ b_t at every position.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 44 and §5; elsewhere called prefix sums
modulo 2. The natural sampler draws fair bits, as the paper does. The stratified sampler spreads
the number of ones: training rows draw a density p ~ U(0, 1), test and validation rows a bin of the
ones count and a count within it. A bin holds as many even counts as odd ones, since a stratum of
one exact count would have a constant last label.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import key_of, uniform, words
from .task import Batch, Split, Task, require_sizes

BANDS = 4  # quarters of the row, from the left
BINS = 8  # of the ones count, from 16 bits on
SAMPLERS = ("natural", "stratified")


def count_edges(length: int) -> Tensor:
    """Upper ends of the ones-count bins [bins]: bin j holds counts over edge j−1 up to edge j."""
    if length < 16:
        return torch.tensor([length])
    return torch.tensor([2 * ((j * length) // 16) for j in range(1, BINS)] + [length])


@dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """Cumulative parity of bits; strata: density (bin of the ones count) and band (position)."""

    sampler: str = "natural"

    name: ClassVar[str] = "parity"
    version: ClassVar[int] = 1
    vocab: ClassVar[int] = 2  # type: ignore[misc]
    classes: ClassVar[int] = 2  # type: ignore[misc]
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse an unknown sampler."""
        if self.sampler not in SAMPLERS:
            raise ValueError(f"no sampler {self.sampler!r}. Known: {', '.join(SAMPLERS)}")

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 bits [n, length] with their running parity; every position is scored."""
        require_sizes(n, length, split)
        key = key_of(self.name, self.version, self.sampler, split, seed, length)
        rows = torch.arange(n, dtype=torch.int64)
        if self.sampler == "natural":
            packed = words(key, rows, (length + 63) // 64)
            inputs, targets = unpack(packed, length), unpack(prefix_parity(packed), length)
        else:
            spread = dense_rows if split == "train" else counted_rows
            inputs = spread(key, rows, length)
            targets = self.label(inputs)
        mask = torch.ones(n, length, dtype=torch.bool)
        return Batch(inputs, targets, mask, self.strata(inputs))

    def label(self, inputs: Tensor) -> Tensor:
        """Running parity; uint8 sums wrap at 256, which keeps their last bit at any length."""
        return (inputs.to(torch.uint8).cumsum(1, dtype=torch.uint8) & 1).to(inputs.dtype)

    def strata(self, inputs: Tensor) -> dict[str, Tensor]:
        """Columns `density` [B], the bin of the ones count, and `band` [B, T], the quarter."""
        length = inputs.shape[1]
        ones = inputs.sum(1, dtype=torch.int64)
        band = torch.arange(length) * BANDS // length
        return {
            "density": torch.bucketize(ones, count_edges(length)),
            "band": band.to(torch.uint8).expand_as(inputs),
        }

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`density 3/8`: third bin of eight; `band 2/4`: second quarter of the row."""
        return f"{axis} {stratum + 1}/{BANDS if axis == 'band' else BINS}"

    def chance(self, length: int) -> float:
        """Position 1 is its own answer, the others are a coin: 1/2 + 1/2L."""
        return 0.5 + 0.5 / length

    def shortcut(self, length: int) -> float:
        """The running OR, right up to the second one: E = 1/2 + (1 − 2^−L)/L on fair bits.

        At position t it is right when no one has come (2^−t) or their number is odd (1/2).
        """
        return 0.5 + (1 - 2.0**-length) / length

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Transition: ŷ_t ⊕ ŷ_{t−1} = x_t from position 2 on: the update rule, slips apart."""
        step = answers[:, 1:] ^ answers[:, :-1]
        correct = torch.zeros_like(batch.mask)
        correct[:, 1:] = step == batch.inputs[:, 1:]
        scored = batch.mask.clone()
        scored[:, :1] = False
        return {"transition": (correct, scored)}


def prefix_parity(packed: Tensor) -> Tensor:
    """Running parity of bits packed into int64 words [n, W], lowest bit first."""
    for shift in (1, 2, 4, 8, 16, 32):
        packed = packed ^ (packed << shift)
    ends = packed < 0  # the sign bit is the parity of the whole word
    before = ends.cumsum(1) - ends.long()
    return torch.where(before % 2 == 1, ~packed, packed)


def unpack(packed: Tensor, length: int) -> Tensor:
    """The first `length` bits of int64 words [n, W] as uint8 [n, length], lowest bit first."""
    if sys.byteorder != "little":
        raise RuntimeError("expected a little-endian machine: rows are unpacked by their bytes")
    octets = torch.arange(256, device=packed.device)
    bits = (octets[:, None] >> torch.arange(8, device=packed.device)) & 1  # [256, 8]
    table = bits.to(torch.uint8).view(torch.int64).squeeze(1)  # eight bits in one word, [256]
    index = packed.contiguous().view(torch.uint8).int()  # [n, 8 W]
    rows = table.index_select(0, index.flatten()).view(torch.uint8)
    return rows.view(len(packed), -1)[:, :length]


def dense_rows(key: int, rows: Tensor, length: int) -> Tensor:
    """Bits of a density drawn per row, p ~ U(0, 1)."""
    draws = uniform(words(key, rows, length + 1))
    return (draws[:, 1:] < draws[:, :1]).to(torch.uint8)


def counted_rows(key: int, rows: Tensor, length: int) -> Tensor:
    """Bits with a ones count uniform in a bin, the bin uniform, positions without replacement.

    A bin holds as many even counts as odd ones. Below 16 bits there is one bin, of fair bits.
    """
    if length < 16:
        return unpack(words(key, rows, 1), length)
    draws = words(key, rows, length + 2)
    choice = uniform(draws[:, :2])
    edges = torch.cat([torch.zeros(1, dtype=torch.int64), count_edges(length)])
    edges[-1] -= length % 2  # an odd length's last count would tip its bin
    chosen = (choice[:, 0] * BINS).long()
    low, high = edges[chosen] + 1, edges[chosen + 1]
    ones = low + (choice[:, 1] * (high - low + 1)).long()
    rank = draws[:, 2:].argsort(dim=1, stable=True).argsort(dim=1)
    return (rank < ones[:, None]).to(torch.uint8)
