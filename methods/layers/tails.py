"""What may stand between the last block and the read-out: controls for what EqT adds there."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .block import FeedForward


class Feed(nn.Module):
    """h + FFN(LN h), a plain map of 8 d² weights: the parameters of a refinement, without one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.feed = nn.LayerNorm(width), FeedForward(width, "plain")
        for layer in (self.feed.up, self.feed.down):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, state: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return state + self.feed(self.norm(state))


TAILS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "feed": Feed,
    "norm": nn.LayerNorm,
}
"""Name -> maker of a module of a width."""
