"""Multi-query associative recall: pairs of key and value, then keys that ask for their values.

Arora et al. 2023, "Zoology: Measuring and improving recall in efficient language models",
arXiv:2312.04927v1, §4, and the code published with it. Ids, for V = `vocab_size` and n = `pairs`:
0 is unused, keys 1 … V/2 − 1, values V/2 … V − 1, filler V … V + 63. A row is n pairs (key, value),
keys and values each drawn without replacement, then (L − 2n)/2 slots of two tokens. Every key
stands once more, as its slot's first token, and is answered there by its value; all else in the
slots is filler, never a key. The value does not follow: methods of both kinds see the same rows.

Scored: the n queries, or the last one (supervision `final`). The stratified sampler deals rows to
the near and the far half of the slots (the middle one of an odd number is far), and draws the
queries' slots within; where a half is shorter than n slots (6n > L) there is one stratum, of
uniform slots. The natural sampler is the paper's: slots in turn without replacement, slot i with
probability ∝ i^(a−1), a = 0.01, the first drawn for the first key. That order can be read off: the
j-th query often asks the j-th pair, so that a rule which answers values in turn beats 1/n there.
Axes: `zone`, the half that holds all queries; `distance`, from a key to its query, in tokens.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits16, bits32, key_of, short_below
from .sampling import cells, chunked, doubling, doubling_name
from .task import (
    SAMPLERS,
    SUPERVISIONS,
    Batch,
    Rule,
    Split,
    Task,
    final_only,
    key_parts,
    require_known,
    require_sizes,
)

FILLER = 64
MOST_IDS = 2**15  # of int16
ZONES = ("all", "near", "far")


@dataclass(frozen=True, kw_only=True)
class MQAR(Task):
    """Associative recall; strata: zone (half of the queries) and distance (key to query).

    vocab_size: even number of keys and values with the unused id; pairs: of key and value; sampler
    natural|stratified; supervision dense|final (all queries or the last).
    """

    vocab_size: int = 64
    pairs: int = 4
    sampler: str = "stratified"
    supervision: str = "dense"

    name: ClassVar[str] = "mqar"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("zone",)  # type: ignore[misc]
    source: ClassVar[str] = "Arora et al. 2023, arXiv:2312.04927v1, §4"
    solved_by: ClassVar[str] = "attention of two layers; recurrent states fail as pairs grow"
    lengths: ClassVar[tuple[int, int]] = (20, 32)
    examples: ClassVar = (
        {},
        {"vocab_size": 8192, "pairs": 3, "supervision": "final"},
        {"sampler": "natural"},
        {"sampler": "natural", "supervision": "final", "vocab_size": 12, "pairs": 5},
    )

    def __post_init__(self) -> None:
        """Refuse unknown names, odd or too many ids, and more pairs than keys."""
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        most = MOST_IDS - FILLER
        if not 4 <= self.vocab_size <= most or self.vocab_size % 2:
            raise ValueError(f"expected an even vocab_size, 4 to {most}, got {self.vocab_size}")
        if not 1 <= self.pairs < self.vocab_size // 2:
            keys = self.vocab_size // 2 - 1
            raise ValueError(f"expected pairs from 1 to the {keys} keys, got {self.pairs}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """Keys, values and filler."""
        return self.vocab_size + FILLER

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The ids up to the last value."""
        return self.vocab_size

    def require_length(self, length: int) -> None:
        """Two tokens for every pair, and a slot of two for every query."""
        least = 4 * self.pairs
        if length < least or length % 2:
            raise ValueError(f"expected an even length of at least 4·pairs = {least}, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of ids [n, length], uint8 if they fit and else int16, with the values asked for."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(replace(self, supervision="dense"), seed, split, length))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length)), n)

    def draw(self, key: int, rows: Tensor, length: int) -> Tensor:
        """Inputs [R, T] of some rows."""
        half, context = self.vocab_size // 2, 2 * self.pairs
        kind = torch.uint8 if self.vocab <= 256 else torch.int16
        inputs = torch.empty(len(rows), length, dtype=kind)
        fillers = bits16(key_of(key, "filler"), rows, length - context)
        inputs[:, context:] = self.vocab_size + short_below(fillers, FILLER).to(kind)
        keys = 1 + dealt(bits32(key_of(key, "keys"), rows, self.pairs), half - 1)
        values = half + dealt(bits32(key_of(key, "values"), rows, self.pairs), half)
        inputs[:, 0:context:2], inputs[:, 1:context:2] = keys, values
        slots = self.slots(key_of(key, "slots"), rows, (length - context) // 2)
        return inputs.scatter_(1, context + 2 * slots.long(), keys.to(kind))

    def slots(self, key: int, rows: Tensor, count: int) -> Tensor:
        """The slot [R, n] that asks each pair."""
        bits = bits32(key, rows, self.pairs)
        if self.sampler == "natural":
            return weighted(bits, power_law(count))
        if not self.halved(count):
            return dealt(bits, count)
        (far,) = cells(rows, 2)
        middle = count // 2
        near_slots, far_slots = dealt(bits, middle), middle + dealt(bits, count - middle)
        return far_slots.where(far[:, None] == 1, near_slots)

    def halved(self, count: int) -> bool:
        """Whether each half of the slots has room for all queries."""
        return count // 2 >= self.pairs

    def batch(self, inputs: Tensor) -> Batch:
        """Well-formed inputs with all that follows from them."""
        asked = self.asked(inputs)
        mask = asked > 0
        targets = self.values(inputs, asked)
        length = inputs.shape[1]
        bins = doubling(torch.arange(length)).to(torch.uint8)
        apart = (torch.arange(length) - 2 * (asked.long() - 1)).masked_fill_(~mask, 0)
        strata = {"zone": self.zones(mask), "distance": bins.take(apart)}
        if self.supervision == "final":
            mask = final_only(mask)
        return Batch(inputs, targets.masked_fill_(~mask, 0), mask, strata)

    def zones(self, queries: Tensor) -> Tensor:
        """1 where all queries [R, T] are in the near half of the slots, 2 in the far, else 0."""
        count = queries.shape[1] // 2 - self.pairs
        if not self.halved(count):
            return torch.zeros(len(queries), dtype=torch.uint8)
        edge = 2 * (self.pairs + count // 2)
        near, far = ~queries[:, edge:].any(1), ~queries[:, :edge].any(1)
        return near.to(torch.uint8) + 2 * far.to(torch.uint8)

    def label(self, inputs: Tensor) -> Tensor:
        """The value of a key after the pairs, by the latest pair that has it; 0 elsewhere."""
        return self.values(inputs, self.asked(inputs))

    def asked(self, inputs: Tensor) -> Tensor:
        """The number of the pair that a token asks, from 1, int16 [B, T]; 0 where it asks none."""
        context = 2 * self.pairs
        asked = torch.zeros(inputs.shape, dtype=torch.int16, device=inputs.device)
        after = inputs[:, context:]
        for pair in range(self.pairs if after.shape[1] else 0):
            asked[:, context:].masked_fill_(after == inputs[:, 2 * pair, None], pair + 1)
        keys = (inputs > 0) & (inputs < self.vocab_size // 2)
        return asked.masked_fill_(~keys, 0)

    def values(self, inputs: Tensor, asked: Tensor) -> Tensor:
        """The values [B, T] of the pairs that are asked, 0 where none is or it has no value."""
        values = inputs.new_zeros(len(inputs), self.pairs + 1)
        stood = inputs[:, 1 : 2 * self.pairs : 2]
        values[:, 1 : 1 + stood.shape[1]] = stood.masked_fill(stood >= self.vocab_size, 0)
        return values.gather(1, asked.long())

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """Any of the V/2 values."""
        return 2 / self.vocab_size

    def shortcut(self, length: int) -> float:
        """A value of the row, 1/n; measured on natural rows, where their order tells more."""
        return super().shortcut(length) if self.sampler == "natural" else 1 / self.pairs

    def rules(self) -> dict[str, Rule]:
        """A value of the row: the first, the last, or the j-th for the j-th query."""
        last = 2 * self.pairs - 1
        return {
            "first value": lambda inputs: inputs[:, 1:2].expand_as(inputs),
            "last value": lambda inputs: inputs[:, last : last + 1].expand_as(inputs),
            "values in turn": self.in_turn,
        }

    def in_turn(self, inputs: Tensor) -> Tensor:
        """The j-th value for the j-th key after the pairs, [B, T]."""
        turn = (self.asked(inputs) > 0).cumsum(1).clamp_max(self.pairs)
        return self.values(inputs, turn)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`zone near`; `distance 16-31`: tokens from the key to its query."""
        return f"{axis} {ZONES[stratum] if axis == 'zone' else doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """`k7` a key, `v7` a value, `~` filler."""
        half = self.vocab_size // 2
        if token >= self.vocab_size:
            return "~"
        return f"k{token}" if token < half else f"v{token - half}"


def dealt(bits: Tensor, count: int) -> Tensor:
    """The top cards of a shuffled deck 0 … count−1, int16 [R, n], from `bits32` [R, n].

    Fisher and Yates' shuffle, stopped after n cards (Knuth, The Art of Computer Programming,
    vol. 2, §3.4.2, Algorithm P); cards run along the first axis, rows along the second.
    """
    size = bits.shape[1]
    deck = torch.arange(count, dtype=torch.int16)[:, None].repeat(1, len(bits))
    for top in range(size):
        place = top + below(bits[:, top], count - top)[None]  # [1, R]
        card = deck.gather(0, place)
        deck.scatter_(0, place, deck[top : top + 1].clone())
        deck[top] = card[0]
    return deck[:size].T


def weighted(bits: Tensor, weights: Tensor) -> Tensor:
    """Places [R, n] in turn without replacement, in proportion to integer weights [count]."""
    left, places = weights.repeat(len(bits), 1), []
    for drawn in bits.T:
        sums = left.cumsum(1)
        place = (sums <= below(drawn[:, None], sums[:, -1:])).sum(1, keepdim=True)
        places.append(place)
        left.scatter_(1, place, 0)
    return torch.cat(places, 1)


@functools.lru_cache(maxsize=64)
def power_law(count: int) -> Tensor:
    """i^(−0.99) for i = 1 … count, in units of 2⁻²⁶; in decimals, alike on every machine."""
    return torch.tensor([int(Decimal(i) ** Decimal("-0.99") * 2**26) for i in range(1, count + 1)])
