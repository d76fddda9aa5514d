"""Pointer chasing: a function as a shuffled list of edges, a start, and the node after h hops.

Ids: nodes 0 … n−1, SEP n, ANS n+1. A row is n edges `a f(a)`, SEP, the start, k × ANS; its length
T = 2n + 2 + k sets the hops, so that a longer row of as many nodes is more hops (1 ≤ k ≤ n−1). The
answer on the h-th ANS is the node after h hops: all of them scored (dense) or the last (final).

The path v_0 … v_k is distinct random nodes with f(v_i) = v_{i+1}; every other node, and v_k, points
at a uniform one. (On a single cycle h hops forward are n−h backward, and a short cycle returns to
the start.) Axes are of the position: hop, one slot each, and distance, the edges between the edge
that a slot reads and the one before it (the start, for the first), in doubling bins. Chosen here:
f as above, the axes' bins, and two more rules: the commonest target, and a single look-up followed
by the commonest target that is left.

Sanford, Hsu and Telgarsky 2024, arXiv:2402.09268, k-hop induction heads (there the hops run over
one string); Saunshi et al. 2025, arXiv:2502.17416v1, p-hop, for looped transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of
from .sampling import chunked, doubling, doubling_name, order
from .task import (
    SUPERVISIONS,
    Batch,
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
class PointerChase(Task):
    """k hops through a random function; strata: hop and distance, both of the position.

    nodes from 2 to 254; supervision dense|final (every hop or the last).
    """

    nodes: int = 8
    supervision: str = "dense"

    name: ClassVar[str] = "pointer_chase"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Sanford, Hsu and Telgarsky 2024, arXiv:2402.09268, k-hop"
    solved_by: ClassVar[str] = "looped transformers, deep equilibrium models"
    lengths: ClassVar[tuple[int, int]] = (21, 24)
    examples: ClassVar = ({}, {"supervision": "final"}, {"nodes": 9})

    def __post_init__(self) -> None:
        """Refuse an unknown supervision and a number of nodes out of range."""
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not 2 <= self.nodes <= 254:
            raise ValueError(f"expected a number of nodes from 2 to 254, got {self.nodes}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """Nodes, SEP and ANS."""
        return self.nodes + 2

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The nodes."""
        return self.nodes

    @property
    def asked(self) -> int:
        """Position of the first ANS."""
        return 2 * self.nodes + 2

    def require_length(self, length: int) -> None:
        """2n + 2 + k positions for 1 ≤ k ≤ n − 1 hops."""
        least, most = self.asked + 1, self.asked + self.nodes - 1
        if not least <= length <= most:
            raise ValueError(
                f"expected a length from {least} to {most} for {self.nodes} nodes, got {length}"
            )

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the nodes that the hops reach."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(self, seed, split, length))
        return chunked(lambda rows: self.batch(self.draw(key, rows, length - self.asked)), n)

    def draw(self, key: int, rows: Tensor, hops: int) -> Tensor:
        """Inputs [R, T] of some rows."""
        n = self.nodes
        path = order(bits32(key_of(key, "path"), rows, n))[:, : hops + 1]  # [R, k + 1]
        target = below(bits32(key_of(key, "targets"), rows, n), n)  # [R, n]
        target.scatter_(1, path[:, :-1], path[:, 1:])
        shuffled = order(bits32(key_of(key, "edges"), rows, n))
        edges = torch.stack([shuffled, target.gather(1, shuffled)], 2).flatten(1)
        separator = torch.full((len(rows), 1), n)
        slots = torch.full((len(rows), hops), n + 1)
        return torch.cat([edges, separator, path[:, :1], slots], 1).to(torch.uint8)

    def batch(self, inputs: Tensor) -> Batch:
        """Inputs with all that follows from them."""
        hop = (torch.arange(inputs.shape[1]) - self.asked + 1).clamp_min(0).expand_as(inputs)
        mask = hop > 0
        if self.supervision == "final":
            mask = final_only(mask)
        strata = {"hop": hop.to(torch.uint8), "distance": self.distances(inputs).to(torch.uint8)}
        return Batch(inputs, self.label(inputs), mask, strata)

    def label(self, inputs: Tensor) -> Tensor:
        """The node after h hops on the h-th ANS; the table is read off the edges."""
        targets = torch.zeros_like(inputs)
        targets[:, self.asked :] = self.walk(inputs)[:, 1:].to(inputs.dtype)
        return targets

    def walk(self, inputs: Tensor) -> Tensor:
        """The start and the nodes after 1, 2, … hops, int64 [B, 1 + k]; k may be zero."""
        edges = inputs[:, : 2 * self.nodes].long()
        table = edges.new_zeros(len(inputs), self.vocab)
        sources = edges[:, ::2][:, : edges.shape[1] // 2]
        table.scatter_(1, sources, edges[:, 1::2].clamp_max(self.nodes - 1))
        start = inputs[:, self.asked - 1 : self.asked].long()
        nodes = [start if start.shape[1] else table[:, :1]]
        for _ in range(inputs.shape[1] - self.asked):
            nodes.append(table.gather(1, nodes[-1]))
        return torch.cat(nodes, 1)

    def distances(self, inputs: Tensor) -> Tensor:
        """Bins of the edges from the edge last read to the one that a slot reads, [B, T]."""
        places = inputs[:, : 2 * self.nodes : 2].long().argsort(1)  # of every node's edge
        read = places.gather(1, self.walk(inputs)[:, :-1])
        start = torch.full_like(read[:, :1], self.nodes)
        apart = torch.cat([start, read], 1).diff(dim=1).abs()
        return torch.cat([torch.zeros_like(inputs[:, : self.asked]), doubling(apart)], 1)

    # ---- levels and names --------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A guess among the nodes."""
        return 1 / self.nodes

    def rules(self) -> dict[str, Rule]:
        """Targets of the row's first edge, of its h-th, the commonest, and one look-up.

        The look-up answers the first slot, and the others by the commonest target that is neither
        the start nor the first hop.
        """

        def slots(inputs: Tensor, answers: Tensor) -> Tensor:
            before = torch.zeros_like(inputs[:, : self.asked])
            return torch.cat([before, answers.expand(-1, inputs.shape[1] - self.asked)], 1)

        return {
            "first edge": lambda inputs: slots(inputs, inputs[:, 1:2]),
            "random edge": lambda inputs: slots(
                inputs, inputs[:, 1 : 2 * (inputs.shape[1] - self.asked) : 2]
            ),
            "commonest target": lambda inputs: slots(inputs, self.commonest(inputs, 1)),
            "one look-up": lambda inputs: slots(inputs, self.looked_up(inputs)),
        }

    def commonest(self, inputs: Tensor, hops: int) -> Tensor:
        """The node that most edges lead to, apart from those of the first `hops` nodes, [B, 1]."""
        targets = inputs[:, 1 : 2 * self.nodes : 2].long().clamp_max(self.nodes - 1)
        counts = targets.new_zeros(len(inputs), self.vocab)
        counts.scatter_add_(1, targets, torch.ones_like(targets))
        counts.scatter_(1, self.walk(inputs)[:, :hops], -1)
        return counts[:, : self.nodes].argmax(1, keepdim=True).to(inputs.dtype)

    def looked_up(self, inputs: Tensor) -> Tensor:
        """The first hop, then the commonest target among the other nodes, [B, k]."""
        hops = inputs.shape[1] - self.asked
        others = self.commonest(inputs, 2).expand(-1, max(hops - 1, 0))
        return torch.cat([self.walk(inputs)[:, 1:2].to(inputs.dtype), others], 1)[:, :hops]

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`hop 3`; `distance 4-7`: edges from the edge last read."""
        return f"hop {stratum}" if axis == "hop" else f"{axis} {doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """A node's number, `|` and `?`."""
        return str(token) if token < self.nodes else "|?"[token - self.nodes]

    def show(self, batch: Batch, row: int) -> str:
        """The edges in their order, the start, and the nodes that the hops reach."""
        ids = batch.inputs[row].tolist()
        edges = [f"{ids[2 * e]}→{ids[2 * e + 1]}" for e in range(self.nodes)]
        scored = batch.mask[row].tolist()[self.asked :]
        answers = batch.targets[row].tolist()[self.asked :]
        hops = [str(a) if s else "." for a, s in zip(answers, scored, strict=True)]
        return side_by_side({"edges": edges, "start": [str(ids[self.asked - 1])], "hops": hops})
