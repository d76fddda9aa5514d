"""ListOps: the value of every bracket of a nested prefix expression, or of the whole of it.

Ids: digits 0–9, `[MIN` 10, `[MAX` 11, `[MED` 12, `[SM` 13 (sum modulo 10), `]` 14, PAD 15.
Operators take 2 to 10 arguments; MED of an even number of them is the mean of the middle two,
rounded down. A row is one expression, then PAD up to its length. The label at a `]` is the value of
the sub-expression that it closes; the mask is every `]` (dense) or the last one (final), on the
same rows. Elsewhere the label is 0. On rows that are no expression, a `]` without a `[` is skipped
and an operator without arguments is worth 0; PAD is no argument.

A digit has depth 0. Stratified: depth exactly d, from `shallowest` to `depth` in turn, with a chain
of d operators one inside the other, in arguments of random places. How many arguments the d
operators have is drawn uniformly, within what still fits; every other argument is a digit, and with
probability 1/4, visited in random order, a natural expression of at most the depth left, where one
fits. So no row is rejected, any length from 3d + 1 on will do, and rows of a smaller depth are
shorter: read a curve over depth together with `size`. Natural: the generator of Long Range Arena,
whose tree of `depth` (9 there: its max_depth of 10 counts the digits) has operators with
probability 1/4 where the depth allows, kept when over a quarter of the row: over 500 of 2000.

Strata: depth, number of arguments of the outermost operator and number of tokens (doubling bins) of
the row; at each `]` the depth of what it closes. Values of MIN are mostly 0 and of MAX 9, so that
the operator alone gives far more than chance.

Nangia and Bowman 2018, arXiv:1804.06028; Tay et al. 2021, arXiv:2011.04006.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from .counter import generator_of, key_of
from .listops_expressions import (
    CLOSE,
    MAX,
    MED,
    MIN,
    NAMES,
    PAD,
    SM,
    arguments,
    evaluated,
    exact,
    levels,
    mean_tokens,
    natural,
)
from .pool import Columns, pooled
from .sampling import CHUNK, doubling, doubling_name, joined, latest
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

TYPICAL = {MIN: 0, MAX: 9, MED: 4, SM: 0}
"""The likeliest value of an operator on 2 to 10 uniform digits.

A minimum is 0 with probability 1 − 0.9^k; a maximum is 9 as often. A median lies around 4.5, evenly
on both sides for an odd number of digits, and is rounded down for an even one, which leaves 4. A
sum is uniform: any answer is as good.
"""


@dataclass(frozen=True, kw_only=True)
class ListOps(Task):
    """Nested MIN, MAX, MED and SM; strata depth, arguments, size, and height at each `]`.

    sampler stratified|natural; supervision dense|final; depth 1–10, from `shallowest` on
    (stratified) or at most (natural).
    """

    depth: int = 3
    shallowest: int = 1
    sampler: str = "stratified"
    supervision: str = "dense"

    name: ClassVar[str] = "listops"
    version: ClassVar[int] = 1  # type: ignore[misc]
    vocab: ClassVar[int] = 16  # type: ignore[misc]
    classes: ClassVar[int] = 10  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Nangia and Bowman 2018, arXiv:1804.06028; LRA, arXiv:2011.04006"
    solved_by: ClassVar[str] = "tree models; on LRA transformers reach about 36 %"
    lengths: ClassVar[tuple[int, int]] = (20, 40)
    examples: ClassVar = (
        {},
        {"supervision": "final"},
        {"depth": 5, "shallowest": 2},
        {"sampler": "natural", "supervision": "final"},
    )

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """The depth, which natural rows leave to chance."""
        return ("depth",) if self.sampler == "stratified" else ()

    def __post_init__(self) -> None:
        """Refuse unknown names and depths out of order."""
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not 1 <= self.shallowest <= self.depth <= 10:
            raise ValueError(
                "expected 1 ≤ shallowest ≤ depth ≤ 10, "
                f"got shallowest {self.shallowest} and depth {self.depth}"
            )

    def require_length(self, length: int) -> None:
        """An expression of the depth must fit; a natural one must be as long as is asked."""
        least = 3 * self.depth + 1 if self.sampler == "stratified" else 4
        if length < least:
            raise ValueError(f"expected a length of at least {least}, got {length}")
        if self.sampler == "natural" and length // 4 > mean_tokens(self.depth):
            most = 4 * int(mean_tokens(self.depth)) + 3
            raise ValueError(
                f"expected a length up to {most} for natural rows of depth {self.depth}, "
                f"got {length}"
            )

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the values of their brackets."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(replace(self, supervision="dense"), seed, split, length))
        inputs = pooled(self.name, key, n, partial(self.draw, key, length))["inputs"]
        return joined([self.batch(part) for part in inputs.split(CHUNK)])

    def draw(self, key: int, length: int, rows: Tensor) -> Columns:
        """Inputs [R, T] of some rows."""
        drawn = [self.expression(generator_of(key, row), row, length) for row in rows.tolist()]
        padded = [row + [PAD] * (length - len(row)) for row in drawn]
        return {"inputs": torch.tensor(padded, dtype=torch.uint8).view(-1, length)}

    def expression(self, rng: random.Random, row: int, length: int) -> list[int]:
        """The tokens of one row."""
        if self.sampler == "stratified":
            depth = self.shallowest + row % (self.depth - self.shallowest + 1)
            return exact(rng, depth, length)
        while True:
            tokens = natural(rng, self.depth, length)
            if tokens and len(tokens) > length // 4:
                return tokens

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        values, heights = evaluated(inputs)
        mask = inputs == CLOSE
        ends = final_only(mask)
        strata = {
            "depth": heights.where(ends, 0).amax(1),
            "arguments": arguments(inputs),
            "size": doubling((inputs != PAD).sum(1)),
            "height": heights,
        }
        return Batch(inputs, values, ends if self.supervision == "final" else mask, strata)

    def label(self, inputs: Tensor) -> Tensor:
        """The value at every `]`, 0 elsewhere."""
        return evaluated(inputs)[0].to(inputs.dtype)

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A digit at random."""
        return 0.1

    def rules(self) -> dict[str, Rule]:
        """The typical value of the innermost open operator, and the latest digit."""
        return {"operator": operator_alone, "latest digit": latest_digit}

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`depth 3`, `arguments 7`; a size by the tokens in its bin, `size 16-31`."""
        return f"{axis} {doubling_name(stratum) if axis == 'size' else stratum}"

    def input_name(self, token: int) -> str:
        """A digit, an operator, a bracket; PAD is a dot."""
        return NAMES[token]

    def show(self, batch: Batch, row: int) -> str:
        """The expression, with its value after every bracket that is scored."""
        columns = (batch.inputs[row], batch.targets[row], batch.mask[row])
        return " ".join(
            f"{NAMES[token]}={value}" if scored else NAMES[token]
            for token, value, scored in zip(*(c.tolist() for c in columns), strict=True)
            if token != PAD
        )


def operator_alone(inputs: Tensor) -> Tensor:
    """The likeliest value of the operator whose bracket is the innermost open one, [B, T].

    At a `]` that is the bracket it closes; where none is open the answer is 0.
    """
    inputs = inputs.long()
    before, _ = levels(inputs)
    table = torch.zeros(16, dtype=torch.int64, device=inputs.device)
    for operator, value in TYPICAL.items():
        table[operator] = value
    answers = torch.zeros_like(inputs)
    for level in range(1, int(before.max()) + 1):
        opened = latest(inputs, (inputs >= MIN) & (inputs <= SM) & (before == level - 1))
        answers = table[opened].where(before == level, answers)
    return answers


def latest_digit(inputs: Tensor) -> Tensor:
    """The digit read last, [B, T]."""
    return latest(inputs.long(), inputs < MIN)
