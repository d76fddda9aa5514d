"""Reverse prediction: the state must tell the inputs that led to it.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 12:
L_rev(h_t) = −(1/W) Σ_{i=t−W+1..t} log q_φ(x_i | h_t, x_{<i}). Near the left edge the mean runs over
the positions that exist. Two forms of q_φ, both sharing the embedding: a light head, and the
paper's small reverse transformer, whose x_{<i} is cut at the window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.block import Block
from .energy import Context, Energy, Potential, Sloped, past_mean, window_valid, windows


class ReverseHead(Energy):
    """q_φ as a light head: logits = (SiLU(A h_t) ⊙ s_{t−i} + C mean(e(x_{<i}))) · e(·) / √d.

    s is one learned vector per distance. d² + d² + W d weights.
    """

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.state = nn.Linear(width, width)
        self.past = nn.Linear(width, width, bias=False)
        self.offsets = nn.Parameter(torch.randn(window, width))

    def bind(self, context: Context) -> Potential:
        """Everything but the state's own part is computed once."""
        size = min(self.window, context.inputs.shape[1])
        table = context.table / context.table.shape[1] ** 0.5
        known = self.past(past_mean(context.embedded, inclusive=False)) @ table.T  # [B, T, V]
        known = windows(known, size).mT.contiguous()  # [B, T, V, W]: summed over classes fast
        keys = torch.einsum("wd,vd->vwd", self.offsets[-size:], table).flatten(0, 1)
        marks, shares = window_marks(context.inputs, size, len(table), known.dtype)

        def logs(hidden: Tensor) -> Tensor:
            return ((hidden @ keys.mT).view_as(known) + known).log_softmax(-2)

        def mean(nats: Tensor) -> Tensor:
            return -(nats * marks * shares).sum((-1, -2))

        def potential(state: Tensor) -> Tensor:
            return mean(logs(F.silu(self.state(state))))

        def slope(state: Tensor) -> tuple[Tensor, Tensor]:
            inside = self.state(state)
            gate = inside.sigmoid()
            hidden = inside * gate
            found = logs(hidden)
            wrong = (found.exp() - marks) * shares
            bend = torch.addcmul(gate, gate, inside - hidden)
            return ((wrong.flatten(2) @ keys) * bend) @ self.state.weight, mean(found)

        return Sloped(potential, slope, potential)


class ReverseTransformer(Energy):
    """q_φ as one small causal block over [h_t, x_{t−W+1}, …, x_{t−1}], predicting x_{t−W+1} … x_t.

    Width d/2 (a multiple of the heads); costs about W small tokens a position and iteration.
    """

    def __init__(self, width: int, window: int, heads: int = 2) -> None:
        super().__init__()
        inner = max(width // (2 * heads), 1) * heads
        self.window = window
        self.state = nn.Linear(width, inner)
        self.token = nn.Linear(width, inner, bias=False)
        self.offsets = nn.Parameter(0.02 * torch.randn(window, inner))
        self.block = Block(inner, heads, "plain")
        self.norm = nn.LayerNorm(inner)
        self.out = nn.Linear(inner, width, bias=False)

    def bind(self, context: Context) -> Potential:
        """The window's tokens are embedded once; the block runs at every call."""
        rows, length = context.inputs.shape
        size = min(self.window, length)
        table = context.table / context.table.shape[1] ** 0.5
        tokens = windows(self.token(context.embedded), size)[:, :, :-1]  # x_{t−W+1} … x_{t−1} + one
        tokens = tokens.reshape(rows * length, size - 1, -1)

        def logits(state: Tensor) -> Tensor:
            first = self.state(state).reshape(rows * length, 1, -1)
            read = torch.cat([first, tokens], 1) + self.offsets[-size:]
            answers = self.out(self.norm(self.block(read))) @ table.T
            return answers.view(rows, length, size, -1)

        return windowed_nats(logits, context.inputs, size)


def window_marks(
    inputs: Tensor, size: int, classes: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Each window's inputs one-hot [B, T, V, W], and what each counts in the mean [T, 1, W]."""
    valid = window_valid(inputs.shape[1], size, inputs.device)
    shares = (valid.to(dtype) / valid.sum(-1, keepdim=True)).unsqueeze(-2)
    return F.one_hot(windows(inputs, size), classes).mT.to(dtype).contiguous(), shares


def windowed_nats(logits: Potential, inputs: Tensor, size: int) -> Potential:
    """Mean −log q of each window's inputs, from logits [B, T, size, V], oldest first."""
    targets = windows(inputs, size).unsqueeze(-1)  # [B, T, W, 1]
    valid = window_valid(inputs.shape[1], size, inputs.device)  # [T, W]
    counts = valid.sum(-1)

    def potential(state: Tensor) -> Tensor:
        nats = -logits(state).log_softmax(-1).gather(-1, targets).squeeze(-1)
        return (nats * valid).sum(-1) / counts

    return potential
