"""The open-loop trunk: embedding, positions, blocks, and the read-out that closes it.

The transformer is this trunk; EqT refines the state between its blocks and its read-out. Both build
it from the same options, so that their weights carry over by name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..method import Sizes
from .block import Mixer, stack
from .positions import POSITIONS, sinusoids


class Trunk(nn.Module):
    """inputs [B, T] -> states [B, T, D] -> logits [B, T, V].

    The initial weights of the blocks are `stack`'s; embeddings have variance 1/2, the mean square
    of the sinusoids that join them.
    """

    def __init__(
        self,
        sizes: Sizes,
        width: int,
        depth: int,
        heads: int,
        feed_forward: str,
        positions: str,
        causal: bool = True,
        mixer: Mixer | None = None,
    ) -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise ValueError(f"no positions {positions!r}. Known: {', '.join(POSITIONS)}")
        self.width, self.positions = width, positions
        self.embedding = nn.Embedding(sizes.vocab, width)
        self.blocks = stack(depth, width, heads, feed_forward, causal, mixer)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, sizes.classes)
        nn.init.normal_(self.embedding.weight, std=0.5**0.5)

    def embed(self, inputs: Tensor) -> Tensor:
        """Token embeddings plus positions, [B, T, D]."""
        state = self.embedding(inputs)
        if self.positions == "none":
            return state
        return state + sinusoids(inputs.shape[1], self.width, inputs.device).to(state.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """The proposal f: states after the last block, before the final LayerNorm, [B, T, D]."""
        return self.through(self.embed(inputs))

    def through(self, state: Tensor) -> Tensor:
        """The blocks alone, [B, T, D] -> [B, T, D]."""
        for block in self.blocks:
            state = block(state)
        return state

    def forward_map(self, state: Tensor) -> Tensor:
        """The last block's position-wise half, F of Eq. 4, [B, T, D] -> [B, T, D]."""
        return self.blocks[-1].feed_map(state)  # type: ignore[operator]

    def read(self, state: Tensor) -> Tensor:
        """Logits of states: the final LayerNorm, then a linear map, [..., D] -> [..., V]."""
        return self.head(self.norm(state))


def relative_change(new: Tensor, old: Tensor) -> Tensor:
    """||new − old|| / ||old|| over the last dimension; 0 where both are zero."""
    moved, size = (new - old).norm(dim=-1), old.norm(dim=-1)
    return moved / size.clamp_min(torch.finfo(size.dtype).tiny)
