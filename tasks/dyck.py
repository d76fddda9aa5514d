"""Dyck words of k kinds of brackets, D deep at most: y_t = kind of the closer that may come next.

Ids: openers 0 … k − 1, closers k … 2k − 1; y_t is the kind of the innermost bracket open after
token t, or k, "none", at depth 0. Dense: all positions of a balanced word. An opener's answer is
its own kind and "none" needs the depth alone, so the headline, `closer`, counts the closers that
leave a bracket open. Since a later closer shows the answer, the dense form is for causal methods;
the final form is for both: a word of 2L tokens, cut at L where token L is such a closer, and asked
there.

Sampler: the deepest level of a row is exactly h, dealt in turn over h = 2 … D (at h = 1 nothing is
hard); on test rows over 2 … `deepest`, if that is given, so that deeper strata than were trained
show how far a method goes on. At height 2 a counter is enough, as the rule `outermost` shows. A
level that does not fit a length is left out: dense needs 2h tokens, and a final row of an even
length leaves an even depth, so that its h is 3 at least. Steps are those of `dyck_walks`, kinds are
uniform. Axes: height (h), and of the position depth and distance to the opener that is asked about
(doubling bins).

Rows that are no words have answers too: a closer that is not the innermost opener's, or that finds
none, changes nothing. Hewitt et al. 2020, arXiv:2010.07515, for the language; the forms are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of
from .dyck_walks import steps
from .sampling import chunked, doubling, doubling_name, latest
from .task import (
    SUPERVISIONS,
    Batch,
    Check,
    Rule,
    Split,
    Task,
    key_parts,
    require_known,
    require_sizes,
)

OPENERS, CLOSERS = "([{<", ")]}>"
NONE = "·"
MOST_KINDS, MOST_DEPTH = 100, 64
KIND = 8  # bits of a kind in an entry of the stack, below its place


@dataclass(frozen=True, kw_only=True)
class Dyck(Task):
    """Bracket words with their next closer; strata: height, depth and distance.

    kinds k ≥ 2; depth D ≥ 2; deepest: the deepest level of test rows, 0 for D; supervision
    dense|final.
    """

    kinds: int = 2
    depth: int = 4
    deepest: int = 0
    supervision: str = "dense"

    name: ClassVar[str] = "dyck"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    metric: ClassVar[str] = "closer"  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("height",)  # type: ignore[misc]
    source: ClassVar[str] = "Hewitt et al. 2020, arXiv:2010.07515"
    titles: ClassVar[Mapping[str, str]] = {"closer": "Closers that leave a bracket open, %"}
    solved_by: ClassVar[str] = "Stack-RNN; at a bounded depth and trained lengths LSTM, transformer"
    lengths: ClassVar[tuple[int, int]] = (12, 32)
    examples: ClassVar = (
        {},
        {"supervision": "final"},
        {"kinds": 4, "depth": 8},
        {"kinds": 3, "depth": 3, "deepest": 5, "supervision": "final"},
    )

    def __post_init__(self) -> None:
        """Refuse numbers out of range and an unknown supervision."""
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not 2 <= self.kinds <= MOST_KINDS:
            raise ValueError(f"expected 2 to {MOST_KINDS} kinds, got {self.kinds}")
        if not 2 <= self.depth <= MOST_DEPTH:
            raise ValueError(f"expected a depth from 2 to {MOST_DEPTH}, got {self.depth}")
        if self.deepest and not self.depth <= self.deepest <= MOST_DEPTH:
            raise ValueError(
                f"expected deepest 0 or {self.depth} (depth) to {MOST_DEPTH}, got {self.deepest}"
            )

    @property
    def final(self) -> bool:
        """Whether only the last position is asked."""
        return self.supervision == "final"

    @property
    def reveals(self) -> bool:  # type: ignore[override]
        """Dense: the closer that is asked comes later."""
        return not self.final

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """Openers and closers."""
        return 2 * self.kinds

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The kinds, and none."""
        return self.kinds + 1

    def form(self, causal: bool) -> Task | None:
        """Dense for causal methods, final for others; at depth 2 final has no even lengths."""
        if causal or self.final:
            return self
        return replace(self, supervision="final") if self.depth > 2 else None

    def heights(self, length: int, split: Split) -> list[int]:
        """Deepest levels that a row of this length can have exactly."""
        top = max(self.depth, self.deepest) if split == "test" else self.depth
        if self.final:
            return list(range(2 + (length + 1) % 2, min(top, length - 1) + 1))
        return [] if length % 2 else list(range(2, min(top, length // 2) + 1))

    def require_length(self, length: int) -> None:
        """Refuse a length at which no row has a closer to ask about."""
        if self.heights(length, "train"):
            return
        least = (
            "a length of at least 3, or even from 4 on" if self.depth > 2 else "an odd length ≥ 3"
        )
        expected = least if self.final else "an even length of at least 4"
        raise ValueError(f"expected {expected} (depth {self.depth}), got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the closers that may come next."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        heights = tuple(self.heights(length, split))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length, heights)), n)

    def draw(self, key: int, rows: Tensor, length: int, heights: tuple[int, ...]) -> Tensor:
        """Kinds on steps up and down, uint8 [R, length]; time runs along the first axis."""
        ups = steps(key_of(key, "steps"), rows, length, heights, final=self.final)
        drawn = below(bits32(key_of(key, "kinds"), rows, length), self.kinds)
        tokens = drawn.to(torch.uint8).T.contiguous()
        stack = torch.zeros(max(heights) + 1, len(rows), dtype=torch.uint8)
        depth = torch.zeros(1, len(rows), dtype=torch.int64)
        for token, up in zip(tokens, ups, strict=True):
            level = depth + up  # of the bracket that the token opens or closes
            kind = torch.where(up, token, stack.gather(0, level - 1)[0])
            stack.scatter_(0, level - 1, kind[None])
            depth = level - 1 + up
            token.copy_(kind + self.kinds * ~up)
        return tokens.T.contiguous()

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        mask = torch.ones(inputs.shape, dtype=torch.bool)
        mask[:, : -1 if self.final else 0] = False
        top, depth = self.read(inputs)
        targets = (top & ((1 << KIND) - 1)).to(inputs.dtype)
        distance = (torch.arange(inputs.shape[1], dtype=torch.int32) - (top >> KIND)) * (depth > 0)
        bins = doubling(torch.arange(inputs.shape[1])).to(torch.uint8)
        strata = {
            "height": depth.amax(1),
            "depth": depth.to(torch.uint8),
            "distance": bins.index_select(0, distance.flatten()).view(inputs.shape),
        }
        return Batch(inputs, targets.where(mask, 0), mask, strata)

    def label(self, inputs: Tensor) -> Tensor:
        """Kind of the innermost open bracket after every token, or k for none."""
        return (self.read(inputs)[0] & ((1 << KIND) - 1)).to(inputs.dtype)

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The innermost open bracket, its place·2⁸ + its kind, and the depth; both [B, T]."""
        tokens = inputs.T.to(torch.int32, memory_format=torch.contiguous_format)  # [T, B]
        tops, depths = torch.empty_like(tokens), torch.empty_like(tokens)
        top = torch.full_like(tokens[0], self.kinds)
        depth = torch.zeros_like(tokens[:1], dtype=torch.int64)
        stack = top.expand(len(tokens) + 1, -1).clone()  # "none" at the bottom
        for t, token in enumerate(tokens):
            closes = token - self.kinds == top & ((1 << KIND) - 1)
            stack.scatter_(0, depth + 1, (token + (t << KIND))[None])  # above the top: of no weight
            depth = depth + (token < self.kinds).long() - closes.long()
            top = stack.gather(0, depth)[0]
            tops[t], depths[t] = top, depth[0]
        return tops.T.contiguous(), depths.T.contiguous()

    def balanced(self, inputs: Tensor) -> Tensor:
        """Whether rows are whole words, bool [B]: every closer closes its opener, none is left."""
        halves = 2 * (inputs < self.kinds).sum(1) == inputs.shape[1]
        return halves & (self.read(inputs)[1][:, -1] == 0)

    # ---- levels, metrics and names -----------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess, 1/k: the kind of the bracket outside is independent of the token's own."""
        return 1 / self.kinds

    def rules(self) -> dict[str, Rule]:
        """Without a stack: the token's own kind, the latest opener's, and the mirrored token's."""
        return {
            "own kind": lambda inputs: inputs % self.kinds,
            "latest opener": lambda inputs: latest(inputs, inputs < self.kinds),
            "outermost": self.outermost,
            "mirror": self.mirror,
        }

    def outermost(self, inputs: Tensor) -> Tensor:
        """The kind of the latest opener from depth 0, by counting: all there is to height 2."""
        opens = inputs < self.kinds
        depth = (2 * opens.long() - 1).cumsum(1)
        return (latest(inputs, opens & (depth == 1)) % self.kinds).where(depth > 0, self.kinds)

    def mirror(self, inputs: Tensor) -> Tensor:
        """The kind as far before the latest opener as t is after it; none at depth 0, by counting.

        Right on j closers in a row that follow more than j openers in a row.
        """
        opens = inputs < self.kinds
        places = torch.arange(inputs.shape[1]).expand(inputs.shape)
        mirrored = (2 * latest(places, opens) - places).clamp_min(0)
        kind = inputs.gather(1, mirrored) % self.kinds
        return kind.where((2 * opens.long() - 1).cumsum(1) > 0, self.kinds)

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Closer: the answer on closers that leave a bracket open."""
        hard = batch.mask & (batch.inputs >= self.kinds) & (batch.targets < self.kinds)
        return {"closer": (answers == batch.targets, hard)}

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`height 4`, `depth 3`, `distance 8-15`."""
        return f"{axis} {doubling_name(stratum) if axis == 'distance' else stratum}"

    def input_name(self, token: int) -> str:
        """`(`, `]`, …; from five kinds on `(0`, `)4`, …"""
        closes, kind = divmod(token, self.kinds)
        if self.kinds > len(OPENERS):
            return f"{CLOSERS[0] if closes else OPENERS[0]}{kind}"
        return (CLOSERS if closes else OPENERS)[kind]

    def answer_name(self, token: int) -> str:
        """The closer, or `·` for none."""
        return NONE if token == self.kinds else self.input_name(token + self.kinds)
