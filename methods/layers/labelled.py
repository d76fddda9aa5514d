"""A trunk that reads a label beside every input, for methods that feed answers back.

The label joins its position's state as a summand; beside the classes there is a label of none
(`label_ids`) and a blank: a masked label, or the one before the first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...tasks.task import Batch
from ..method import Sizes
from .labels import label_ids
from .trunk import Trunk, TrunkConfig


class LabelledTrunk(nn.Module):
    """inputs [B, T], labels [B, T] -> logits [B, T, V + 1] of the V classes and of none.

    The blank is the label V + 1, which has no logit. Label embeddings start with the variance of
    the inputs'.
    """

    def __init__(self, config: TrunkConfig, sizes: Sizes, causal: bool) -> None:
        super().__init__()
        self.blank = sizes.classes + 1
        outputs = Sizes(sizes.vocab, self.blank, sizes.length)
        self.trunk = Trunk(config, outputs, causal)
        self.labels = nn.Embedding(self.blank + 1, config.width)
        nn.init.normal_(self.labels.weight, std=0.5**0.5)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Logits [B, T, V + 1]."""
        state = self.trunk.embed(inputs) + self.labels(labels)
        return self.trunk.read(self.trunk.through(state))

    def denoising(self, batch: Batch, masked: Tensor) -> Tensor:
        """Mean cross-entropy of labels that are masked, in nats, given those that are not.

        Every row is seen twice, under its mask [B, T] and under the complement, so that each label
        is learnt once. Both have the same law where the law of masks is symmetric.
        """
        ids = label_ids(batch, self.blank - 1)
        views = torch.cat([masked, ~masked])  # [2B, T]
        inputs, labels = batch.inputs.repeat(2, 1), ids.repeat(2, 1)
        logits = self(inputs, labels.masked_fill(views, self.blank))
        return F.cross_entropy(logits[views], labels[views])
