"""Unmasking by diffusers: masked rows are answered in K steps, each of which commits positions.

The decoding of masked diffusion without remasking of what is committed: LLaDA (Nie et al. 2025,
arXiv:2502.09992, low-confidence strategy) and MDLM (Sahoo et al. 2024, arXiv:2406.07524), greedily,
in one of three orders:

- confidence: the positions of the highest probability first, as a call of the net gives it;
- random: a permutation of the row's own, a hash of its inputs, so that answers repeat;
- left: from left to right, a block of positions a step.

diffusers' `BlockRefinementScheduler`, which only this file knows, serves all three: for the last
two it is shown logits with the net's argmax and, for its probability, the position's place in the
order. It is held to what the arena promises:

- its schedule is set to the row's length (unset it commits nothing, and its own default length
  leaves masks): T positions in K steps, ⌈T/K⌉ in each of the first ones, ⌊T/K⌋ in the others;
- its threshold is above 1, since every position above it would be committed at once;
- the mask has no logit, so that no mask is ever committed;
- nothing is edited once committed. A budget beyond T takes T calls of the net, and then rests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers.noise import hashed_uniform
from ..layers.trunk import relative_change
from ..method import Step

Net = Callable[[Tensor, Tensor], Tensor]
"""Inputs and labels, [B, T] ids, some of these masked -> logits [B, T, V]."""

ORDERS = ("confidence", "random", "left")
UNREACHED = 2.0  # a threshold that no probability passes


class Unmasking:
    """Commits the positions of rows in an order, in `steps` steps or, where shorter, in T.

    Raises:
        ValueError: no step, or an unknown order.
    """

    def __init__(self, inputs: Tensor, steps: int, order: str) -> None:
        if steps < 1:
            raise ValueError(f"expected at least 1 step, got {steps}")
        # two seconds of import, on first use
        from diffusers.schedulers.scheduling_block_refinement import BlockRefinementScheduler

        length = inputs.shape[1]
        self.steps, self.priority = min(steps, length), priority(order, inputs)
        self.scheduler = BlockRefinementScheduler()
        self.scheduler.set_timesteps(self.steps, block_length=length)

    def commit(self, logits: Tensor, labels: Tensor, number: int) -> Tensor:
        """Labels [B, T] after step `number` (0, 1, …), of logits [B, T, V]; V itself is the mask.

        A position is committed to the argmax of its logits. Those committed before stay.
        """
        taken = self.scheduler.step(
            logits if self.priority is None else shaped(logits, self.priority),
            number,
            labels,
            mask_token_id=logits.shape[-1],
            threshold=UNREACHED,
        )
        return taken.prev_sample


def priority(order: str, inputs: Tensor) -> Tensor | None:
    """Shares of the order in (0, 1), [B or 1, T], all different, the highest first.

    None where the net's confidence decides.

    Raises:
        ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"no order {order!r}. Known: {', '.join(ORDERS)}")
    if order == "confidence":
        return None
    length = inputs.shape[1]
    if order == "left":
        places = torch.arange(length, device=inputs.device)[None]
    else:
        places = hashed_uniform(inputs, 1).squeeze(-1).argsort(1).argsort(1)
    return 1 - (places + 1).double() / (length + 1)


def shaped(logits: Tensor, priority: Tensor) -> Tensor:
    """Logits [B, T, V] of the same argmax, whose probability grows with the priority alone.

    It is (1 + priority)/2, the rest being shared evenly; float32 tells a million priorities apart.
    """
    count, chosen = logits.shape[-1], (1 + priority) / 2
    height = (chosen / (1 - chosen) * (count - 1)).log()  # over the others' logits, which are 0
    return F.one_hot(logits.argmax(-1), count) * height[..., None]


# ---- the loop ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unmasked:
    """Rows on their way: a committed position keeps the logits by which it was committed.

    logits [B, T, V] and those one step before; labels [B, T] with masks where none is committed;
    active [B, T], True where the last step found a mask.
    """

    logits: Tensor
    before: Tensor
    labels: Tensor
    active: Tensor

    def show(self, classes: int) -> Step:
        """What an observer sees: `change` is the relative move of the vector of probabilities."""
        moved = relative_change(self.logits.softmax(-1), self.before.softmax(-1))
        return Step(self.logits[..., :classes], moved, active=self.active)


def unmask(net: Net, inputs: Tensor, mask: int, iterations: int, order: str) -> Iterator[Unmasked]:
    """Yield the rows after 0, 1, … `iterations` steps, the last of which leaves no mask.

    The first step commits by the call that 0 steps show, where all labels are masked, so that K
    steps cost K calls of the net, 0 steps one and more than T of them T.
    """
    labels = torch.full_like(inputs, mask)
    logits, active = net(inputs, labels), torch.ones_like(inputs, dtype=torch.bool)
    yield Unmasked(logits, logits, labels, active)
    unmasking = Unmasking(inputs, max(iterations, 1), order)
    for number in range(iterations):
        before, active = logits, labels == mask
        if 0 < number < unmasking.steps:
            logits = torch.where(active[..., None], net(inputs, labels), logits)
        if number < unmasking.steps:
            labels = unmasking.commit(logits, labels, number)
        yield Unmasked(logits, before, labels, active)
