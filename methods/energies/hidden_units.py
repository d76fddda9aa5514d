"""Class probabilities from many questions to one state, with their slope in closed form.

A question m to the state's own layer u has logits z_m = O SiLU(u + k_m) + c, k_m being one of the
rows of a table; its energy is Σ_m w_m (−log softmax(z_m)[y_m]). Every hidden layer is as wide as
the state: written out, they are by far the largest arrays of an iteration. Here they are made a
block of positions at a time, in arrays that stay, and once more for the derivatives:

    r_m = w_m (softmax(z_m) − 1[y_m]),        ∂e/∂u = Σ_m Oᵀ r_m ⊙ SiLU′(u + k_m),

and for cotangents v of ∂e/∂u and ε of e, with a_m = v ⊙ SiLU′ and
ζ_m = w_m (diag p − p pᵀ) O a_m + ε r_m, what goes back to u + k_m is
Oᵀ ζ_m ⊙ SiLU′ + Oᵀ r_m ⊙ v ⊙ SiLU″.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2**18
"""Numbers of one hidden array that are made at a time: a MiB in float32."""


class Questions(torch.autograd.Function):
    """(u [N, D], table [P, D], O [V, D], c [V], i [N, M], y [N, M], w [N, M]) -> (∂e/∂u, e [N]).

    i are the rows of the table that are added to u, y the classes asked for; not sloped, ∂e/∂u is
    left empty.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        table: Tensor,
        out: Tensor,
        bias: Tensor,
        added: Tensor,
        asked: Tensor,
        share: Tensor,
        sloped: bool,
    ) -> tuple[Tensor, Tensor]:
        """See the class."""
        ctx.save_for_backward(own, table, out, bias, added, asked, share)
        ctx.sloped = sloped
        slopes, energies = torch.empty_like(own), own.new_empty(len(own))
        room = Room(own, added, 3)
        for part in room.parts:
            inside, gate, hidden = silu(own[part], table, added[part], room)
            logs = log_odds(hidden, out, bias)
            energies[part] = told(logs, asked[part], share[part]).sum(-1)
            if sloped:
                wrong = error(logs, asked[part], share[part])  # [V, n, M]
                first = bend(inside, gate)
                slopes[part] = (wrong.movedim(0, 1) @ first).mul_(out).sum(1)
        return slopes, energies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        """Cotangents v [N, D] and ε [N] to those of u, the table, O and c."""
        own, table, out, bias, added, asked, share = ctx.saved_tensors
        along, level = cotangents
        to_own, to_table = torch.empty_like(own), torch.zeros_like(table)
        to_out, to_bias = torch.zeros_like(out), torch.zeros_like(bias)
        room = Room(own, added, 4)
        for part in room.parts:
            inside, gate, hidden = silu(own[part], table, added[part], room)
            logs = log_odds(hidden, out, bias)
            wrong = error(logs, asked[part], share[part])
            back = level[part].unsqueeze(-1) * wrong  # ζ [V, n, M]
            bent = room[3][: len(inside)]
            if ctx.sloped:
                bend_again(inside, gate, hidden, bent)
            first = bend(inside, gate)
            spare = inside
            if ctx.sloped:
                ahead, odds = along[part].unsqueeze(1), logs.exp()
                moved = torch.mul(first, ahead, out=spare)  # a
                to_out += wrong.flatten(1) @ moved.flatten(0, 1)
                spread = odds * (out @ moved.flatten(0, 1).mT).view_as(odds)
                back += (spread - odds * spread.sum(0)) * share[part]
                torch.mm(wrong.flatten(1).mT, out, out=spare.flatten(0, 1))
                bent.mul_(ahead).mul_(spare)
            to_out += back.flatten(1) @ hidden.flatten(0, 1)
            to_bias += back.flatten(1).sum(-1)
            torch.mm(back.flatten(1).mT, out, out=spare.flatten(0, 1))
            bent = bent.addcmul_(spare, first) if ctx.sloped else spare.mul_(first)
            to_own[part] = bent.sum(1)
            add_rows(to_table, added[part].flatten(), bent.flatten(0, 1))
        return to_own, to_table, to_out, to_bias, None, None, None, None


def add_rows(table: Tensor, places: Tensor, values: Tensor) -> None:
    """Add values [R, D] to these rows of the table, in one order on every device."""
    if table.is_cuda:
        table.index_put_((places,), values, accumulate=True)  # sorts; index_add_ races there
    else:
        table.index_add_(0, places, values)


class Room:
    """Arrays [n, M, D] for one block of hidden layers, and the blocks.

    Made once: fresh ones cost more to get from the system than what is done in them.
    """

    def __init__(self, own: Tensor, added: Tensor, count: int) -> None:
        rows, questions, width = len(own), added.shape[-1], own.shape[-1]
        size = max(BLOCK // max(questions * width, 1), 1)
        self.parts = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
        self.arrays = [own.new_empty(min(size, rows), questions, width) for _ in range(count)]

    def __getitem__(self, place: int) -> Tensor:
        """One of the arrays."""
        return self.arrays[place]


def silu(own: Tensor, table: Tensor, added: Tensor, room: Room) -> tuple[Tensor, Tensor, Tensor]:
    """x (1 − σ), σ and x σ, the SiLU, of a block's x = u + k, in `room`."""
    inside, gate, value = (array[: len(own)] for array in room.arrays[:3])
    torch.index_select(table, 0, added.flatten(), out=inside.flatten(0, 1))
    inside.add_(own.unsqueeze(1))
    torch.sigmoid(inside, out=gate)
    torch.mul(inside, gate, out=value)
    return inside.sub_(value), gate, value


def bend(rest: Tensor, gate: Tensor) -> Tensor:
    """SiLU′ = σ (1 + x (1 − σ)), in place of σ."""
    return torch.addcmul(gate, gate, rest, out=gate)


def bend_again(rest: Tensor, gate: Tensor, value: Tensor, out: Tensor) -> None:
    """SiLU″ = σ (1 − σ) (2 + x (1 − σ) − x σ)."""
    torch.sub(rest, value, out=out).add_(2).mul_(gate)
    out.addcmul_(out, gate, value=-1)


def log_odds(hidden: Tensor, out: Tensor, bias: Tensor) -> Tensor:
    """Log-probabilities of hidden layers [n, M, D], classes first, [V, n, M]."""
    logits = torch.addmm(bias.unsqueeze(-1), out, hidden.flatten(0, 1).mT)
    return logits.log_softmax(0).view(len(out), *hidden.shape[:2])


def told(logs: Tensor, asked: Tensor, share: Tensor) -> Tensor:
    """w (−log p[y]) [n, M]."""
    return logs.gather(0, asked.unsqueeze(0)).squeeze(0) * -share


def error(logs: Tensor, asked: Tensor, share: Tensor) -> Tensor:
    """r = w (p − 1[y]), [V, n, M]."""
    wrong = logs.exp()
    wrong.scatter_add_(0, asked.unsqueeze(0), -torch.ones_like(wrong[:1]))
    return wrong * share
