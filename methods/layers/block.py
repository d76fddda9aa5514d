"""A pre-norm transformer block: attention, causal unless told otherwise, then a feed-forward map.

Pre-norm as in Xiong et al. 2020 (arXiv:2002.04745); the gated map is SwiGLU (Shazeer 2020,
arXiv:2002.05202v1, Eq. 6). With a gated map of hidden width 4d a block has 16 d² weights, which is
what the ≈6.3 M parameters of the EqT paper's parity model come to; a plain 4d map has 12 d².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

FEED_FORWARDS = ("gated", "plain")
Mixer = Callable[[], Any]  # makes a module with a linear map `out` at its end


class Attention(nn.Module):
    """Multi-head self-attention by scaled dot products; 4 d² weights, no bias."""

    def __init__(self, width: int, heads: int, causal: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"expected a width divisible by heads, got {width} and {heads}")
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]; position t reads positions ≤ t, or all where not causal."""
        query, key, value = self.project(state)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.merge(mixed)

    def project(self, state: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of states [B, T, D], each [B, H, T, D / H]."""
        rows, length, _ = state.shape
        split = self.qkv(state).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return split.unbind()

    def merge(self, mixed: Tensor) -> Tensor:
        """What the heads have read, [B, H, T, D / H], as one state [B, T, D]."""
        return self.out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """The position-wise map: gated (12 d² weights) or plain GELU (8 d²), hidden width 4d."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        if kind not in FEED_FORWARDS:
            raise ValueError(f"no feed-forward {kind!r}. Known: {', '.join(FEED_FORWARDS)}")
        self.gated = kind == "gated"
        self.up = nn.Linear(width, (2 if self.gated else 1) * 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """[…, D] -> […, D]."""
        hidden = self.up(state)
        if not self.gated:
            return self.down(F.gelu(hidden))
        gate, value = hidden.chunk(2, -1)
        return self.down(F.silu(gate) * value)


class Block(nn.Module):
    """h + Attention(LN h), then h + FeedForward(LN h).

    A mixer makes what stands in attention's place.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: str,
        causal: bool = True,
        mixer: Mixer | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal) if mixer is None else mixer()
        self.feed_norm, self.feed = nn.LayerNorm(width), FeedForward(width, feed_forward)

    def forward(self, state: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.feed_map(state + self.attention(self.attention_norm(state)))

    def feed_map(self, state: Tensor) -> Tensor:
        """The position-wise half alone: h + FeedForward(LN h), [..., D] -> [..., D]."""
        return state + self.feed(self.feed_norm(state))


def stack(
    depth: int,
    width: int,
    heads: int,
    feed_forward: str,
    causal: bool = True,
    mixer: Mixer | None = None,
) -> nn.ModuleList:
    """`depth` blocks with their initial weights.

    Normal with variance 1/fan-in (LeCun et al. 1998, Efficient BackProp, §4.6), 1/(2 · depth) of it
    where a map writes into the residual stream (Radford et al. 2019, GPT-2, §2.3).
    """
    blocks = [Block(width, heads, feed_forward, causal, mixer) for _ in range(depth)]
    initialise(blocks)
    return nn.ModuleList(blocks)


def initialise(blocks: Sequence[Block]) -> None:
    """Draw the weights of `stack` for these blocks."""
    for block in blocks:
        for module in block.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
    for block in blocks:
        for out in (block.attention.out, block.feed.down):
            out.weight.data.div_((2 * len(blocks)) ** 0.5)
