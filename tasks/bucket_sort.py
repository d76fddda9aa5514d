"""Bucket sort, a control: repeat L symbols in increasing order after a separator.

Delétang et al. 2023, "Neural Networks and the Chomsky Hierarchy", arXiv:2207.02098, with five
symbols, as there. A row is x, SEP, L × ANS, of 2L + 1 positions; the j-th ANS asks the j-th
smallest symbol. Ids: symbols 0 … S−1, SEP S, ANS S + 1. Symbols are uniform. Scored are the ANS.
Stratum: band, by position, the quarter of the answer, whose ends are easiest: they are nearly
always the least and the greatest symbol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import bits16, key_of, short_below
from .layouts import asked_after
from .sampling import chunked
from .task import Batch, Rule, Split, Task, key_parts, require_sizes

BANDS = 4  # quarters of the answer, from the left


@dataclass(frozen=True, kw_only=True)
class BucketSort(Task):
    """The symbols in order; symbols 2 … 250 is how many there are."""

    symbols: int = 5

    name: ClassVar[str] = "bucket_sort"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Delétang et al. 2023, arXiv:2207.02098"
    solved_by: ClassVar[str] = "LSTM, Transformer: nearly, at lengths never trained"
    lengths: ClassVar = (5, 20)
    examples: ClassVar = ({}, {"symbols": 12})

    def __post_init__(self) -> None:
        """Refuse numbers of symbols that a byte cannot hold."""
        if not 2 <= self.symbols <= 250:
            raise ValueError(f"expected 2 to 250 symbols, got {self.symbols}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """The symbols, SEP and ANS."""
        return self.symbols + 2

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The symbols."""
        return self.symbols

    def positions(self, length: int) -> int:
        """The symbols, SEP and as many ANS."""
        return 2 * length + 1

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, 2 length + 1] with the symbols in order on the ANS."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        return chunked(lambda rows: self.batch(key, rows, length), n)

    def batch(self, key: int, rows: Tensor, length: int) -> Batch:
        """Some rows, by their numbers."""
        symbols = short_below(bits16(key, rows, length), self.symbols)
        inputs, mask, slots = asked_after(symbols, self.symbols)
        band = (slots.clamp_min(0) * BANDS // length).to(torch.uint8)
        return Batch(inputs, self.label(inputs), mask, {"band": band})

    def label(self, inputs: Tensor) -> Tensor:
        """The first half in increasing order on the ANS; zeros before."""
        length = inputs.shape[1] // 2
        targets = torch.zeros_like(inputs)
        known = inputs[:, :length].clamp_max(self.symbols - 1)
        targets[:, length + 1 :] = known.sort(1).values
        return targets

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """The likeliest symbol by position: the j-th of L is ≤ v if j or more are, a binomial."""
        return min(1.0, float(order_shares(length, self.symbols).max(0).values.mean()))

    def rules(self) -> dict[str, Rule]:
        """The likeliest symbol by position, and the row's commonest one everywhere."""
        return {"by position": self.by_position, "commonest symbol": self.commonest}

    def by_position(self, inputs: Tensor) -> Tensor:
        """The likeliest j-th smallest symbol on the j-th ANS."""
        length = inputs.shape[1] // 2
        targets = torch.zeros_like(inputs)
        shares = (order_shares(length, self.symbols) * 2**40).round()  # ties, on any machine
        likeliest = shares.argmax(0)
        targets[:, length + 1 :] = likeliest.to(inputs.device, inputs.dtype)
        return targets

    def commonest(self, inputs: Tensor) -> Tensor:
        """The commonest symbol of the row, everywhere."""
        known = inputs[:, : inputs.shape[1] // 2].long()
        counts = torch.zeros(len(inputs), self.vocab, dtype=torch.int64, device=inputs.device)
        counts.scatter_add_(1, known, torch.ones_like(known))
        return counts[:, : self.symbols].argmax(1, keepdim=True).expand(inputs.shape)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`band 2/4`: second quarter of the answer."""
        return f"{axis} {stratum + 1}/{BANDS}"

    def input_name(self, token: int) -> str:
        """A symbol's number, SEP or ANS."""
        return {self.symbols: "SEP", self.symbols + 1: "ANS"}.get(token, str(token))


def order_shares(length: int, symbols: int) -> Tensor:
    """Probability [symbols, L] that the j-th smallest of L uniform symbols is v."""
    counts = torch.arange(length + 1, dtype=torch.float64)
    under = torch.arange(1, symbols, dtype=torch.float64)[:, None] / symbols  # P(symbol < v)
    ways = torch.lgamma(counts.new_tensor(length + 1.0))
    ways = ways - torch.lgamma(counts + 1) - torch.lgamma(length - counts + 1)
    shares = (ways + counts * under.log() + (length - counts) * (-under).log1p()).exp()
    fewer = shares.cumsum(1)[:, :-1]  # P(fewer than j symbols are < v), j = 1 … L
    edges = torch.cat([torch.ones(1, length), fewer, torch.zeros(1, length)]).double()
    return edges[:-1] - edges[1:]
