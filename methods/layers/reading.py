"""What a position is told of the row: its input, the state before it, and what attention finds.

z = P LN(h_{t−1}) + Q e(x_t) [+ R o_t] is split in three, and the condition is
c = z₁ + Out(SiLU(z₂) ⊙ z₃): the gated map gives products of what was read and what comes in, as a
word problem needs. o_t is attention from the proposal f_t to the states before t. Other positions'
states come in through here alone, and their own descent does not see it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reading(nn.Module):
    """Conditions [..., U] from embeddings and states of width D, by a gated map of `gates` units.

    gates = 0 leaves the gated map out; heads = 0 the attention; told = False all but the input.
    """

    def __init__(self, width: int, units: int, gates: int, heads: int, told: bool = True) -> None:
        super().__init__()
        self.sizes = [units, gates, gates]
        self.heads = heads
        self.input = linear(width, self.sizes, bias=True)
        if told:
            self.norm = nn.LayerNorm(width)
            self.before = linear(width, self.sizes, bias=False)
        if gates:
            self.out = nn.Linear(gates, units, bias=False)
            nn.init.normal_(self.out.weight, std=0.5 * gates**-0.5)
        if heads:
            self.asking = nn.LayerNorm(width)
            self.query = nn.Linear(width, width, bias=False)
            self.key_value = nn.Linear(width, 2 * width, bias=False)
            self.found = linear(width, self.sizes, bias=False)

    def start(self, embedded: Tensor) -> Tensor:
        """What the input alone says: Q e(x) [B, T, U + 2G] of embeddings [B, T, D]."""
        return self.input(embedded)

    def condition(self, known: Tensor) -> Tensor:
        """Conditions [..., U] of what is known, [..., U + 2G]."""
        plain, gate, value = known.split(self.sizes, -1)
        return plain + self.out(F.silu(gate) * value) if self.sizes[1] else plain

    def told(self, before: Tensor) -> Tensor:
        """P LN(h_{t−1}) of states [..., D], [..., U + 2G]."""
        return self.before(self.norm(before))

    # ---- attention to the states before ------------------------------------------------------

    def ask(self, proposal: Tensor) -> Tensor:
        """Queries [B, H, T, D / H] of proposals [B, T, D]."""
        return split(self.query(self.asking(proposal)), self.heads)

    def offer(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, S, D / H] of states [B, S, D]."""
        key, value = self.key_value(self.norm(state)).chunk(2, -1)
        return split(key, self.heads), split(value, self.heads)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        """R o [B, T, U + 2G]; with `causal`, query t sees keys ≤ t."""
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        return self.found(mixed.transpose(1, 2).flatten(2))


def linear(width: int, sizes: list[int], bias: bool) -> nn.Linear:
    """Into plain units, gates and values; the plain ones start in the bends of their softplus."""
    layer = nn.Linear(width, sum(sizes), bias=bias)
    nn.init.normal_(layer.weight, std=width**-0.5)
    layer.weight.data[: sizes[0]] *= 2
    return layer


def split(states: Tensor, heads: int) -> Tensor:
    """[B, T, D] -> [B, H, T, D / H]."""
    rows, length, _ = states.shape
    return states.view(rows, length, heads, -1).transpose(1, 2)


def shifted(states: Tensor) -> Tensor:
    """States one position on: zeros, then h_1 … h_{T−1}; [B, T, D]."""
    return F.pad(states, (0, 0, 1, 0))[:, :-1]


def nothing(states: Tensor) -> Tensor:
    """The state before the first position: zeros [B, D]."""
    return torch.zeros_like(states[:, 0])
