"""The delta rule: a linear map in every head, corrected towards each key's value as it is read.

Schlag, Irie and Schmidhuber 2021 (arXiv:2102.11174, §4) for the rule; Yang et al. 2024
(arXiv:2406.06484, §3) for the form that computes a chunk of positions at once. With S [d, d]:

    S_t = S_{t−1} + β_t k_t (v_t − S_{t−1}ᵀ k_t)ᵀ,    o_t = S_tᵀ q_t,    S_0 = 0.

A key of length one turns I − β k kᵀ's eigenvalue into 1 − β: β ≤ 1 can only forget, β up to 2
reflects, which is what counting modulo two takes (Grazzi et al. 2024, arXiv:2411.12537).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK = 32  # positions of one triangular system


def delta_recurrence(query: Tensor, key: Tensor, value: Tensor, beta: Tensor) -> Tensor:
    """The rule position by position: [B, H, T, d] each, β [B, H, T]; returns o [B, H, T, d]."""
    state = torch.zeros_like(key[..., 0, :, None] * value[..., 0, None, :])  # [B, H, d, d]
    answers = []
    rows, columns = (query.unsqueeze(-2), value.unsqueeze(-2)), key.unsqueeze(-1)
    parts = (tensor.unbind(2) for tensor in (*rows, columns, beta[..., None, None]))
    for q, v, k, rate in zip(*parts, strict=True):
        state = state + rate * k * (v - k.mT @ state)
        answers.append(q @ state)
    return torch.cat(answers, 2)


def delta_chunked(
    query: Tensor, key: Tensor, value: Tensor, beta: Tensor, chunk: int = CHUNK
) -> Tensor:
    """The same answers, `chunk` positions at a time.

    A chunk's corrections U = [β_t (v_t − S_{t−1}ᵀ k_t)] solve
    (I + tril(β K Kᵀ, −1)) U = β (V − K S).
    """
    state = torch.zeros_like(key[..., 0, :, None] * value[..., 0, None, :])
    answers = []
    parts = (tensor.split(chunk, 2) for tensor in (query, key, value, beta.unsqueeze(-1)))
    for q, k, v, rate in zip(*parts, strict=True):
        system = (rate * (k @ k.mT)).tril(-1)  # its diagonal counts as ones
        right = rate * (v - k @ state)
        update = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
        answers.append(q @ state + (q @ k.mT).tril() @ update)
        state = state + k.mT @ update
    return torch.cat(answers, 2)


class Delta(nn.Module):
    """A causal mixer of positions by the delta rule, `heads` maps of d = width/heads.

    Keys and queries are SiLU of a linear map at length one, values SiLU of one; β is a sigmoid of
    the state, doubled where `negative` allows eigenvalues down to −1. The answers pass an RMSNorm
    a head and an output map (Yang et al. 2024).
    """

    def __init__(self, width: int, heads: int, negative: bool) -> None:
        super().__init__()
        self.heads, self.reach = heads, 2.0 if negative else 1.0
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.rate = nn.Linear(width, heads, bias=False)
        self.norm = nn.RMSNorm(width // heads, eps=1e-5)  # of a state that may be zero
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]; position t reads positions ≤ t."""
        rows, length, width = state.shape
        split = F.silu(self.qkv(state)).view(rows, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [B, H, T, d]
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        mixed = self.norm(delta_chunked(query, key, value, self.beta(state)))
        return self.out(mixed.transpose(1, 2).reshape(rows, length, width))

    def beta(self, state: Tensor) -> Tensor:
        """The rates β, [B, T, D] -> [B, H, T]."""
        return self.reach * self.rate(state).sigmoid().mT
