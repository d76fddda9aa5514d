"""Confidence: the read-out should be sure of its answer.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 14:
L_conf(h) = H[p(·|h)] − log p(x̂|h), x̂ = argmax p(·|h), p the model's own read-out; and the L_pred of
Eq. 4's variant, −log p(x̂|h). Descending either sharpens the answer there is: alone neither
changes an argmax.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .energy import Context, Energy, Potential, Sloped, pullback


class Confidence(Energy):
    """Entropy of the read-out minus the log-probability of its top class; no weights."""

    def bind(self, context: Context) -> Potential:
        """In nats."""

        def potential(state: Tensor) -> Tensor:
            logs = context.read(state).log_softmax(-1)
            return -(logs.exp() * logs).sum(-1) - logs.amax(-1)

        def slope(state: Tensor) -> tuple[Tensor, Tensor]:
            logits, pull = pullback(context.read, state)
            logs = logits.log_softmax(-1)
            odds, top = logs.exp(), logs.argmax(-1, keepdim=True)
            entropy = -(odds * logs).sum(-1, keepdim=True)
            wrong = odds.scatter_add(-1, top, -torch.ones_like(entropy))
            slopes = pull(wrong - odds * (logs + entropy))
            return slopes, (entropy - logs.gather(-1, top)).squeeze(-1)

        return Sloped(potential, slope, potential)


class Prediction(Energy):
    """−log p(x̂|h), the term that Eq. 4's variant of the energy starts from; no weights."""

    def bind(self, context: Context) -> Potential:
        """In nats."""
        return lambda state: -context.read(state).log_softmax(-1).amax(-1)
