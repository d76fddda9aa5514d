"""P9: the standard transformer, DEQ, diffusion, TTT and energy-based models as special cases.

What is exact, what holds in a limit, and what is an analogy: each as a difference between our one
solver and the thing itself, on random cases in float64. The tests hold more of them, and tighter.
"""

from __future__ import annotations

import functools

import pandas as pd
from matplotlib.figure import Figure

from ..figures.figure import Drawing, Missing
from ..figures.style import PAGE, styled
from .claim import Claim, Finding, computed, holds
from .evidence import Evidence
from .identities import IDENTITIES


@functools.cache
def differences() -> dict[str, float]:
    """Identity -> the largest difference."""
    return {each.name: each.differs() for each in IDENTITIES}


def examine(evidence: Evidence) -> list[Finding]:
    """Every identity under its tolerance."""
    return [
        computed(
            each.name,
            f"largest difference, {each.kind}, at most {each.tolerance:g}",
            holds(gap, each.tolerance),
            gap,
            each.cases,
            "cases",
            each.headline,
        )
        for each in IDENTITIES
        for gap in [differences()[each.name]]
    ]


def draw(evidence: Evidence) -> list[Drawing | Missing]:
    """Every difference beside its tolerance."""
    names = [each.name for each in IDENTITIES]
    gaps = [max(differences()[name], 1e-17) for name in names]
    frame = pd.DataFrame(
        {
            "identity": names,
            "kind": [each.kind for each in IDENTITIES],
            "difference": [differences()[name] for name in names],
            "tolerance": [each.tolerance for each in IDENTITIES],
        }
    )
    with styled():
        figure = Figure(figsize=(PAGE, 2.6))
        axes = figure.subplots()
        axes.plot(gaps, range(len(names)), "o", label="largest difference")
        limits = [max(each.tolerance, 1e-17) for each in IDENTITIES]
        axes.plot(limits, range(len(names)), "|", color="0.3", markersize=9, label="tolerance")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("difference (zeros at 1e-17)")
        axes.legend()
    title = "Special cases: identities, limits and analogies"
    return [Drawing("claim-p9", title, f"{title}, float64", figure, frame)]


CLAIM = Claim(
    name="P9",
    statement="Transformers, DEQ, diffusion, TTT and energy-based models are special cases.",
    source="arXiv:2511.21882v1, §4, Proposition 9",
    errata="Pure energy is γ → ∞, not γ → 0. DEQ's and diffusion's minimisers or steps agree with "
    "f or D held inside the energy; differentiated through, the paths are others.",
    measure="The largest difference between our one solver and the thing itself on random cases, "
    "float64: diffusers' DDIM, a fixed-point iteration, linear attention, the delta rule, minima "
    "in closed form; and between TTT's two forms.",
    rule="supported where the largest difference is within the tolerance that stands beside it "
    "(rounding, or 1e-4 at γ = 1e∓6 for a limit), else contradicted; an analogy is one that is not",
    examine=examine,
    draw=draw,
)
