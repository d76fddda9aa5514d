"""Episodic memory: states should lie near prototypes of states seen before.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 15–16:
L_mem(h) = −log Σ_i r_i exp(cos(h, z_i)/τ); z_i ← β z_i + (1−β) h* for i = argmax_j h*ᵀ z_j.
Choices: r_i = 1 for the `retrieved` prototypes that a linear retrieval net ranks highest from the
inputs ≤ t (its own cross-entropy against the prototype that h* lands on trains it, since r has no
gradient); where several states land on one prototype their mean moves it, once a batch. The
prototypes are a buffer, moved in training only, never by a gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .energy import Context, Energy, Potential, past_mean


class EpisodicMemory(Energy):
    """−log of the similarity to the relevant prototypes; τ is the temperature, β the decay."""

    prototypes: Tensor

    def __init__(
        self, width: int, slots: int, temperature: float, retrieved: int, decay: float
    ) -> None:
        super().__init__()
        self.temperature, self.decay = temperature, decay
        self.retrieved = min(retrieved, slots)
        self.retrieve = nn.Linear(width, width)
        self.register_buffer("prototypes", torch.randn(slots, width))

    def scores(self, context: Context) -> Tensor:
        """The retrieval net's scores of every prototype, [B, T, M], from inputs ≤ t."""
        query = self.retrieve(past_mean(context.embedded.detach(), inclusive=True))
        return query @ F.normalize(self.prototypes, dim=-1).T

    def bind(self, context: Context) -> Potential:
        """Relevance is decided once, from the inputs."""
        scores = self.scores(context).detach()
        top = scores.topk(self.retrieved, dim=-1).indices
        relevant = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, top, True)
        units = F.normalize(self.prototypes, dim=-1).clone()

        def potential(state: Tensor) -> Tensor:
            similar = F.normalize(state, dim=-1) @ units.T / self.temperature  # [B, T, M]
            return -similar.masked_fill(~relevant, -torch.inf).logsumexp(-1)

        return potential

    def retrieval_loss(self, context: Context, state: Tensor) -> Tensor:
        """Cross-entropy of the retrieval net against the prototypes that states [B, T, D] hit."""
        nearest = self.nearest(state)
        return F.cross_entropy(self.scores(context).flatten(0, 1), nearest.flatten())

    def nearest(self, state: Tensor) -> Tensor:
        """argmax_j hᵀ z_j, [B, T]."""
        return (state.detach() @ self.prototypes.T).argmax(-1)

    @torch.no_grad()
    def remember(self, state: Tensor) -> None:
        """Move the prototypes that states [B, T, D] land on towards them (Eq. 16)."""
        nearest, flat = self.nearest(state).flatten(), state.detach().flatten(0, 1)
        hits = F.one_hot(nearest, len(self.prototypes)).to(flat.dtype)  # [B T, M]
        counts = hits.sum(0).unsqueeze(-1)
        means = hits.T @ flat / counts.clamp_min(1)
        moved = self.decay * self.prototypes + (1 - self.decay) * means
        self.prototypes.copy_(torch.where(counts > 0, moved, self.prototypes))
