"""A gated recurrent unit: the ceiling of state tracking, in every table.

Cho et al. 2014 (arXiv:1406.1078v3). It keeps a state between positions, so that parity is one
update rule learned once; a table without it would let 57 % read as a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from .method import OpenLoop, Sizes


class GRU(OpenLoop):
    """Embedding, `depth` recurrent layers, linear read-out."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """width of embedding and state; depth in layers."""

        width: int = 64
        depth: int = 1

    family: ClassVar[str] = "recurrent"
    source: ClassVar[str] = "Cho et al. 2014, arXiv:1406.1078v3"

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.embedding = nn.Embedding(sizes.vocab, config.width)
        self.core = nn.GRU(config.width, config.width, config.depth, batch_first=True)
        self.head = nn.Linear(config.width, sizes.classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        states, _ = self.core(self.embedding(inputs))
        return self.head(states)
