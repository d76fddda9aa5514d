"""Modular arithmetic with precedence: y_t = value mod m of the expression that ends at digit t.

Ids: the digits 0 … m − 1, then + m, − m + 1, × m + 2 and, with brackets, "(" m + 3 and ")" m + 4.
Digits and operators take turns, so that a length is odd; the answer stands on the digit, the mask
holds the digits (dense) or the last one (final: Delétang et al. 2023, arXiv:2207.02098, "modular
arithmetic (simple)", which has + − × at m = 5). The value is total + product, where the product is
that of the digits since the latest + or −, with its sign; both stay below m at every step.
`operators` is "all", or "signs" for + and − alone, as others have it under the same name.

Sampler: digits and operators are uniform (natural). Stratified, the longest run of × is in the bins
0, 1, 2–3, 4–7, … up to half the operators, rounded up: a run of c, uniform in its bin, is planted
at a uniform place between + or −, the rest is drawn uniformly, and every × that would make a
longer run becomes + or −. Axes: run (that bin), times (the number of ×, doubling bins), and of the
position chain: how many × lead to it from the start of its term or from the latest factor 0, since
a 0 wipes out what stands before it.

With brackets (final only) a row is an expression as `brackets` describes it, answered at its last
token; any length is possible. Its axis is the bracket depth; strata are the depths that at least
one in 64 natural rows has, drawn as those are. Which value is commonest depends on the
operators (0, more often with ×), so that the majority class belongs beside every score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .brackets import LONGEST, common_depths, expressions, natural_depths, nesting, values
from .counter import below, bits32, key_of
from .sampling import cells, chunked, doubling, doubling_ends, doubling_name, latest
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

OPERATORS = ("all", "signs")
SIGNS = "+−×()"
MOST = 250  # of the modulus: ids fit a byte


@dataclass(frozen=True, kw_only=True)
class ModArith(Task):
    """Expressions of digits with +, − and ×, or brackets; strata: runs of ×, or bracket depth.

    modulus m ≥ 2; operators all|signs; brackets needs supervision final; supervision dense|final;
    sampler stratified|natural.
    """

    modulus: int = 5
    operators: str = "all"
    brackets: bool = False
    supervision: str = "dense"
    sampler: str = "stratified"

    name: ClassVar[str] = "mod_arith"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Delétang et al. 2023, arXiv:2207.02098"
    solved_by: ClassVar[str] = "without brackets: DeltaNet with eigenvalues in [−1, 1], sLSTM"
    lengths: ClassVar[tuple[int, int]] = (11, 41)
    examples: ClassVar = (
        {},
        {"modulus": 3, "supervision": "final"},
        {"operators": "signs", "sampler": "natural"},
        {"brackets": True, "supervision": "final"},
        {"brackets": True, "supervision": "final", "operators": "signs", "sampler": "natural"},
    )

    def __post_init__(self) -> None:
        """Refuse unknown names, a modulus out of range, and brackets with dense answers."""
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        require_known("operators", self.operators, OPERATORS)
        if not 2 <= self.modulus <= MOST:
            raise ValueError(f"expected a modulus from 2 to {MOST}, got {self.modulus}")
        if self.brackets and self.supervision != "final":
            raise ValueError(f"expected supervision final with brackets, got {self.supervision}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """The digits, three operators and, with brackets, two brackets."""
        return self.modulus + (5 if self.brackets else 3)

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The digits."""
        return self.modulus

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """The longest run of ×, or the bracket depth."""
        return ("depth",) if self.brackets else ("run",)

    def require_length(self, length: int) -> None:
        """Refuse a length below 1 and, without brackets, an even one."""
        if length < 1:
            raise ValueError(f"expected a length of at least 1, got {length}")
        if length % 2 == 0 and not self.brackets:
            raise ValueError(f"expected an odd length (digits and operators in turn), got {length}")
        if self.brackets and length > LONGEST:
            raise ValueError(f"expected a length of at most {LONGEST} with brackets, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the values of what has been read."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        draw = self.bracketed if self.brackets else self.flat
        return chunked(lambda rows: self.batch(draw(key, rows, length)), n)

    def flat(self, key: int, rows: Tensor, length: int) -> Tensor:
        """Rows without brackets, uint8 [R, length]."""
        digits = below(bits32(key_of(key, "digits"), rows, (length + 1) // 2), self.modulus)
        bits = bits32(key_of(key, "operators"), rows, length // 2)
        drawn = below(bits, self.kinds)
        if self.sampler == "stratified" and self.operators == "all" and length > 1:
            drawn = planted(key, rows, drawn, bits & 1)
        inputs = torch.empty(len(rows), length, dtype=torch.uint8)
        inputs[:, ::2], inputs[:, 1::2] = digits, drawn + self.modulus
        return inputs

    def bracketed(self, key: int, rows: Tensor, length: int) -> Tensor:
        """Rows with brackets, uint8 [R, length]."""
        natural = self.sampler == "natural"
        depth = natural_depths(key, rows, length) if natural else common_depths(rows, length)
        return expressions(key, rows, depth, length, (self.modulus, self.kinds))

    @property
    def kinds(self) -> int:
        """Number of operators that are drawn."""
        return 3 if self.operators == "all" else 2

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        mask = torch.zeros(inputs.shape, dtype=torch.bool)
        mask[:, :: 1 if self.brackets else 2] = True
        if self.supervision == "final":
            mask = final_only(mask)
        return Batch(inputs, self.label(inputs).where(mask, 0), mask, self.strata(inputs))

    def label(self, inputs: Tensor) -> Tensor:
        """Values of what has been read, an operator's being that of the digit before it.

        Without brackets, places tell digits from operators: what is no operator counts as +.
        """
        if self.brackets:
            return values(inputs, self.modulus)
        found = running(*self.terms(inputs), self.modulus)
        return found.repeat_interleave(2, 1)[:, : inputs.shape[1]].to(inputs.dtype)

    def terms(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Digits with their signs, 0 … m − 1, and whether a × stands before; both [B, digits]."""
        digits = inputs[:, ::2].int() % self.modulus
        before = torch.full_like(digits, self.modulus)  # a + before the first
        before[:, 1:] = inputs[:, 1::2][:, : digits.shape[1] - 1]
        negative = before == self.modulus + 1
        return torch.where(negative, -digits, digits) % self.modulus, before == self.modulus + 2

    def strata(self, inputs: Tensor) -> dict[str, Tensor]:
        """Columns `run` and `times` [B], and `chain` [B, T]; with brackets, `depth` [B]."""
        if self.brackets:
            return {"depth": nesting(inputs, self.modulus)}
        digits, times = self.terms(inputs)
        chain = torch.zeros(inputs.shape, dtype=torch.uint8)
        chain[:, ::2] = doubling(run_lengths(times & (digits > 0)))
        longest = run_lengths(times).amax(1)
        return {"run": doubling(longest), "times": doubling(times.sum(1)), "chain": chain}

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess, 1/m; a row of one digit, and of −d, is its own answer.

        What a factor 0 gives away is left to the rules: they say how much.
        """
        final = float(length <= (2 if self.brackets else 1))
        free = 2 / (length + 1) if self.supervision == "dense" else final
        return free + (1 - free) / self.modulus

    def rules(self) -> dict[str, Rule]:
        """Zero; the latest digit; without brackets, also left to right without precedence."""
        rules: dict[str, Rule] = {
            "zero": torch.zeros_like,
            "latest digit": lambda inputs: latest(inputs, inputs < self.modulus),
        }
        return rules if self.brackets else {**rules, "left to right": self.left_to_right}

    def left_to_right(self, inputs: Tensor) -> Tensor:
        """Values [B, T] if × had no precedence: right until a × comes after a + or −."""
        digits, times = self.terms(inputs)
        value, found = torch.zeros_like(digits[:, 0]), []
        for digit, chained in zip(digits.T, times.T, strict=True):
            value = torch.where(chained, value * digit, value + digit) % self.modulus
            found.append(value)
        answers = torch.stack(found, 1).repeat_interleave(2, 1)
        return answers[:, : inputs.shape[1]].to(inputs.dtype)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`run 2-3`, `times 8-15`, `chain 1`; `depth 4`."""
        return f"{axis} {stratum if axis == 'depth' else doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """A digit, an operator or a bracket."""
        return str(token) if token < self.modulus else SIGNS[token - self.modulus]


def planted(key: int, rows: Tensor, drawn: Tensor, turned: Tensor) -> Tensor:
    """Operators 0 … 2 [R, N] with a longest run of × from the bins in turn; `turned` replaces ×."""
    places = torch.arange(drawn.shape[1])
    most = (len(places) + 1) // 2
    (bin,) = cells(rows, int(doubling(torch.tensor(most))) + 1)
    low, high = doubling_ends(bin, most)
    bits = bits32(key_of(key, "run"), rows, 2)
    size = (low + below(bits[:, 0], high - low + 1))[:, None]
    start = below(bits[:, 1:], len(places) - size + 1)
    inside = (places >= start) & (places < start + size)
    beside = (size > 0) & ((places == start - 1) | (places == start + size))
    times = inside | ((drawn == 2) & ~beside)
    over = times & (run_lengths(times) % (size + 1) == 0)  # the (c + 1)th of a run
    return torch.where(times & ~over, 2, torch.where(drawn == 2, turned, drawn))


def run_lengths(marked: Tensor) -> Tensor:
    """How many marked columns in a row end here, [R, N]."""
    places = torch.arange(marked.shape[1]).expand(marked.shape)
    return places - places.where(~marked, -1).cummax(1).values


def running(digits: Tensor, times: Tensor, modulus: int) -> Tensor:
    """total + product mod m after every signed digit, [B, N]; time runs along the first axis."""
    digits, times = digits.T.contiguous(), times.T.contiguous()
    value = total = product = torch.zeros_like(digits[0])
    found = torch.empty_like(digits)
    for t, (digit, chained) in enumerate(zip(digits, times, strict=True)):
        total = total.where(chained, value)
        product = torch.where(chained, product * digit, digit) % modulus
        value = (total + product) % modulus
        found[t] = value
    return found.T.contiguous()
