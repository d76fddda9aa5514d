"""Answers as a sequence that a method may read: by class where scored, as none elsewhere.

A method that feeds answers back reads one at every position, scored or not. Which positions are
scored is no input, so that `none` is a class of its own, learnt like the others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tasks.task import Batch


def label_ids(batch: Batch, classes: int) -> Tensor:
    """Targets [B, T] where scored, `classes` (none) elsewhere."""
    return torch.where(batch.mask, batch.targets, classes)
