"""The options of EqT-plus, each value an arm of the ablation table."""

from __future__ import annotations

from dataclasses import dataclass

from .layers.trunk import TrunkConfig

READINGS = ("committed", "current", "none")
TERMS = ("learned", "paper")
WRITES = ("slope", "free")
DRAWS = ("uniform", "fixed")
SUPERVISES = ("every", "last")
PLACEMENTS = ("last", "each")


@dataclass(frozen=True, kw_only=True)
class EqTPlusConfig(TrunkConfig):
    """The transformer's options, then the refinement's.

    terms: the learned energy, or the paper's terms of a state moved by the condition, L(h + c).
    reading: which states of other positions the energy is told, committed, current or none (see
    the module). attention: read all positions before, not the last one alone. units U of the
    energy and gates G of the condition's gated map, in multiples of the width (0 gates: none).
    convex: w ≥ 0. write: `slope` descends the energy, `free` writes through a matrix of its own,
    the twin without an energy. iterations: the largest K in training; draw: K uniform from 1 to
    it, or fixed. supervise: the read-out after every step, or the last. proposal_weight: share of
    the proposal's own cross-entropy; rest_weight: of how far one more step would move, squared, so
    that K steps end at rest. gamma: γ (0: no pull to the proposal, γ → ∞). step_size: the α
    that training starts from; it is learned. placement: after the last block, or after each.
    """

    terms: str = "learned"
    reading: str = "committed"
    attention: bool = False
    units: int = 2
    gates: int = 2
    convex: bool = False
    write: str = "slope"
    iterations: int = 8
    draw: str = "uniform"
    supervise: str = "every"
    proposal_weight: float = 0.3
    rest_weight: float = 1.0
    gamma: float = 4.0
    step_size: float = 0.5
    placement: str = "last"

    def __post_init__(self) -> None:
        """Refuse unknown names, and values that cannot work."""
        super().__post_init__()
        for name, value, known in (
            ("terms", self.terms, TERMS),
            ("reading", self.reading, READINGS),
            ("write", self.write, WRITES),
            ("draw", self.draw, DRAWS),
            ("supervise", self.supervise, SUPERVISES),
            ("placement", self.placement, PLACEMENTS),
        ):
            if value not in known:
                raise ValueError(f"no {name} {value!r}. Known: {', '.join(known)}")
        for name in ("iterations", "units"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")
        for name in ("gates", "proposal_weight", "rest_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"expected {name} ≥ 0, got {getattr(self, name)}")
        bound = 2 * self.gamma if self.gamma else float("inf")
        if self.gamma < 0 or not 0 < self.step_size < bound:
            told = f"step_size {self.step_size} at gamma {self.gamma}"
            raise ValueError(f"expected gamma ≥ 0 and a step_size in (0, 2 gamma), got {told}")
        if self.convex and self.write == "free":
            raise ValueError("expected write = slope with convex: a free map has no energy")
        if self.terms == "paper" and (self.reading == "committed" or self.write == "free"):
            told = f"reading = {self.reading}, write = {self.write}"
            raise ValueError(f"expected terms = paper with another reading and a slope, got {told}")
        if self.attention and self.reading == "none":
            raise ValueError("expected a reading with attention, got reading = none")
