"""An exponential moving average of a module's weights, kept in buffers.

Polyak and Juditsky 1992 (SIAM J. Control Optim. 30, 838–855) for the idea. The decay warms up as
min(decay, (1 + n)/(10 + n)) after n updates (TensorFlow's ExponentialMovingAverage with its
`num_updates`), so that a short training is not answered by its initial weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Average(nn.Module):
    """The average of the weights that `module` has now; it keeps no hold of the module itself.

    Raises:
        ValueError: a decay outside (0, 1).
    """

    updates: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(f"expected a decay between 0 and 1, got {decay}")
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        for name, weight in module.named_parameters():
            self.register_buffer(self.slot(name), weight.detach().clone())

    @staticmethod
    def slot(name: str) -> str:
        """The buffer's name for a weight's: torch allows no dots in it."""
        return name.replace(".", "-")

    def weights(self, module: nn.Module) -> dict[str, Tensor]:
        """The averages by the module's own names."""
        return {name: getattr(self, self.slot(name)) for name, _ in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move every average towards the module's weight."""
        decay = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.decay)
        averages = self.weights(module)
        for name, weight in module.named_parameters():
            averages[name].lerp_(weight, (1 - decay).to(weight.dtype))
        self.updates += 1

    def call(self, module: nn.Module, *arguments: Any) -> Any:
        """The module's forward under the averaged weights."""
        return functional_call(module, self.weights(module), arguments)
