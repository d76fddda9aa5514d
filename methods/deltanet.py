"""DeltaNet: a linear recurrence that corrects itself, with or without negative eigenvalues.

Yang et al. 2024 (arXiv:2406.06484, §3): a transformer whose attention is the delta rule of
`layers/delta.py`. With β ≤ 1 its state transitions have eigenvalues in [0, 1] and cannot solve
parity at lengths beyond the trained ones; with β ≤ 2 they reach −1 and can (Grazzi et al. 2024,
arXiv:2411.12537, Theorem 1). `negative` chooses; both are rows of the tables.

Departures: no short convolution before keys, queries and values, since no other method here has
one; no positions by default, as there; pre-norm blocks with the house's LayerNorm and
gated feed-forward map in place of RMSNorm and SwiGLU of another width; a write gate β from a linear
map without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from .layers.delta import Delta
from .layers.trunk import Trunk, TrunkConfig
from .method import OpenLoop, Sizes


class DeltaNet(OpenLoop):
    """Embedding, blocks with the delta rule in attention's place, final LayerNorm, read-out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width, depth, heads, feed_forward and positions as in the transformer.

        negative: β up to 2, eigenvalues down to −1; else β up to 1.
        """

        positions: str = "none"
        negative: bool = True

    family: ClassVar[str] = "recurrent"
    source: ClassVar[str] = "Yang et al. 2024, arXiv:2406.06484; Grazzi et al. 2024, 2411.12537"
    examples: ClassVar = ({}, {"negative": False, "positions": "sinusoidal"})

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trunk = Trunk(
            config, sizes, mixer=lambda: Delta(config.width, config.heads, config.negative)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        return self.trunk.read(self.trunk(inputs))
