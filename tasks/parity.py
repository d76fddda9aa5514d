"""Cumulative parity: y_t = b_1 ⊕ … ⊕ b_t at every position; modulo m, y_t = x_1 + … + x_t mod m.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 44 and §5; elsewhere called prefix sums
modulo 2. The natural sampler draws fair bits, as the paper does. The stratified sampler spreads
the number of ones: training rows draw a density p ~ U(0, 1), test and validation rows are dealt to
the bins of the ones count in turn, and draw a count within theirs. A bin holds as many even counts
as odd ones, since a stratum of one exact count would have a constant last label. Below 16 positions
there is one bin, of natural rows.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of, split, uniform, words
from .groups import cyclic, history, spread_counts, walk
from .sampling import BINS, chunked, count_edges, counted_places, latest
from .task import (
    SAMPLERS,
    SUPERVISIONS,
    Batch,
    Check,
    Rule,
    Split,
    Task,
    final_only,
    require_known,
    require_sizes,
)

BANDS = 4  # quarters of the row, from the left


@dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """Cumulative parity; strata: density (bin of the ones count) and band (position).

    sampler natural|stratified; supervision dense|final (all positions or the last); modulus m ≥ 2.
    """

    sampler: str = "natural"
    supervision: str = field(default="dense", metadata={"later": True})
    modulus: int = field(default=2, metadata={"later": True})

    name: ClassVar[str] = "parity"
    causal: ClassVar[bool] = True  # type: ignore[misc]
    titles: ClassVar = {"transition": "Transition accuracy, %"}
    source: ClassVar[str] = "Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 44"
    solved_by: ClassVar[str] = "LSTM, GRU, linear recurrences with eigenvalues of −1"
    examples: ClassVar = (
        {},
        {"sampler": "stratified"},
        {"sampler": "stratified", "modulus": 5, "supervision": "final"},
    )

    def __post_init__(self) -> None:
        """Refuse unknown names and a modulus below two."""
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not 2 <= self.modulus <= 255:
            raise ValueError(f"expected a modulus from 2 to 255, got {self.modulus}")

    @property
    def version(self) -> int:  # type: ignore[override]
        """The stratified rows are at version 2, which fills the bins equally."""
        return 1 if self.sampler == "natural" else 2

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """The numbers 0 … m−1."""
        return self.modulus

    classes = vocab

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """The density; natural rows are not spread, and a rare count of theirs tells its parity."""
        return ("density",) if self.sampler == "stratified" else ()

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with their running sums."""
        require_sizes(self, n, length, split)
        parts: list[object] = [self.name, self.version, self.sampler, split, seed, length]
        key = key_of(*parts, *([self.modulus] if self.modulus != 2 else []))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length, split)), n)

    def draw(self, key: int, rows: Tensor, length: int, split: Split) -> Tensor:
        """Inputs [R, T] of some rows."""
        if self.modulus == 2 and (self.sampler == "natural" or length < 16):
            packed = words(key, rows, (length + 63) // 64)
            return unpack(packed, length)
        values = below(bits32(key, rows, length), self.modulus)
        if self.sampler == "natural" or length < 16:
            return values.to(torch.uint8)
        spread = dense_places if split == "train" else counted_places
        places = spread(key_of(key, "places"), rows, length)
        values = 1 + below(bits32(key, rows, length), self.modulus - 1)
        return values.where(places, 0).to(torch.uint8)

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        mask = torch.ones(inputs.shape, dtype=torch.bool)
        if self.supervision == "final":
            mask = final_only(mask)
        return Batch(inputs, self.label(inputs), mask, self.strata(inputs))

    def label(self, inputs: Tensor) -> Tensor:
        """Running sums; uint8 wraps at 256, which keeps a parity at any length."""
        if self.modulus == 2:
            return (inputs.to(torch.uint8).cumsum(1, dtype=torch.uint8) & 1).to(inputs.dtype)
        return (inputs.long().cumsum(1) % self.modulus).to(inputs.dtype)

    def strata(self, inputs: Tensor) -> dict[str, Tensor]:
        """Columns `density` [B], the bin of the ones count, and `band` [B, T], the quarter."""
        length = inputs.shape[1]
        ones = (inputs > 0).sum(1, dtype=torch.int64)
        band = torch.arange(length) * BANDS // length
        return {
            "density": torch.bucketize(ones, count_edges(length)),
            "band": band.to(torch.uint8).expand_as(inputs),
        }

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`density 3/8`: third bin of eight; `band 2/4`: second quarter of the row."""
        return f"{axis} {stratum + 1}/{BANDS if axis == 'band' else BINS}"

    # ---- levels and metrics ------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess, 1/m; position 1 is its own answer, and is one of L where all are scored.

        On stratified test rows few may have come before, so that an early guess is better.
        """
        if self.sampler == "stratified" and length >= 16:
            return best_guess(self.modulus, length, self.supervision == "final")
        free = 1 / length if self.supervision == "dense" else float(length == 1)
        return free + (1 - free) / self.modulus

    def shortcut(self, length: int) -> float:
        """The running OR, right up to the second one: E = 1/2 + (1 − 2^−L)/L on fair bits.

        At position t it is right when no one has come (2^−t) or their number is odd (1/2).
        """
        if self.options() == {"sampler": "natural"}:
            return 0.5 + (1 - 2.0**-length) / length
        return super().shortcut(length)

    def rules(self) -> dict[str, Rule]:
        """The latest number that is not zero: on bits, the running OR."""
        return {"latest nonzero": lambda inputs: latest(inputs, inputs > 0)}

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Transition: ŷ_t − ŷ_{t−1} = x_t from position 2 on: the update rule, slips apart."""
        if self.supervision == "final":
            return {}
        step = answers.long().diff(dim=1) % self.modulus
        correct = torch.zeros_like(batch.mask)
        correct[:, 1:] = step == batch.inputs[:, 1:]
        scored = batch.mask.clone()
        scored[:, :1] = False
        return {"transition": (correct, scored)}


@functools.lru_cache(maxsize=64)
def best_guess(modulus: int, length: int, final: bool) -> float:
    """Expected accuracy of the best guess from x_t and t on stratified rows."""
    after = walk(cyclic(modulus), torch.arange(1, modulus), length)  # [L + 1, m]
    guesses = [
        float((resting @ after).max() + (moving @ after).max())
        for resting, moving in history(spread_counts(length))  # the last position first
    ]
    return guesses[0] if final else sum(guesses) / len(guesses)


def unpack(packed: Tensor, length: int) -> Tensor:
    """The first `length` bits of int64 words [n, W] as uint8 [n, length], lowest bit first."""
    octets = torch.arange(256, device=packed.device)
    bits = (octets[:, None] >> torch.arange(8, device=packed.device)) & 1  # [256, 8]
    table = bits.to(torch.uint8).view(torch.int64).squeeze(1)  # eight bits in one word, [256]
    index = split(packed, torch.uint8, packed.shape[1] * 8).int()  # [n, 8 W]
    rows = table.index_select(0, index.flatten()).view(torch.uint8)
    return rows.view(len(packed), 64 * packed.shape[1])[:, :length]


def dense_places(key: int, rows: Tensor, length: int) -> Tensor:
    """Places of a density drawn per row, p ~ U(0, 1), bool [R, T]."""
    draws = uniform(words(key, rows, length + 1))
    return draws[:, 1:] < draws[:, :1]
