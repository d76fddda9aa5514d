"""T3: local linear convergence near a minimum (Eq. 29).

At a minimum of Φ with Hessian eigenvalues λ > 0, descent contracts by max|1 − αλ| in the limit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..figures.figure import Drawing, Missing
from ..figures.style import COLUMN, styled
from ..outcomes import quantiles
from ..trial import Record
from .claim import Claim, Finding, above, computed, holds, not_run
from .evidence import Evidence
from .findings import found
from .pairing import TASK, lengths_of, of_records, wanted
from .quadratics import WIDTH, course, generator, newton, normal

ROW, GAMMA, STEP, STEPS, STARTS = "eqt", 1.0, 0.05, 1500, 40
LIMIT = 0.01
"""How far a measured rate may be from the predicted one, at the end of a finite run."""
FIRST, LAST = 4, 8
"""Iterations between which a trained model's rate is read: before rounding takes over."""


class Waves:
    """A non-convex energy: ||h||²/8 + Σ_j cos(w_jᵀh + b_j) / 2."""

    def __init__(self) -> None:
        seed = generator(7)
        self.weight = normal(WIDTH, 2 * WIDTH, seed=seed) / 2
        self.phase = normal(2 * WIDTH, seed=seed)

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """[..., D] -> [...]."""
        waves = torch.cos(state @ self.weight + self.phase).sum(-1) / 2
        return state.square().sum(-1) / 8 + waves

    def hessian(self, state: torch.Tensor) -> torch.Tensor:
        """[..., D] -> [..., D, D]."""
        bend = -torch.cos(state @ self.weight + self.phase) / 2
        eye = torch.eye(WIDTH, dtype=torch.float64) / 4
        return eye + (self.weight * bend[..., None, :]) @ self.weight.T


@functools.cache
def closed() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and measured rates at the minima that descent reached, [N] each."""
    energy = Waves()
    proposal = 2 * normal(STARTS, WIDTH, seed=generator(8))
    states = course(energy, proposal, GAMMA, STEP, STEPS)
    rest = newton(energy, energy.hessian, states[-1], proposal, GAMMA)
    eye = torch.eye(WIDTH, dtype=torch.float64)
    values = torch.linalg.eigvalsh(energy.hessian(rest) + eye / GAMMA)
    predicted = (1 - STEP * values).abs().amax(-1)
    away = torch.stack([(state - rest).norm(dim=-1) for state in states])
    seen = (away[1:] < 1e-4) & (away[1:] > 1e-9)  # near enough, and above rounding
    rates = (away[1:] / away[:-1]).where(seen, torch.nan)
    kept = (values[:, 0] > 0) & seen.any(0)
    last = seen.double().cumsum(0).argmax(0)  # the last step that is above rounding
    measured = rates.gather(0, last[None])[0]
    return predicted[kept].numpy(), measured[kept].numpy()


def examine(evidence: Evidence) -> list[Finding]:
    """Predicted and measured rates on a non-convex energy, then trained models."""
    predicted, measured = closed()
    worst = float(np.abs(measured - predicted).max())
    return [
        computed(
            "closed form, non-convex energy",
            "largest |measured − predicted rate|",
            holds(worst, LIMIT),
            worst,
            len(measured),
            "minima",
            True,
        ),
        *trained(evidence),
    ]


def trained(evidence: Evidence) -> Iterator[Finding]:
    """Share of tokens with a positive curvature at h_K, and the rate against the bound."""
    campaign = evidence.main
    parts: dict[str, tuple[str, Callable[[Campaign, Record], float | None], float]] = {
        "curvature above 0": ("% of tokens, less 99", convex_share, 0.0),
        "rate against max|1 − αλ|": ("bound less measured rate of the median token", spare, -BIN),
    }
    missing = wanted("small", [ROW])
    for name, (told, of, least) in parts.items():
        if campaign is None:
            yield not_run(f"trained {ROW}: {name}", told, missing, headline=True)
            continue
        lengths = lengths_of(campaign)
        for length in lengths:
            made = of_records(campaign, ROW, length, functools.partial(of, campaign))
            head = length == max(lengths)
            part = f"trained {ROW}, {TASK} {length}: {name}"
            yield found(
                part, told, made, missing, functools.partial(above, bound=least), headline=head
            )


def convex_share(campaign: Campaign, record: Record) -> float | None:
    """Percent of the probed tokens whose least curvature is positive, less 99."""
    rows, key = campaign.store.load_rows(record), f"{record.trial.length}/probe/curvature"
    return 100 * float((rows[key] > 0).mean()) - 99 if key in rows else None


def spare(campaign: Campaign, record: Record) -> float | None:
    """The largest bound over the probed tokens less the rate of the median change."""
    rows, head = campaign.store.load_rows(record), f"{record.trial.length}/probe/"
    change = record.traces.get(str(record.trial.length), {}).get("change", {})
    if f"{head}curvature" not in rows or str(LAST) not in change:
        return None
    size = rows[f"{head}step_size"]
    ends = (rows[f"{head}curvature"], rows[f"{head}smoothness"])
    bound = max(float(np.abs(1 - size * end).max()) for end in ends)
    early, late = (quantiles(change[str(k)], [0.5])[0] for k in (FIRST, LAST))
    return bound - (late / early) ** (1 / (LAST - FIRST))


BIN = 0.04
"""What reading a median from bins of an eighth of a decade may take from a rate over four steps."""


def draw(evidence: Evidence) -> list[Drawing | Missing]:
    """Measured over predicted rate of every minimum."""
    predicted, measured = closed()
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        ends = [float(predicted.min()), float(predicted.max())]
        axes.plot(ends, ends, color="0.45", linewidth=0.8)
        axes.plot(predicted, measured, "o")
        axes.set_xlabel("predicted max|1 − αλ|")
        axes.set_ylabel("measured rate")
    title = "Rates near the minima of a non-convex energy"
    frame = pd.DataFrame({"predicted": predicted, "measured": measured})
    return [Drawing("claim-t3", title, f"{title}; a point a minimum, float64", figure, frame)]


CLAIM = Claim(
    name="T3",
    statement="Near a minimum refinement converges linearly.",
    source="arXiv:2511.21882v1, Theorem 3, Eq. 29",
    measure="On a non-convex energy of cosines, float64, the rate near the minima that descent "
    "reached against max|1 − αλ|; on trained EqT the least Hessian eigenvalue of Φ at h_32 on the "
    "probed tokens, and the rate of the median relative change from k = 4 to 8 against the bound.",
    rule=f"closed form: supported where no rate is off by more than {LIMIT:g}, else contradicted; "
    "trained, at the longest length: supported where the 95 % t interval over seeds of the share "
    "of convex tokens is above 99 %, and of the bound less the rate above −0.04 (a trace's bins)",
    examine=examine,
    draw=draw,
)
