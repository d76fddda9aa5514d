"""Copy, a control: repeat L symbols after a separator.

A row is x, SEP, L × ANS, of 2L + 1 positions; the j-th ANS asks x_j. Ids: symbols 0 … S−1, SEP S,
ANS S + 1; S = 16 is chosen as in selective copying, whose plain form this is (Poli et al. 2024,
"Mechanistic Design and Scaling of Hybrid Architectures", arXiv:2403.17844). Symbols are uniform.
Scored are the ANS. Stratum: band, by position, the quarter of the copy. All distances are L + 1, so
there is nothing for a dial to spread.
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

BANDS = 4  # quarters of the copy, from the left


@dataclass(frozen=True, kw_only=True)
class Copy(Task):
    """The symbols once more; symbols 2 … 250 is how many there are."""

    symbols: int = 16

    name: ClassVar[str] = "copy"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "the plain form of MAD's selective copying, arXiv:2403.17844"
    solved_by: ClassVar[str] = "attention; RNN and LSTM at short lengths"
    lengths: ClassVar = (5, 20)
    examples: ClassVar = ({}, {"symbols": 3})

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
        """Rows of uint8 ids [n, 2 length + 1] with the symbols on the ANS."""
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
        """What stands L + 1 before, if it is a symbol; zeros on the first half and SEP."""
        length = inputs.shape[1] // 2
        targets = torch.zeros_like(inputs)
        earlier = inputs[:, :length]
        targets[:, length + 1 :] = earlier.where(earlier < self.symbols, 0)
        return targets

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A uniform symbol, whatever the position."""
        return 1 / self.symbols

    def rules(self) -> dict[str, Rule]:
        """One symbol everywhere: the row's commonest one, or its last one."""
        return {"commonest symbol": self.commonest, "last symbol": self.last}

    def commonest(self, inputs: Tensor) -> Tensor:
        """The commonest symbol of the row, everywhere."""
        length = inputs.shape[1] // 2
        counts = torch.zeros(len(inputs), self.vocab, dtype=torch.int64, device=inputs.device)
        ones = torch.ones_like(inputs[:, :length], dtype=torch.int64)
        counts.scatter_add_(1, inputs[:, :length].long(), ones)
        return counts[:, : self.symbols].argmax(1, keepdim=True).expand(inputs.shape)

    def last(self, inputs: Tensor) -> Tensor:
        """The last symbol before SEP, everywhere."""
        place = inputs.shape[1] // 2 - 1
        return inputs[:, place : place + 1].clamp_max(self.symbols - 1).expand(inputs.shape)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`band 2/4`: second quarter of the copy."""
        return f"{axis} {stratum + 1}/{BANDS}"

    def input_name(self, token: int) -> str:
        """A symbol's number, SEP or ANS."""
        return {self.symbols: "SEP", self.symbols + 1: "ANS"}.get(token, str(token))
