"""The standard transformer: the open loop that every closed one is compared with.

The paper's baseline (arXiv:2511.21882v1, §5): causal, pre-norm, sinusoidal positions. Where the
paper leaves the block open, a gated feed-forward map of hidden width 4d gives its ≈6.3 M weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from .layers.tails import TAILS
from .layers.trunk import Trunk, TrunkConfig
from .method import OpenLoop, Sizes


class Transformer(OpenLoop):
    """Embedding, blocks, final LayerNorm, linear read-out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth in blocks, heads; feed_forward gated|plain; positions sinusoidal|none.

        tail: what stands after the last block, as controls for what EqT adds there: none; feed,
        one more feed-forward map h + W GELU(V LN h), 8 d² weights; norm, one more LayerNorm.
        """

        tail: str = field(default="none", metadata={"later": True})

        def __post_init__(self) -> None:
            """Refuse an unknown tail."""
            super().__post_init__()
            if self.tail not in TAILS:
                raise ValueError(f"no tail {self.tail!r}. Known: {', '.join(TAILS)}")

    version: ClassVar[int] = 2
    family: ClassVar[str] = "transformer"
    source: ClassVar[str] = "Vaswani et al. 2017, arXiv:1706.03762v7"
    examples: ClassVar = (
        {},
        {"feed_forward": "plain", "positions": "none"},
        {"tail": "feed"},
        {"tail": "norm"},
    )

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trunk = Trunk(config, sizes)
        tail = TAILS[config.tail]
        self.tail = None if tail is None else tail(config.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        state = self.trunk(inputs)
        return self.trunk.read(state if self.tail is None else self.tail(state))
