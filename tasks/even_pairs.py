"""Even pairs, a control: is the number of changes 01 and 10 in a row of bits even?

Delétang et al. 2023, "Neural Networks and the Chomsky Hierarchy", arXiv:2207.02098; class 0 is
even and 1 odd, as in their code. It is even if and only if the first bit is the last, so that every
model should pass. Scored is the last position alone.

The natural sampler draws fair bits. The stratified sampler spreads the number of changes: rows of
every split are dealt to its bins in turn, draw a number within theirs, the places uniformly and a
fair first bit. A bin holds as many even numbers as odd ones, so that it does not give the answer
away. Below 17 positions there is one bin, of natural rows. Stratum: changes, the bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import bits16, key_of, short_below
from .sampling import BINS, chunked, count_edges, counted_places
from .task import (
    SAMPLERS,
    Batch,
    Rule,
    Split,
    Task,
    final_only,
    key_parts,
    require_known,
    require_sizes,
)


@dataclass(frozen=True, kw_only=True)
class EvenPairs(Task):
    """Whether the changes of a row are even in number; sampler stratified|natural."""

    sampler: str = "stratified"

    name: ClassVar[str] = "even_pairs"
    version: ClassVar[int] = 1  # type: ignore[misc]
    vocab: ClassVar[int] = 2  # type: ignore[misc]
    classes: ClassVar[int] = 2  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Delétang et al. 2023, arXiv:2207.02098"
    solved_by: ClassVar[str] = "RNN, LSTM; attention to the first position"
    examples: ClassVar = ({}, {"sampler": "natural"})

    def __post_init__(self) -> None:
        """Refuse unknown samplers."""
        require_known("sampler", self.sampler, SAMPLERS)

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """Changes, which the stratified sampler fills."""
        return ("changes",) if self.sampler == "stratified" else ()

    def require_length(self, length: int) -> None:
        """Refuse rows without a pair."""
        if length < 2:
            raise ValueError(f"expected a length of at least 2, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 bits [n, length]; the last one is answered."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length)), n)

    def draw(self, key: int, rows: Tensor, length: int) -> Tensor:
        """Inputs [R, T] of some rows."""
        fair = short_below(bits16(key_of(key, "bits"), rows, length), 2)
        if self.sampler == "natural" or length < 17:
            return fair
        changes = counted_places(key_of(key, "places"), rows, length - 1)
        steps = torch.cat([fair[:, :1], changes.to(torch.uint8)], 1)
        return steps.cumsum(1, dtype=torch.uint8) & 1  # a byte wraps to the same parity

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        changes = (inputs[:, 1:] != inputs[:, :-1]).sum(1)
        strata = {"changes": torch.bucketize(changes, count_edges(inputs.shape[1] - 1))}
        mask = final_only(torch.ones(inputs.shape, dtype=torch.bool))
        return Batch(inputs, self.label(inputs), mask, strata)

    def label(self, inputs: Tensor) -> Tensor:
        """0 if the last bit is the first, 1 if it is not; zeros before it."""
        targets = torch.zeros_like(inputs)
        targets[:, -1] = inputs[:, -1] != inputs[:, 0]
        return targets

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`changes 3/8`: third bin of eight, or the one bin of short rows."""
        return f"{axis} {stratum + 1}/{BINS}"

    # ---- levels ------------------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess: the last bit alone tells nothing of the first."""
        return 0.5

    def shortcut(self, length: int) -> float:
        """`last pair`: 1/2 + 1/(2(L − 1)) on stratified rows, a guess on fair bits.

        In a bin, even counts are on average one more than odd ones, and the last of the L − 1
        places is a change with probability count/(L − 1). A pair by itself is the whole row.
        """
        if length == 2:
            return 1.0
        if self.sampler == "natural" or length < 17:
            return 0.5
        return 0.5 + 0.5 / (length - 1)

    def rules(self) -> dict[str, Rule]:
        """Even if the last pair is a change, since even counts are greater; odd at length 2."""
        return {"last pair": self.last_pair}

    def last_pair(self, inputs: Tensor) -> Tensor:
        """Whether the last two bits are the same, at the last position."""
        targets = torch.zeros_like(inputs)
        same = inputs[:, -1] == inputs[:, -2]
        targets[:, -1] = ~same if inputs.shape[1] == 2 else same
        return targets
