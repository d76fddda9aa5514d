"""Continuous diffusion: the answers of a row, as a latent, are denoised together.

Chen et al. 2022, arXiv:2208.04202v2: answers are written as analog bits, a net that sees the inputs
recovers them from noise, and it reads its own last estimate (self-conditioning). At a time t in
(0, 1], with codes c(i) in ±1 of the answer ids, e the embedded inputs and ᾱ of `solvers/ddim.py`:

    x_t = √ᾱ c(y) + √(1 − ᾱ) ε                          [B, T, C]
    p = softmax(net(e, x_t, x̂, t)),   x̂ = Σ_i p_i c(i)   the estimate of the clean latent

Training descends the cross-entropy of p with y (as CDCD does, Dieleman et al. 2022,
arXiv:2211.15089v3, where the paper has a squared error), every position alike, the times stratified
over the batch. In half of the rows x̂ is the estimate of a first call without gradient, in the
others 0. Answering takes K steps of DDIM from pure noise; step k shows the logits of call k, and
K = 0 those of one call, as K = 1 does: the open loop. So K costs max(K, 1) calls, and the latent
where the last step would end, x̂, is not needed.

Positions that are not scored carry an id of their own, which is learnt, but never shown. Which
noise an answer meets is a hash of inputs ≤ t and of the step, so that answers repeat and rows are
independent. The whole row is read: the method is not causal. Its late calls see almost clean
latents and are sure of them, right or wrong: its nats say how often it errs, not how it doubts.

Choices, and departures from the paper:
- bits of the id, ⌈log₂(classes + 1)⌉ channels; the estimate is the mean code, hence within ±1,
  where the paper regresses. One-hot codes learn alike on parity;
- inputs, latent, estimate and time are summed into one state per position, and latent and estimate
  start with small weights: as large as the inputs', they hide these, and parity is learnt later;
- time enters through sinusoids and a small map (Ho et al. 2020, arXiv:2006.11239v2, App. B) once,
  not in every block;
- the coin of self-conditioning falls per row, the paper's per batch, and the first call is made of
  every row, so that all updates cost the same;
- `draws` of time and noise per row and update, 1 in the paper: a denoiser learns one time from a
  row, and needs more updates than a classifier where the arena gives both as many;
- no average of the weights: over a few hundred updates to a learning rate of 0 it changes nothing;
- every time weighs the same; times of answering are as asked, not shifted (asymmetric intervals).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..tasks.task import Batch
from .layers.labels import label_ids
from .layers.masking import strata
from .layers.noise import hashed_normal
from .layers.trunk import Trunk, TrunkConfig, relative_change
from .method import Loss, Method, Progress, Sizes, Step
from .solvers.ddim import TIMES, ddim

WAVES = 16  # frequencies of the time
FAINT = 0.05  # initial weights of latent and estimate: most of a latent is noise, and hides inputs


class Diffusion(Method):
    """A non-causal trunk over inputs, noisy answers, the last estimate and the time."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth in blocks, heads; feed_forward gated|plain; positions as named.

        iterations K that validation uses; eta, the noise of a step: 0 for none (DDIM), 1 for as
        much as the forward process has (DDPM); draws of time and noise per row and update.
        """

        iterations: int = 8
        eta: float = 1.0
        draws: int = 1

        def __post_init__(self) -> None:
            """Refuse counts below one, eta out of range and unknown names."""
            super().__post_init__()
            for name in ("iterations", "draws"):
                if getattr(self, name) < 1:
                    raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
            if not 0 <= self.eta <= 1:
                raise ValueError(f"expected eta in [0, 1], got {self.eta}")

    codes: Tensor

    family: ClassVar[str] = "diffusion"
    source: ClassVar[str] = "Chen et al. 2022, arXiv:2208.04202v2"
    causal: ClassVar[bool] = False
    iterates: ClassVar = "answer"
    anytime: ClassVar[bool] = False
    examples: ClassVar = (  # one draw a row learns too little in the contracts' few updates
        {"draws": 4, "iterations": 1},
        {"draws": 4, "eta": 0.0, "iterations": 1},
    )

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        ids, width = Sizes(sizes.vocab, sizes.classes + 1, sizes.length), config.width
        self.trunk = Trunk(config, ids, causal=False)
        codes = analog_bits(ids.classes)  # [V + 1, C]
        self.register_buffer("codes", codes, persistent=False)
        self.latent = nn.Linear(codes.shape[1], width, bias=False)
        self.estimate = nn.Linear(codes.shape[1], width, bias=False)
        for linear in (self.latent, self.estimate):
            nn.init.normal_(linear.weight, std=FAINT)
        self.time = nn.Sequential(nn.Linear(2 * WAVES, width), nn.SiLU(), nn.Linear(width, width))

    # ---- the net -----------------------------------------------------------------------------

    def forward(self, inputs: Tensor, latent: Tensor, estimate: Tensor, times: Tensor) -> Tensor:
        """Logits of all ids [B, T, V + 1] from x_t and x̂, [B, T, C], at times [B] or [1]."""
        moment = self.time(waves(times).to(latent.dtype))[:, None]  # [B or 1, 1, D]
        state = self.trunk.embed(inputs) + self.latent(latent) + self.estimate(estimate) + moment
        return self.trunk.read(self.trunk.through(state))

    def clean(self, logits: Tensor) -> Tensor:
        """The estimate x̂, the mean code, [B, T, V + 1] -> [B, T, C]."""
        return logits.softmax(-1) @ self.codes

    def noise(self, inputs: Tensor, salt: int) -> Tensor:
        """The noise of an answer: salt 0 to start from, k for step k, [B, T, C]."""
        return hashed_normal(inputs, self.codes.shape[1], salt).to(self.codes.dtype)

    # ---- answering and training --------------------------------------------------------------

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the answers of calls 1, 1, 2, … `iterations`; `change` is x̂'s since the last."""
        grid, eta = ddim(max(iterations, 1), inputs.device), self.config.eta
        latent = self.noise(inputs, 0)
        estimate = torch.zeros_like(latent)
        for number in range(max(iterations, 1)):
            if number:
                noise = self.noise(inputs, number) if eta else None
                latent = grid.step(number - 1, latent, estimate, eta, noise)
            times = latent.new_tensor([grid.time(number)])
            logits = self(inputs, latent, estimate, times)
            before, estimate = estimate, self.clean(logits)
            shown = logits[..., : self.sizes.classes]
            if number == 0:
                before = estimate
                yield Step(shown, relative_change(estimate, before))
            if iterations:
                yield Step(shown, relative_change(estimate, before))

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy of all ids at one time per row, self-conditioned in half of the rows."""
        draws, device = self.config.draws, batch.inputs.device
        inputs = batch.inputs.repeat(draws, 1)
        ids = label_ids(batch, self.sizes.classes).repeat(draws, 1)
        generator, rows, clean = progress.generator(), len(inputs), self.codes[ids]
        times = 1 - strata(rows, generator).to(device)  # in (0, 1]
        noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(device)
        latent = ddim(TIMES, device).noised(clean, noise, times)
        told = torch.rand((rows, 1, 1), generator=generator).to(device) < 0.5
        estimate = torch.zeros_like(latent)
        with torch.no_grad():
            first = self.clean(self(inputs, latent, estimate, times))
        estimate = torch.where(told, first, estimate)
        logits = self(inputs, latent, estimate, times)
        nats = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        return Loss(nats, {"denoising": nats})


def analog_bits(count: int) -> Tensor:
    """The binary digits of 0 … count − 1 as ±1, highest first, [count, ⌈log₂ count⌉]."""
    places = torch.arange(max((count - 1).bit_length(), 1) - 1, -1, -1)
    digits = torch.arange(count)[:, None] >> places & 1
    return 2.0 * digits - 1


def waves(times: Tensor) -> Tensor:
    """Sines and cosines of times [B] in (0, 1], at angles of 1000 · t · 10⁻⁴⁽ⁱᐟ¹⁶⁾, [B, 32]."""
    rates = TIMES * 10_000.0 ** (-torch.arange(WAVES, device=times.device) / WAVES)
    angles = times[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
