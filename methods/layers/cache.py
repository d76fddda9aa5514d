"""A causal trunk read position by position, at the cost of one pass over the row.

The keys and values of what has been read are kept (Shazeer 2019, arXiv:1911.02150v1, §2.3, for
decoding step by step), so that a further position costs its own maps and one read of the past.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from .block import Attention, Block


class Cache:
    """What causal blocks keep of a row: `advance` is their pass over the next position."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.layers = [(block, Kept(block.attention)) for block in blocks]

    def advance(self, state: Tensor) -> Tensor:
        """The next position's embedding [B, 1, D] through all blocks, [B, 1, D]."""
        for block, kept in self.layers:
            state = block.feed_map(state + kept.read(block.attention_norm(state)))
        return state


class Kept:
    """The keys and values of one attention, [B, H, t, D / H], after t positions."""

    def __init__(self, attention: Attention) -> None:
        self.attention = attention
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def read(self, state: Tensor) -> Tensor:
        """Attention of the next position to itself and all before, [B, 1, D] -> [B, 1, D]."""
        query, key, value = self.attention.project(state)
        self.keys = key if self.keys is None else torch.cat([self.keys, key], 2)
        self.values = value if self.values is None else torch.cat([self.values, value], 2)
        mixed = F.scaled_dot_product_attention(query, self.keys, self.values)
        return self.attention.merge(mixed)
