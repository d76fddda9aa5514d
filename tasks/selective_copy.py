"""Selective copy: tokens among blanks, to be repeated in their order.

Gu and Dao 2023, "Mamba: Linear-time sequence modeling with selective state spaces",
arXiv:2312.00752v2, §4.1.1; also in Poli et al. 2024, arXiv:2403.17844 (MAD). Ids, for V = `content`
and k = `copies`: content 0 … V − 1, blank V, answer slot V + 1. A row is L − k data positions,
among them k content tokens at random places, the last token's as random as any, then k answer
slots: the j-th asks the j-th content token. Scored: the slots, all of them. A slot reveals nothing:
methods of both kinds see the same rows.

Rows are dealt to three strata in turn: all content in the first quarter of the data, all in the
last quarter, or spread (anywhere else: rows that fall into a quarter by chance are drawn again).
Where a quarter is shorter than k there is one stratum, of content anywhere. Places are a uniform
subset of their part, contents are uniform. Axes: `zone`, as above; `distance`, from a token to its
slot, in positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of
from .sampling import cells, chunked, doubling, doubling_name, latest
from .task import Batch, Rule, Split, Task, key_parts, require_sizes

ZONES = ("first quarter", "last quarter", "spread")
FIRST, LAST, SPREAD = range(3)


@dataclass(frozen=True, kw_only=True)
class SelectiveCopy(Task):
    """Selective copy; strata: zone (part of the data) and distance (token to its slot).

    content: number of different tokens; copies: tokens of a row.
    """

    content: int = 16
    copies: int = 4

    name: ClassVar[str] = "selective_copy"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("zone",)  # type: ignore[misc]
    source: ClassVar[str] = "Gu and Dao 2023, arXiv:2312.00752v2, §4.1.1"
    solved_by: ClassVar[str] = "attention; Mamba, but no linear time-invariant recurrence"
    lengths: ClassVar[tuple[int, int]] = (12, 32)
    examples: ClassVar = ({}, {"content": 2, "copies": 1}, {"content": 100, "copies": 5})

    def __post_init__(self) -> None:
        """Refuse fewer than two contents, more than a byte holds, and nothing to copy."""
        if not 2 <= self.content <= 254:
            raise ValueError(f"expected content from 2 to 254, got {self.content}")
        if self.copies < 1:
            raise ValueError(f"expected at least 1 of copies, got {self.copies}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """Content, the blank and the answer slot."""
        return self.content + 2

    @property
    def classes(self) -> int:  # type: ignore[override]
        """Content."""
        return self.content

    def require_length(self, length: int) -> None:
        """Content, a blank at least, and slots."""
        least = 2 * self.copies + 1
        if length < least:
            raise ValueError(
                f"expected a length of at least 2·copies + 1 = {least}, one blank, got {length}"
            )

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the content that their slots ask for."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        return chunked(lambda rows: self.batch(key, rows, length), n)

    def batch(self, key: int, rows: Tensor, length: int) -> Batch:
        """Some rows with all that belongs to them."""
        data = length - self.copies
        places = self.places(key_of(key, "places"), rows, data)  # [R, k]
        contents = below(bits32(key, rows, self.copies), self.content).to(torch.uint8)
        inputs = torch.full((len(rows), length), self.content, dtype=torch.uint8)
        inputs.scatter_(1, places, contents)
        inputs[:, data:] = self.content + 1
        targets, gaps = torch.zeros_like(inputs), torch.zeros_like(inputs)
        targets[:, data:] = contents
        gaps[:, data:] = doubling(torch.arange(data, length) - places).to(torch.uint8)
        strata = {"zone": self.zones(places, data), "distance": gaps}
        return Batch(inputs, targets, inputs == self.content + 1, strata)

    def places(self, key: int, rows: Tensor, data: int) -> Tensor:
        """Places of the content [R, k] in ascending order, the strata in turn."""
        quarter = data // 4
        if quarter < self.copies:
            return subset(bits32(key, rows, self.copies), data)
        (zone,) = cells(rows, 3)
        places = subset(bits32(key, rows, self.copies), torch.where(zone == SPREAD, data, quarter))
        places += torch.where(zone == LAST, data - quarter, 0)[:, None]
        while bool((missed := self.zones(places, data) != zone).any()):
            key = key_of(key, "again")
            places[missed] = subset(bits32(key, rows[missed], self.copies), data)
        return places

    def zones(self, places: Tensor, data: int) -> Tensor:
        """The stratum [R] of ascending places [R, k]."""
        zone = torch.full((len(places),), SPREAD, dtype=torch.uint8)
        zone[places[:, -1] < data // 4] = FIRST
        zone[places[:, 0] >= data - data // 4] = LAST
        return zone

    def label(self, inputs: Tensor) -> Tensor:
        """The j-th content token at the j-th slot, 0 if it has not come; 0 elsewhere."""
        slot = inputs == self.content + 1
        return self.recalled(inputs, slot.cumsum(1)).masked_fill_(~slot, 0)

    def recalled(self, inputs: Tensor, number: Tensor) -> Tensor:
        """The content token of a number [B, T], counted from 1; 0 if it has not come."""
        content = inputs < self.content
        come = content.cumsum(1)
        tokens = inputs.new_zeros(len(inputs), inputs.shape[1] + 1)
        tokens.scatter_(1, come.where(content, 0), inputs)  # [B, T + 1]; place 0 is no token's
        return tokens.gather(1, number).masked_fill_((number == 0) | (number > come), 0)

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess: a slot tells nothing."""
        return 1 / self.content

    def shortcut(self, length: int) -> float:
        """Any content token of the row: 1/k + (1 − 1/k)/V.

        A fixed lag finds the tokens behind one number of blanks: of k tokens in a part of q places,
        k/(q − k + 1), whatever the number. That is more than one if q < 2k − 1: there the level is
        measured.
        """
        data = length - self.copies
        part = data // 4 if data // 4 >= self.copies else data
        if part < 2 * self.copies - 1:
            return super().shortcut(length)
        return (1 + (self.copies - 1) / self.content) / self.copies

    def rules(self) -> dict[str, Rule]:
        """One content token for all slots, or a fixed lag, as a linear filter has it."""
        return {
            "first content": lambda inputs: self.recalled(inputs, torch.ones_like(inputs).long()),
            "latest content": lambda inputs: latest(inputs, inputs < self.content),
            "lag of the data": lambda inputs: self.lagged(inputs, inputs.shape[1] - self.copies),
            "lag of the slots": lambda inputs: self.lagged(inputs, self.copies),
        }

    def lagged(self, inputs: Tensor, lag: int) -> Tensor:
        """The content token `lag` positions before, 0 if there is none, [B, T]."""
        before = torch.zeros_like(inputs)
        before[:, lag:] = inputs[:, :-lag]
        return before.masked_fill_(before >= self.content, 0)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`zone last quarter`; `distance 16-31`: positions from a token to its slot."""
        return f"{axis} {ZONES[stratum] if axis == 'zone' else doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """Content as numbers, `_` a blank, `?` a slot."""
        return {self.content: "_", self.content + 1: "?"}.get(token, str(token))


def subset(bits: Tensor, count: Tensor | int) -> Tensor:
    """A uniform subset of 0 … count−1, ascending [R, k], from `bits32` [R, k]; count int or [R].

    Floyd's algorithm (Bentley and Floyd 1987, "Programming pearls: a sample of brilliance",
    Communications of the ACM 30(9), doi:10.1145/30401.315746).
    """
    size = bits.shape[1]
    places = torch.empty_like(bits)
    for j in range(size):
        top = count - size + j
        place = below(bits[:, j], top + 1)
        taken = (places[:, :j] == place[:, None]).any(1)
        places[:, j] = torch.where(taken, top, place)
    return places.sort(1).values
