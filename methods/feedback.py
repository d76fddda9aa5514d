"""The transformer that reads its own last answer: the control for every method that feeds back.

Autoregression over labels: with e the embeddings and y_0 a start of its own,

    ŷ_t = argmax p(· | e(x_1) + e(y_0), …, e(x_t) + e(y_{t−1})),    y_{t−1} ← ŷ_{t−1}

the true label before being read in training (teacher forcing, Williams and Zipser 1989, Neural
Computation 1, 270–280), the model's own when answering, greedily, position by position. Keys and
values are kept, so that a row costs one pass of the transformer over it.

Why it is mandatory: a revealed label is a scratchpad. Where a label follows from the one before and
the next input, as in parity, reading it turns a problem of depth T into T problems of depth 1. A
method that commits some labels and reads them for the rest, as masked diffusion does, owes its gain
over the plain transformer to that first; what its iterations are worth beyond it shows against this
row only. It does not iterate: there is one answer, whatever the budget.

The blocks, positions and options are the transformer's. Positions that are not scored carry a label
of none, which is learnt and read back like the others, but never shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..tasks.task import Batch
from .layers.cache import Cache
from .layers.labelled import LabelledTrunk
from .layers.labels import label_ids
from .layers.trunk import TrunkConfig
from .method import Loss, OpenLoop, Progress, Sizes


class Feedback(OpenLoop):
    """A causal trunk over inputs and the labels one position before."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth in blocks, heads; feed_forward gated|plain; positions as named."""

    family: ClassVar[str] = "transformer"
    source: ClassVar[str] = "Williams and Zipser 1989, doi:10.1162/neco.1989.1.2.270"
    examples: ClassVar = ({}, {"feed_forward": "plain", "positions": "none"})

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.net = LabelledTrunk(config, sizes, causal=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V], each position's after the model's own answers to those before."""
        return self.decode(inputs)[..., : self.sizes.classes]

    def decode(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V + 1] of the classes and of none, by greedy decoding."""
        net, embedded = self.net, self.net.trunk.embed(inputs)  # [B, T, D]
        cache, found = Cache(net.trunk.blocks), []  # type: ignore[arg-type]
        label = torch.full_like(inputs[:, :1], net.blank)
        for place in range(inputs.shape[1]):
            state = cache.advance(embedded[:, place : place + 1] + net.labels(label))
            logits = net.trunk.read(state)  # [B, 1, V + 1]
            label = logits.argmax(-1)
            found.append(logits)
        return torch.cat(found, 1)

    def forced(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Logits [B, T, V + 1] where position t reads labels[:, t − 1], whatever it answers."""
        before = F.pad(labels[:, :-1], (1, 0), value=self.net.blank)
        return self.net(inputs, before)

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy of all labels, each after the true ones before it."""
        ids = label_ids(batch, self.sizes.classes)
        logits = self.forced(batch.inputs, ids)
        nats = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        return Loss(nats, {"teacher_forced": nats})
