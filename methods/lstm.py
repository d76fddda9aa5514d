"""A long short-term memory: the second ceiling of state tracking.

Hochreiter and Schmidhuber 1997 (Neural Computation 9, 1735–1780), with the forget gate of Gers,
Schmidhuber and Cummins 2000 (Neural Computation 12, 2451–2471), as torch has it.

Departure: a forget gate's bias starts at 1 (Jozefowicz, Zaremba and Sutskever 2015, ICML, §2.2),
without which a state of 32 positions hardly carries a gradient at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from .method import OpenLoop, Sizes


class LSTM(OpenLoop):
    """Embedding, `depth` recurrent layers, linear read-out."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """width of embedding and state; depth in layers."""

        width: int = 64
        depth: int = 1

    family: ClassVar[str] = "recurrent"
    source: ClassVar[str] = "Hochreiter and Schmidhuber 1997, Neural Computation 9"

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.embedding = nn.Embedding(sizes.vocab, config.width)
        self.core = nn.LSTM(config.width, config.width, config.depth, batch_first=True)
        self.head = nn.Linear(config.width, sizes.classes)
        for layer in range(config.depth):
            gates = getattr(self.core, f"bias_ih_l{layer}")
            gates.data[config.width : 2 * config.width] = 1.0  # torch's order: i, f, g, o

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        states, _ = self.core(self.embedding(inputs))
        return self.head(states)
