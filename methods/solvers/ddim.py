"""DDIM by diffusers: from noise to a clean latent in any number of steps.

Song et al. 2020, arXiv:2010.02502v4, Eq. 12 and 16. With ᾱ the share of signal at a time, x̂ what
the net takes the clean latent to be and s the time after t,

    x_s = √ᾱ_s x̂ + √(1 − ᾱ_s − v²) (x_t − √ᾱ_t x̂)/√(1 − ᾱ_t) + v ε,
    v = η √((1 − ᾱ_s)/(1 − ᾱ_t)) √(1 − ᾱ_t/ᾱ_s),

η = 0 without noise, η = 1 the ancestral sampler of Ho et al. 2020 (arXiv:2006.11239v2, Algorithm 2)
on the times taken. The arithmetic is diffusers' `DDIMScheduler`, which only this file knows, on
the cosine schedule of Nichol and Dhariwal 2021 (arXiv:2102.09672v1, Eq. 17).

diffusers steps by ⌊N/K⌋ of its N times. Where K does not divide N that walks past the times that
it lists, and the last step need not end at ᾱ = 1. So every budget K has a grid of its own: N is the
multiple of K nearest to 1000. The schedule is a function of the continuous time n/N, hence the same
on every grid, but for the last n = N, which diffusers caps (ᾱ ≈ 2e-9 in place of 0).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

TIMES = 1000
"""Times of the training grid; answering grids have about as many."""


class DDIM:
    """`budget` steps from time 1 (noise) to time 0 (clean), equally long in time.

    Holds no state of a run. ᾱ is float64 and 0-dimensional where it meets a latent, which keeps
    its own dtype.

    Raises:
        ValueError: a budget below 1.
    """

    def __init__(self, budget: int, device: torch.device) -> None:
        if budget < 1:
            raise ValueError(f"expected a budget of at least 1 step, got {budget}")
        # two seconds of import, on first use
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        self.size = budget * max(round(TIMES / budget), 1)
        self.scheduler = DDIMScheduler(
            num_train_timesteps=self.size,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="sample",
            timestep_spacing="trailing",
            clip_sample=False,
        )
        exact = (1 - self.scheduler.betas.double()).cumprod(0)
        self.scheduler.alphas_cumprod = exact.to(device)
        self.scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64, device=device)
        self.scheduler.set_timesteps(budget)
        self.indices: list[int] = self.scheduler.timesteps.tolist()

    def time(self, number: int) -> float:
        """The time in (0, 1] at which step `number` (0, 1, …) starts."""
        return (self.indices[number] + 1) / self.size

    def signal(self, number: int) -> float:
        """ᾱ at the time at which step `number` starts; 1 at the end of the last step."""
        ended = number == len(self.indices)
        return 1.0 if ended else float(self.scheduler.alphas_cumprod[self.indices[number]])

    def step(
        self, number: int, latent: Tensor, estimate: Tensor, eta: float, noise: Tensor | None
    ) -> Tensor:
        """Step `number` from a latent, given the clean one's estimate x̂; noise if η > 0.

        Raises:
            ValueError: η > 0 without noise, which diffusers would draw from the global generator.
        """
        if eta and noise is None:
            raise ValueError(f"expected noise for a step with eta = {eta}, got none")
        index = self.indices[number]
        taken = self.scheduler.step(estimate, index, latent, eta=eta, variance_noise=noise)
        return taken.prev_sample

    def noised(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """√ᾱ clean + √(1 − ᾱ) noise, [B, …], at times [B] in (0, 1] rounded up to the grid."""
        indices = (times * self.size).ceil().long() - 1
        return self.scheduler.add_noise(clean, noise, indices)


@lru_cache(maxsize=256)
def ddim(budget: int, device: torch.device) -> DDIM:
    """The grid of a budget, made once."""
    return DDIM(budget, device)
