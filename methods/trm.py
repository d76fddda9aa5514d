"""Tiny Recursive Model: one small net improves a latent, then the answer, under deep supervision.

Jolicoeur-Martineau 2025, arXiv:2510.04871v1, Figures 1 and 3. With e the embedded inputs, y the
embedded answer, z the latent and one net for both:

    z ← net(z + y + e)   n times,   y ← net(y + z)        a cycle
    T cycles, the first T − 1 without gradient            a supervision step
    cross-entropy of read(y), then y and z are detached   at each of N_sup steps

An iteration here is a supervision step, K = 0 the read-out of the initial y: a fixed draw that has
seen no input, the same at every position, hence chance. The paper answers with an exponential
moving average of the weights; so does evaluation mode, while training mode uses the weights.

Choices, where the arena differs from the paper:
- N_sup steps share one update, which descends the mean of their cross-entropies; the paper makes an
  update after each, so that later steps there run on newer weights (and N_sup is 16 there);
- attention is causal, and there is no halting head: it reads one position and halts whole rows, so
  that it would tell early answers of late inputs. Every budget is taken in full;
- softmax in place of stablemax cross-entropy, sinusoids in place of rotary positions;
- the net's blocks are the house's pre-norm ones, followed by one weight-free RMSNorm, in place of
  post-norm blocks with such a norm after either half: a state of mean square 1 in both cases;
- the read-out has the trunk's LayerNorm and a bias;
- the average's decay warms up (`layers/average.py`), and it takes the weights as they come into an
  update, hence lags by one; the paper's starts from the initial weights at full decay;
- weight decay and learning rate are the arena's (the paper: AdamW with decay 0.1 to 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..tasks.task import Batch
from .layers.average import Average
from .layers.trunk import Trunk, TrunkConfig, relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy

GRADIENTS = ("cycle", "step")


class Carry(NamedTuple):
    """What goes from one supervision step to the next: y and z, each [B, T, D]."""

    answer: Tensor
    latent: Tensor


class TRM(Method):
    """A trunk whose blocks are the net; y and z start from fixed draws."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth of the net in blocks, heads; feed_forward gated|plain; positions as named.

        inner n, cycles T, iterations N_sup in training; gradient through the whole last cycle, or
        (step) through its last two evaluations of the net alone, as HRM's one-step gradient has
        it; average is the decay of the weights' average, 0 for none.
        """

        inner: int = 6
        cycles: int = 3
        iterations: int = 4
        gradient: str = "cycle"
        average: float = 0.999

        def __post_init__(self) -> None:
            """Refuse counts below one, unknown gradients and a decay that cannot be one."""
            super().__post_init__()
            for name in ("inner", "cycles", "iterations"):
                if getattr(self, name) < 1:
                    raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
            if self.gradient not in GRADIENTS:
                known = ", ".join(GRADIENTS)
                raise ValueError(f"no gradient {self.gradient!r}. Known: {known}")
            if not 0 <= self.average < 1:
                raise ValueError(f"expected average in [0, 1), 0 for none, got {self.average}")

    first_answer: Tensor
    first_latent: Tensor

    family: ClassVar[str] = "recursive"
    source: ClassVar[str] = "Jolicoeur-Martineau 2025, arXiv:2510.04871v1"
    iterates: ClassVar = "hidden"
    examples: ClassVar = (
        {"inner": 2, "cycles": 2, "iterations": 3},
        {"inner": 2, "cycles": 1, "iterations": 2, "gradient": "step", "average": 0.0},
    )

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        self.register_buffer("first_answer", torch.randn(config.width))
        self.register_buffer("first_latent", torch.randn(config.width))
        self.average = Average(self, config.average) if config.average else None

    # ---- the recursion -----------------------------------------------------------------------

    def net(self, state: Tensor) -> Tensor:
        """The blocks, then a norm without weights that bounds the state, [B, T, D]."""
        state = self.trunk.through(state)
        return F.rms_norm(state, state.shape[-1:])

    def forward(self, inputs: Tensor, carry: Carry, cycles: int) -> tuple[Carry, Tensor]:
        """The carry after `cycles` cycles, gradient in the last one alone, and its logits."""
        embedded, wanted = self.trunk.embed(inputs), torch.is_grad_enabled()
        for cycle in range(cycles):
            with torch.set_grad_enabled(wanted and cycle == cycles - 1):
                carry = self.cycle(embedded, carry)
        return carry, self.trunk.read(carry.answer)

    def cycle(self, embedded: Tensor, carry: Carry) -> Carry:
        """n updates of z, then one of y."""
        (answer, latent), wanted = carry, torch.is_grad_enabled()
        for number in range(self.config.inner):
            kept = self.config.gradient == "cycle" or number == self.config.inner - 1
            with torch.set_grad_enabled(wanted and kept):
                latent = self.net(latent + answer + embedded)
        return Carry(self.net(answer + latent), latent)

    def start(self, inputs: Tensor) -> Carry:
        """y and z before the first step: the same draws at every position."""
        shape = (*inputs.shape, -1)
        return Carry(self.first_answer.expand(shape), self.first_latent.expand(shape))

    def supervised(self, inputs: Tensor, carry: Carry, cycles: int) -> tuple[Carry, Tensor]:
        """A supervision step from a detached carry, under the weights that this mode uses."""
        carry = Carry(carry.answer.detach(), carry.latent.detach())
        if self.training or self.average is None:
            return self(inputs, carry, cycles)
        return self.average.call(self, inputs, carry, cycles)

    # ---- answering and training --------------------------------------------------------------

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield read(y) after 0, 1, … supervision steps; `change` is y's."""
        carry, logits = self.supervised(inputs, self.start(inputs), 0)
        yield Step(logits, torch.zeros_like(carry.answer[..., 0]))
        for _ in range(iterations):
            before = carry.answer
            carry, logits = self.supervised(inputs, carry, self.config.cycles)
            yield Step(logits, relative_change(carry.answer, before))

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Mean cross-entropy of the N_sup supervised steps; `cross_entropy` is the last one's."""
        if self.training and self.average is not None:
            self.average.update(self)
        carry, nats = self.start(batch.inputs), []
        for _ in range(self.config.iterations):
            carry, logits = self.supervised(batch.inputs, carry, self.config.cycles)
            nats.append(cross_entropy(logits, batch))
        total = torch.stack(nats).mean()
        return Loss(total, {"supervision": total, "cross_entropy": nats[-1]})
