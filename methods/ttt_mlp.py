"""TTT-MLP: the state of a sequence is a two-layer net, trained on the sequence as it is read.

Sun et al. 2024, arXiv:2407.04620, §2.3–2.7, and the authors' PyTorch release (ttt-lm-pytorch,
commit cd831db). In mini-batches of b positions (16 in the paper, 1 the purely sequential rule):

    f(x; W) = x + LN(gelu(x W1 + c1) W2 + c2),    W1 from d to 4d, W2 back, gelu in its tanh form
    l_s = ½ ||f(k_s; W) − v_s||²,    W_t = W − Σ_{s ≤ t} E[t, s] ∇l_s(W),    o_t = f(q_t; W_t),

and W_b, the last of a mini-batch, is where the next one starts.

A pass with K inner steps on every mini-batch, in all layers, is the answer after K iterations: 0
asks the first weights and nothing is learned from the row, 1 is the paper's layer, more take the
gradient again where the last step led (see `layers.inner`). A layer reads what the one below
answers after the same K, so that every K is a pass of its own. `change` is the relative move of the
heads' answers f(q_t; W_t) by the last inner step on a mini-batch, from the state that K steps on
the mini-batches before it left; `energy` is the inner loss at t's own key and W_t, squared
differences without a unit. Both are means over the layers, the energy over the heads too.

Choices and departures, beside more than one step:
- the backbone is the house's pre-norm block with the layer in attention's place, the paper's
  "Transformer" one: separate queries and keys, no convolutions, no gate. Its best figures have the
  "Mamba" one, which has all three;
- sinusoids join the embedding, and queries and keys are not rotated; the release rotates them by
  the place in the mini-batch, which for b = 1 changes nothing;
- projections start with variance 1/fan-in, the house's, where the release draws all maps with 0.02;
- the blocks' norms are LayerNorms, the release's RMSNorms; the outer optimiser is the arena's;
- the first inner weights have deviation `start`, the release's 0.02: a small one, which LN turns
  into long first steps. It is an inner learning rate in disguise, and so an option here;
- the inner rate's bound is 0.1 throughout; the release raises it to there from 0.01 while the outer
  rate warms up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .layers.ttt import TTTConfig, ttt_step, ttt_trunk
from .method import Method, Sizes, Step


class TTTMLP(Method):
    """The trunk with two-layer inner models in attention's place."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TTTConfig):
        """The options of the layer and its trunk; the inner rate is bounded by 0.1."""

        rate: float = 0.1

    family: ClassVar[str] = "test-time training"
    source: ClassVar[str] = "Sun et al. 2024, arXiv:2407.04620"
    iterates: ClassVar = "weights"
    incremental: ClassVar[bool] = False
    examples: ClassVar = ({}, {"mini_batch": 1}, {"mini_batch": 4, "iterations": 2})

    def __init__(self, config: TTTConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = ttt_trunk(config, sizes, hidden=(4,))

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the answer after 0, 1, … `iterations` inner steps, a pass each, with its energy."""
        for steps in range(iterations + 1):
            yield self.look(inputs, steps)

    def look(self, inputs: Tensor, iterations: int) -> Step:
        """One pass with that many inner steps, and the inner loss that it comes to as energy."""
        return ttt_step(self.trunk, inputs, iterations, watch=True)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """One pass with that many inner steps, without the energy that only an observer needs."""
        return ttt_step(self.trunk, inputs, iterations)
