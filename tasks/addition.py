"""Addition of two numbers of n digits in base b, least significant digit first.

Aligned (default), T = n + 1: token t is the pair a·b + a′ of digits, ids 0 … b²−1, then END = b².
The answer on a pair is the sum's digit there, on END the last carry; classes 0 … b−1, all scored.
Unaligned, T = 3n + 3: first number, +, second number, =, n + 1 × ANS; ids 0 … b−1, + b, = b+1,
ANS b+2; the answers are on the ANS, and the digits that one of them needs lie n + 1 apart.

Of a digit's pair, the sum kills a carry (below b−1), propagates it (b−1) or generates one (above).
A carry chain is a generating digit with the propagating ones right after it. Rows are dealt to the
doubling bins of their longest chain in turn, and draw its length c within; it is planted at a
uniform place, the digit after it does not propagate, all else is uniform, and a digit that would
lengthen another chain beyond c kills. In bin 0 no digit generates. Chosen here: the base, the
aligned form, doubling bins up to n, and the axis `lookback` of the position: how many digits back
the carry into it is decided (at its least, the whole past). Chance knows that a pair leaves two
answers, and the first one.

Delétang et al. 2023, arXiv:2207.02098v3, "binary addition" (there unaligned, without slots); Fan et
al. 2024, arXiv:2409.15647v5, for looped transformers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of
from .sampling import cells, chunked, doubling, doubling_ends, doubling_name
from .task import Batch, Rule, Split, Task, key_parts, require_known, require_sizes

ADDITION_LAYOUTS = ("aligned", "unaligned")


@functools.lru_cache(maxsize=8)
def pairs_by_kind(base: int) -> Tensor:
    """The pairs a·b + a′ [b²]: b that propagate, then those that kill, as many that generate."""
    sums = pair_sums(base)[:-1]
    kind = (sums < base - 1) + 2 * (sums > base - 1).long()
    return kind.argsort(stable=True)


@functools.lru_cache(maxsize=8)
def pair_sums(base: int) -> Tensor:
    """a + a′ of every aligned token [b² + 1]; END adds nothing."""
    digits = torch.arange(base)
    return torch.cat([(digits[:, None] + digits).flatten(), torch.zeros(1, dtype=torch.int64)])


def settled(sums: Tensor, base: int) -> tuple[Tensor, Tensor]:
    """The carry out of every digit (bool), and how far back it was settled; both [B, S].

    The latest digit that does not propagate settles it; before the first, the row's start does.
    """
    ends = torch.arange(1, sums.shape[1] + 1, dtype=torch.int32, device=sums.device)
    marked = (2 * ends + (sums >= base)).where(sums != base - 1, 0)
    last = marked.cummax(1).values  # twice the place, from 1 on, and whether it generates
    return (last & 1) > 0, ends - (last >> 1)


def delayed(column: Tensor) -> Tensor:
    """A column [B, S] one digit later; zeros at the first."""
    return torch.cat([torch.zeros_like(column[:, :1]), column[:, :-1]], 1)


@dataclass(frozen=True, kw_only=True)
class Addition(Task):
    """Little-endian addition; strata: carry (longest chain) and lookback (position).

    base from 2 to 100; layout aligned|unaligned.
    """

    base: int = 2
    layout: str = "aligned"

    name: ClassVar[str] = "addition"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("carry",)  # type: ignore[misc]
    source: ClassVar[str] = "Delétang et al. 2023, arXiv:2207.02098v3, binary addition"
    solved_by: ClassVar[str] = "LSTM if aligned; Tape-RNN, looped transformers if not"
    lengths: ClassVar[tuple[int, int]] = (12, 39)
    examples: ClassVar = (
        {},
        {"base": 10},
        {"layout": "unaligned"},
        {"layout": "unaligned", "base": 20},
    )

    def __post_init__(self) -> None:
        """Refuse an unknown layout and a base out of range."""
        require_known("layout", self.layout, ADDITION_LAYOUTS)
        if not 2 <= self.base <= 100:
            raise ValueError(f"expected a base from 2 to 100, got {self.base}")

    @property
    def aligned(self) -> bool:
        """Whether a token holds both digits."""
        return self.layout == "aligned"

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """Pairs and END, or digits, +, = and ANS."""
        return self.base**2 + 1 if self.aligned else self.base + 3

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The digits."""
        return self.base

    def require_length(self, length: int) -> None:
        """n + 1 or 3n + 3 positions, for n ≥ 1 digits."""
        if self.aligned and length < 2:
            raise ValueError(f"expected a length of n + 1 for n ≥ 1 digits, got {length}")
        if not self.aligned and (length < 6 or length % 3):
            raise ValueError(f"expected a length of 3n + 3 for n ≥ 1 digits, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of ids [n, length] with the digits of their sums."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        digits = length - 1 if self.aligned else length // 3 - 1
        return chunked(lambda rows: self.batch(self.write(self.draw(key, rows, digits))), n)

    def draw(self, key: int, rows: Tensor, digits: int) -> Tensor:
        """Pairs of digits [R, n] whose longest carry chain is what the row's cell asks for."""
        base, killing = self.base, self.base * (self.base - 1) // 2
        (bin,) = cells(rows, 1 + int(doubling(torch.tensor(digits))))
        low, high = doubling_ends(bin, digits)
        bits = bits32(key_of(key, "chain"), rows, 2)
        chain = low + below(bits[:, 0], high - low + 1)  # [R]
        start = below(bits[:, 1], digits - chain + 1)
        first, count = self.choices(digits, chain[:, None], start[:, None])
        picks = first + below(bits32(key_of(key, "digits"), rows, digits), count)
        carry, since = settled(pair_sums(base)[pairs_by_kind(base)[picks]], base)
        kill = base + below(bits32(key_of(key, "kill"), rows, digits), killing)
        picks = kill.where(carry & (since == chain[:, None]), picks)
        return pairs_by_kind(base)[picks]

    def choices(self, digits: int, chain: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """First and number of the pairs by kind that a digit may be; both [R, n]."""
        base, generating = self.base, self.base * (self.base - 1) // 2
        place = torch.arange(digits) - start
        planted, within = chain > 0, (place > 0) & (place < chain)
        end = planted & (place == chain)
        first = torch.where(end, base, torch.where(planted & (place == 0), base + generating, 0))
        count = torch.where(planted, base**2, base + generating) - first
        return first, count.where(~within, base)

    def write(self, pairs: Tensor) -> Tensor:
        """Inputs [R, T] of pairs of digits [R, n], in the layout."""
        narrow = torch.uint8 if self.vocab <= 256 else torch.int16
        mark = torch.ones_like(pairs[:, :1])
        if self.aligned:
            return torch.cat([pairs, mark * self.base**2], 1).to(narrow)
        left, right, base = pairs // self.base, pairs % self.base, self.base
        slots = torch.full_like(pairs, base + 2)
        row = [left, mark * base, right, mark * (base + 1), slots, mark * (base + 2)]
        return torch.cat(row, 1).to(narrow)

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        sums = self.sums(inputs)
        carry, since = settled(sums, self.base)
        longest = (since + 1).where(carry, 0).amax(1)
        places = torch.arange(sums.shape[1], dtype=torch.int32)
        lookback = (delayed(since) + 1).minimum(places)
        mask = self.on_slots(torch.ones_like(sums, dtype=torch.bool), inputs)
        strata = {
            "carry": doubling(longest),
            "lookback": self.on_slots(doubling(lookback).to(torch.uint8), inputs),
        }
        return Batch(inputs, self.answers(inputs, sums, carry), mask, strata)

    def label(self, inputs: Tensor) -> Tensor:
        """Digits of the sum; what is no digit counts as 0."""
        sums = self.sums(inputs)
        return self.answers(inputs, sums, settled(sums, self.base)[0])

    def answers(self, inputs: Tensor, sums: Tensor, carry: Tensor) -> Tensor:
        """Digits [B, T] of sums [B, n + 1] with the carries out of their digits."""
        digits = (sums + delayed(carry)) % self.base
        return self.on_slots(digits.to(inputs.dtype), inputs)

    def sums(self, inputs: Tensor) -> Tensor:
        """a + a′ of every digit and 0 for the last carry [B, n + 1], int64."""
        if self.aligned:
            return pair_sums(self.base).to(inputs.device)[inputs.long()]
        digits = max(inputs.shape[1] // 3 - 1, 0)
        numbers = inputs.long().where(inputs < self.base, 0)
        sums = numbers[:, :digits] + numbers[:, digits + 1 : 2 * digits + 1]
        return torch.cat([sums, torch.zeros_like(numbers[:, :1])], 1)

    def on_slots(self, column: Tensor, inputs: Tensor) -> Tensor:
        """A column [B, n + 1] where the row's answers are, [B, T]; zeros elsewhere."""
        before = inputs.shape[1] - column.shape[1]
        return torch.cat([column.new_zeros(len(column), before), column], 1)

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """An even guess: a pair leaves two answers, the first one; a slot b, the last slot two."""
        if self.aligned:
            return 1 / length + (1 - 1 / length) / 2
        slots = length // 3
        return ((slots - 1) / self.base + 1 / 2) / slots

    def rules(self) -> dict[str, Rule]:
        """Never a carry, always one (but into the first digit), and one digit of looking back."""

        def rule(carried: Rule) -> Rule:
            def answer(inputs: Tensor) -> Tensor:
                sums = self.sums(inputs)
                return self.answers(inputs, sums, carried(sums))

            return answer

        return {
            "no carry": rule(torch.zeros_like),
            "always carry": rule(torch.ones_like),
            "carry of the digit before": rule(lambda sums: sums >= self.base),
        }

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`carry 4-7`: digits in the longest chain; `lookback 2-3`: digits to where it starts."""
        return f"{axis} {doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """`3+4` and `end`, or digits, `+`, `=` and `?`."""
        if self.aligned:
            left, right = divmod(token, self.base)
            return "end" if left == self.base else f"{left}+{right}"
        return str(token) if token < self.base else "+=?"[token - self.base]

    def answer_name(self, token: int) -> str:
        """A digit."""
        return str(token)
