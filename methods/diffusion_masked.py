"""Masked diffusion: the labels of a row are masked, and recovered a few positions at a time.

The absorbing-state form of discrete diffusion, as it is in Nie et al. 2025 (LLaDA,
arXiv:2502.09992) and Sahoo et al. 2024 (MDLM, arXiv:2406.07524), and with inputs that are never
masked in Ye et al. 2024 (arXiv:2410.14157). Training masks each label of a row with the row's
probability t ~ U(0, 1) and descends, with m the masked positions,

    − [Σ_{i in m} log p(y_i | x, y_{not m}) + Σ_{i not in m} log p(y_i | x, y_m)]/T,

p by a transformer that sees the whole row and is not told t. Answering starts from masks alone and
takes K steps (`solvers/unmasking.py`), each one call of the net that commits ⌈T/K⌉ labels or less.
K = 0 shows the first call, as K = 1 does: the open loop. A label once committed is not revised, and
keeps the logits by which it was committed; the others show the latest call's. K beyond T costs, and
answers, as T.

The labels of a row follow from its inputs, so that deciding several at once loses nothing but
serial depth: what is committed is a scratchpad for what is not. Training knows no order, and the
same weights answer very differently in different ones. `transformer-feedback`, which has such a
scratchpad too, is the control.

Choices, and departures:
- a row is seen twice an update, under its mask and under the complement (which has the same law),
  as diffusers' `BlockRefinementScheduler.add_noise` draws its views: each label is learnt once an
  update, whichever t was drawn, at twice the cost. One view of 768 batches solved .78 of parity's
  rows at T = 16, K = 8 (.998 at K = 16), two of each .91 (1.000);
- the weight 1/t of the likelihood bound is left out: a masked label counts alike at every t;
- the t are stratified over the batch, as a set of draws, where MDLM shifts one grid;
- a label is added to the state of its input's position, where language models have a sequence of
  one kind of token;
- greedy, without remasking; no average of the weights: of decay .999, it changed no answer by more
  than noise in that trial;
- `iterations`, the budget that validation uses, is 8: half of the steps that a row of 16 can take.
Positions that are not scored carry a label of their own, which is learnt, but never shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..tasks.task import Batch
from .layers.labelled import LabelledTrunk
from .layers.masking import scattered
from .layers.trunk import TrunkConfig
from .method import Loss, Method, Progress, Sizes, Step
from .solvers.unmasking import ORDERS, Unmasked, unmask


class DiffusionMasked(Method):
    """A non-causal trunk over inputs and labels, some of these masked."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth in blocks, heads; feed_forward gated|plain; positions as named.

        order in which labels are committed, confidence|random|left; iterations K that validation
        uses. Neither has a part in training.
        """

        order: str = "confidence"
        iterations: int = 8

        def __post_init__(self) -> None:
            """Refuse an unknown order and no iterations."""
            super().__post_init__()
            if self.order not in ORDERS:
                raise ValueError(f"no order {self.order!r}. Known: {', '.join(ORDERS)}")
            if self.iterations < 1:
                raise ValueError(f"expected iterations of at least 1, got {self.iterations}")

    family: ClassVar[str] = "diffusion"
    source: ClassVar[str] = "Nie et al. 2025, arXiv:2502.09992; Sahoo et al. 2024, 2406.07524"
    causal: ClassVar[bool] = False
    iterates: ClassVar = "answer"
    anytime: ClassVar[bool] = False
    examples: ClassVar = (
        {},
        {"order": "random", "iterations": 4},
        {"order": "left", "feed_forward": "plain"},
    )

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.net = LabelledTrunk(config, sizes, causal=False)

    def states(self, inputs: Tensor, iterations: int) -> Iterator[Unmasked]:
        """Yield the rows with what has been committed after 0, 1, … `iterations` steps."""
        return unmask(self.net, inputs, self.net.blank, iterations, self.config.order)

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the answer after 0, 1, … `iterations` steps of unmasking."""
        for state in self.states(inputs, iterations):
            yield state.show(self.sizes.classes)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone is shown."""
        (last,) = deque(self.states(inputs, iterations), maxlen=1)
        return last.show(self.sizes.classes)

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy of the masked labels and, under the complement, of the others."""
        rows, length = batch.inputs.shape
        masked = scattered(rows, length, progress.generator())
        nats = self.net.denoising(batch, masked.to(batch.inputs.device))
        return Loss(nats, {"denoising": nats})
