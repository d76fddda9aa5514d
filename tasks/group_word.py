"""Word problem of a finite group: y_t = x_1 ∘ … ∘ x_t at every position.

Merrill, Petty and Sabharwal 2024, "The Illusion of State in State-Space Models",
arXiv:2404.08819. The ladder Z60 (abelian), A4 × Z5 (solvable), A5 (not solvable) has one
vocabulary of 60; S3 and S5 are the symmetric groups. Ids 0 … |G|−1 are the elements, 0 the
identity, in the order that `groups` states: lexicographic for permutations, (p ∘ q)[i] = p[q[i]],
and y_t = y_{t−1} ∘ x_t. The answer stands on the token itself; scored are all positions (dense) or
the last one (final), of the same rows.

The natural sampler draws uniform tokens. The stratified sampler spreads the number of tokens other
than the identity: rows of every split are dealt to the bins of that count in turn, draw a count
within theirs, its places uniformly and uniform elements. A bin holds as many even counts as odd
ones. Below 16 positions there is one bin, of natural rows. With swaps the tokens are the
transpositions of S3 or S5 and the identity; there the count fixes the sign of the last answer, and
who knows the sign alone is right with 2/|G|. Strata: density, the bin of the count; cayley, the
least number of transpositions that make the row's last answer (permutations only); count, by
position, the count so far, 0, 1, 2–3, 4–7, ….
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .counter import bits16, key_of, short_below
from .groups import GROUPS, Group, group, history, natural_counts, running, spread_counts, walk
from .sampling import (
    BINS,
    chunked,
    count_edges,
    counted_places,
    doubling,
    doubling_name,
    latest,
)
from .task import (
    SAMPLERS,
    SUPERVISIONS,
    Batch,
    Check,
    Rule,
    Split,
    Task,
    final_only,
    key_parts,
    require_known,
    require_sizes,
    side_by_side,
)


@dataclass(frozen=True, kw_only=True)
class GroupWord(Task):
    """Running products in a group.

    group S3|S5|A5|Z60|A4xZ5; sampler stratified|natural; supervision dense|final (all positions
    or the last); swaps: transpositions and the identity only, in S3 and S5.
    """

    group: str = "S5"
    sampler: str = "stratified"
    supervision: str = "dense"
    swaps: bool = False

    name: ClassVar[str] = "group_word"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Merrill, Petty and Sabharwal 2024, arXiv:2404.08819"
    solved_by: ClassVar[str] = "RNN, state-space models with input-dependent transitions: one layer"
    titles: ClassVar = {"transition": "Transition accuracy, %"}
    examples: ClassVar = (
        {},
        {"sampler": "natural"},
        {"group": "A5", "supervision": "final"},
        {"group": "A4xZ5"},
        {"group": "Z60"},
        {"group": "S3", "swaps": True, "supervision": "final"},
        {"swaps": True},
    )

    def __post_init__(self) -> None:
        """Refuse unknown names, and swaps where there are none."""
        require_known("group", self.group, GROUPS)
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not isinstance(self.swaps, bool):
            raise ValueError(f"expected swaps true or false, got {self.swaps!r}")
        if self.swaps and self.group not in ("S3", "S5"):
            raise ValueError(f"expected the group S3 or S5 with swaps, got {self.group!r}")

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """Density, which the stratified sampler fills."""
        return ("density",) if self.sampler == "stratified" else ()

    @property
    def table(self) -> Group:
        """The group's products, names and lengths."""
        return group(self.group)

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """The elements of the group."""
        return len(self.table)

    classes = vocab

    @property
    def letters(self) -> Tensor:
        """Ids of the tokens other than the identity, [letters]."""
        if self.swaps:
            assert self.table.cayley is not None
            return (self.table.cayley == 1).nonzero().flatten()
        return torch.arange(1, self.vocab)

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with their running products."""
        require_sizes(self, n, length, split)
        shared = replace(self, supervision="dense")
        key = key_of(*key_parts(shared, seed, split, length))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length)), n)

    def draw(self, key: int, rows: Tensor, length: int) -> Tensor:
        """Inputs [R, T] of some rows."""
        tokens = torch.cat([torch.zeros(1, dtype=torch.int64), self.letters]).to(torch.uint8)
        bits = bits16(key_of(key, "elements"), rows, length)
        if self.sampler == "natural" or length < 16:
            drawn = short_below(bits, len(tokens))
            return picked(tokens, drawn) if self.swaps else drawn
        places = counted_places(key_of(key, "places"), rows, length)
        drawn = short_below(bits, len(tokens) - 1) + 1
        return (picked(tokens, drawn) if self.swaps else drawn) * places

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        mask = torch.ones(inputs.shape, dtype=torch.bool)
        if self.supervision == "final":
            mask = final_only(mask)
        targets = self.label(inputs)
        return Batch(inputs, targets, mask, self.strata(inputs, targets[:, -1]))

    def label(self, inputs: Tensor) -> Tensor:
        """Running products."""
        return running(self.table.products, inputs).to(inputs.dtype)

    def strata(self, inputs: Tensor, last: Tensor) -> dict[str, Tensor]:
        """Columns `density` [B], `count` [B, T] and, for permutations, `cayley` [B]."""
        length = inputs.shape[1]
        seen = (inputs > 0).cumsum(1, dtype=torch.int32)
        columns = {
            "density": torch.bucketize(seen[:, -1].long(), count_edges(length)),
            "count": picked(doubling(torch.arange(length + 1)).to(torch.uint8), seen),
        }
        if self.table.cayley is not None:
            columns["cayley"] = self.table.cayley[last.long()]
        return columns

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`density 3/8`: third bin of eight; `count 4-7`; `cayley 2`."""
        if axis == "density":
            return f"density {stratum + 1}/{BINS}"
        return f"{axis} {doubling_name(stratum) if axis == 'count' else stratum}"

    def input_name(self, token: int) -> str:
        """A permutation as 21345, of A4 × Z5 as 2143+3, a number as itself."""
        return self.table.names[token]

    def show(self, batch: Batch, row: int) -> str:
        """Elements and their ids, inputs over answers."""
        inputs = batch.inputs[row].tolist()
        answers = batch.targets[row].masked_fill(~batch.mask[row], self.vocab).tolist()
        names, ids = (*self.table.names, "."), (*map(str, range(self.vocab)), ".")
        lines = {
            "inputs": [names[token] for token in inputs],
            "input ids": [ids[token] for token in inputs],
            "answers": [names[answer] for answer in answers],
            "answer ids": [ids[answer] for answer in answers],
        }
        return side_by_side(lines)

    # ---- levels and metrics ------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """Best guess from x_t and t: (1 + (L − 1)/|G|)/L on natural rows of the whole group.

        Position 1 is its own answer; on stratified rows few elements may have come before.
        """
        return levels(self, length)[0]

    def shortcut(self, length: int) -> float:
        """The better of chance and the rules, whose expectations follow from the counts."""
        return max(levels(self, length))

    def rules(self) -> dict[str, Rule]:
        """The latest element that is not the identity, right until the second one comes.

        With swaps also `sign`: the identity after an even number of them, the latest one after an
        odd number.
        """
        found: dict[str, Rule] = {"latest element": lambda x: latest(x, x > 0)}
        if self.swaps:
            found["sign"] = lambda x: latest(x, x > 0).where((x > 0).cumsum(1) % 2 == 1, 0)
        return found

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Transition: ŷ_t = ŷ_{t−1} ∘ x_t from position 2 on: the update rule, slips apart."""
        if self.supervision == "final":
            return {}
        products = self.table.products.to(answers.device)
        correct = torch.zeros_like(batch.mask)
        step = products[answers[:, :-1].long(), batch.inputs[:, 1:].long()]
        correct[:, 1:] = step == answers[:, 1:]
        scored = batch.mask.clone()
        scored[:, :1] = False
        return {"transition": (correct, scored)}


def picked(table: Tensor, index: Tensor) -> Tensor:
    """Entries of a table [n] at an index of any shape and integer type."""
    return table.index_select(0, index.flatten().int()).view(index.shape)


@functools.lru_cache(maxsize=64)
def levels(task: GroupWord, length: int) -> tuple[float, ...]:
    """Expected accuracies: the best guess from x_t and t, the latest element, and the sign."""
    after = walk(task.table.products, task.letters, length)  # after j elements, [L + 1, n]
    alone = torch.cat([after[:1, 0], after[:-1, 0]])  # all before the latest one are the identity
    odd = torch.arange(length + 1) % 2 == 1
    sign = alone.where(odd, after[:, 0]) if task.swaps else torch.zeros(length + 1)
    scores = []
    spread = task.sampler == "stratified" and length >= 16
    last = spread_counts(length) if spread else natural_counts(length, len(task.letters))
    for resting, moving in history(last):
        own = (resting @ after).max() + (moving @ after).max()
        seen = resting + moving.roll(1)  # moving[L] is 0
        scores.append((own, seen @ alone, seen @ sign.double()))
        if task.supervision == "final":
            break
    means = torch.tensor(scores, dtype=torch.float64).mean(0)
    return tuple(min(1.0, float(mean)) for mean in means)
