"""The open-loop trunk: embedding, positions, blocks, and the read-out that closes it.

The transformer is this trunk; EqT refines the state between its blocks and its read-out. Both build
it from the same options, so that their weights carry over by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..method import Sizes
from .block import FEED_FORWARDS, Mixer, stack
from .positions import POSITIONS, sinusoids


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """The sizes that a preset gives to every method with blocks; a method adds its own options.

    width d, depth in blocks, heads; feed_forward gated|plain; positions sinusoidal|none.

    Raises:
        ValueError: a size below 1, heads that do not divide the width, or an unknown name.
    """

    width: int = 64
    depth: int = 2
    heads: int = 4
    feed_forward: str = "gated"
    positions: str = "sinusoidal"

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")
        if self.width % self.heads:
            told = f"{self.width} and {self.heads}"
            raise ValueError(f"expected a width divisible by heads, got {told}")
        if self.feed_forward not in FEED_FORWARDS:
            known = ", ".join(FEED_FORWARDS)
            raise ValueError(f"no feed-forward {self.feed_forward!r}. Known: {known}")
        if self.positions not in POSITIONS:
            raise ValueError(f"no positions {self.positions!r}. Known: {', '.join(POSITIONS)}")


class Trunk(nn.Module):
    """inputs [B, T] -> states [B, T, D] -> logits [B, T, V].

    The initial weights of the blocks are `stack`'s; embeddings have variance 1/2, the mean square
    of the sinusoids that join them.
    """

    def __init__(
        self, config: TrunkConfig, sizes: Sizes, causal: bool = True, mixer: Mixer | None = None
    ) -> None:
        super().__init__()
        width = config.width
        self.width, self.positions = width, config.positions
        self.embedding = nn.Embedding(sizes.vocab, width)
        self.blocks = stack(config.depth, width, config.heads, config.feed_forward, causal, mixer)
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
