"""The test-time-training layer in attention's place, and the trunk of blocks that have it.

Sun et al. 2024, arXiv:2407.04620, §2.3–2.7. A head's inner model is f(x; W) = x + LN(model(x; W)),
with the gain γ and shift β of its own LN. It learns values from keys and is asked queries:

    l_s(W) = ½ ||LN(model(k_s; W)) − (v_s − k_s)||²,        o_t = f(q_t; W_t),
    E[t, s] = tok_i · (rate / d) σ(θ · x_s + θ_0),          tok_i = max(0, 1/i + δ_i),

x being the layer's input, i the place of t in its mini-batch and d the width of a head. The outer
loop learns θ, θ_0, δ, γ, β and the first W, by differentiating the inner one. The heads' answers
are joined, normalised and mapped out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..method import Sizes, Step
from .inner import EPSILON, norm_error, scan, step_sizes, with_one
from .trunk import Trunk, TrunkConfig, relative_change


@dataclass(frozen=True, kw_only=True)
class TTTConfig(TrunkConfig):
    """width, depth (blocks), heads, feed_forward and positions as in the transformer.

    mini_batch: positions whose inner gradients are taken at one state, b in the paper.
    iterations: inner steps on a mini-batch in training.
    rate: upper bound of d times the inner step size, η_base in the paper.
    start: standard deviation of the first inner weights.

    Raises:
        ValueError: as the transformer, a count below 1, or a rate or start that is not positive.
    """

    mini_batch: int = 16
    iterations: int = 1
    rate: float = 1.0
    start: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mini_batch", "iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")
        for name in ("rate", "start"):
            if not getattr(self, name) > 0:
                raise ValueError(f"expected {name} > 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Reading:
    """A layer's output [B, T, D], its move in the last inner step and its inner loss [B, T]."""

    output: Tensor
    change: Tensor
    loss: Tensor | None


class TTTLayer(nn.Module):
    """[B, T, D] -> [B, T, D] by inner models of the given hidden widths, as multiples of d."""

    def __init__(self, config: TTTConfig, hidden: tuple[int, ...]) -> None:
        super().__init__()
        width, heads, size = config.width, config.heads, config.width // config.heads
        self.heads, self.rate = heads, config.rate / size
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.gate = nn.Parameter(0.02 * torch.randn(heads, width))  # θ
        self.gate_shift = nn.Parameter(torch.zeros(heads))  # θ_0
        self.share_shift = nn.Parameter(torch.zeros(config.mini_batch))  # δ
        self.gain = nn.Parameter(torch.ones(heads, 1, size))  # γ
        self.shift = nn.Parameter(torch.zeros(heads, 1, size))  # β
        self.weights = nn.ParameterList(first_weights(heads, size, hidden, config.start))
        self.post_norm = nn.LayerNorm(width, eps=EPSILON)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, state: Tensor, steps: int, watch: bool) -> Reading:
        """Answer after `steps` inner steps on every mini-batch; watch adds the inner loss."""
        rows, length, width = state.shape
        split = self.qkv(state).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = split  # each [B, H, T, d]
        goal = value - key - self.shift
        table = step_sizes(self.rates(state), self.shares())
        weights = tuple(matrix.expand(rows, -1, -1, -1) for matrix in self.weights)
        tokens = with_one(query), with_one(key), goal
        error = partial(norm_error, gain=self.gain)
        trace = scan(weights, *tokens, table, error, steps, watch)
        after, before = self.answer(query, trace.after), self.answer(query, trace.before)
        loss = None
        if trace.own is not None:
            loss = 0.5 * (self.normal(trace.own) * self.gain - goal).square().sum(-1).mean(1)
        output = self.out(self.post_norm(after))
        return Reading(output, relative_change(after, before), loss)

    def rates(self, state: Tensor) -> Tensor:
        """Step sizes of the sources, [B, T, D] -> [B, H, T]."""
        gates = state @ self.gate.mT + self.gate_shift
        return self.rate * gates.sigmoid().mT

    def shares(self) -> Tensor:
        """tok, the factors of a mini-batch's rows, [b]."""
        places = torch.ones_like(self.share_shift).cumsum(0)  # 1, 2, … b
        return (1 / places + self.share_shift).clamp_min(0)

    def normal(self, outputs: Tensor) -> Tensor:
        """Outputs less their mean over their deviation."""
        return nn.functional.layer_norm(outputs, outputs.shape[-1:], eps=EPSILON)

    def answer(self, query: Tensor, outputs: Tensor) -> Tensor:
        """f(q; W) of all heads from the models' outputs, [B, H, T, d] -> [B, T, D]."""
        heads = query + self.normal(outputs) * self.gain + self.shift
        return heads.transpose(1, 2).flatten(2)


def first_weights(
    heads: int, size: int, hidden: tuple[int, ...], start: float
) -> list[nn.Parameter]:
    """Normal matrices from d by the hidden widths to d, [H, i + 1, o], with biases of zero."""
    widths = [size, *(factor * size for factor in hidden), size]
    matrices = []
    for inside, outside in zip(widths, widths[1:], strict=False):
        matrix = start * torch.randn(heads, inside + 1, outside)
        matrix[:, -1] = 0
        matrices.append(nn.Parameter(matrix))
    return matrices


def ttt_trunk(config: TTTConfig, sizes: Sizes, hidden: tuple[int, ...]) -> Trunk:
    """The trunk with h + TTT(LN h) for h + Attention(LN h)."""
    return Trunk(config, sizes, mixer=lambda: TTTLayer(config, hidden))


def ttt_step(trunk: Trunk, inputs: Tensor, steps: int, watch: bool = False) -> Step:
    """A pass of inputs [B, T] through a `ttt_trunk`, with `steps` inner steps in every layer.

    The change and, if watched, the inner loss as energy are means over the layers.
    """
    state, readings = trunk.embed(inputs), []
    for block in trunk.blocks:
        reading = block.attention(block.attention_norm(state), steps, watch)  # type: ignore[operator]
        readings.append(reading)
        state = block.feed_map(state + reading.output)  # type: ignore[operator]
    change = torch.stack([reading.change for reading in readings]).mean(0)
    losses = [reading.loss for reading in readings if reading.loss is not None]
    return Step(trunk.read(state), change, torch.stack(losses).mean(0) if losses else None)
