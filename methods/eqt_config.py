"""The options of the Equilibrium Transformer, each refused in one line where it cannot be."""

from __future__ import annotations

from dataclasses import dataclass

from .layers.trunk import TrunkConfig

PLACEMENTS = ("last", "shared", "each")
GRADIENTS = ("unrolled", "implicit")
STEP_SCHEDULES = ("constant", "learned")
REVERSE_MODELS = ("head", "transformer")


@dataclass(frozen=True, kw_only=True)
class EqTConfig(TrunkConfig):
    """The transformer's options, then the ERM's.

    iterations: K in training, at its end (0: the energies are trained at the proposal, which is
    never refined in training); iterations_start: K until the share iterations_switch of
    training (0: the same K). gamma: γ; gamma_start: γ at the start, geometric to γ over the share
    gamma_anneal (0: the same γ). step_size: α, "learned": one α_k per trained iteration, the last
    repeated. energy_weight: β. reverse … consistency: λ of each term, 0 leaves it out. tolerance,
    energy_threshold (τ, in nats; None is off) and entropy_threshold (nats; positions whose
    proposal's entropy is below it take confident_iterations) halt positions, when answering only.
    cg_iterations bounds the implicit gradient's solver. warm_start: a .safetensors file of a
    trained transformer's weights.
    """

    placement: str = "last"
    iterations: int = 2
    iterations_start: int = 0
    iterations_switch: float = 0.5
    gamma: float = 1.0
    gamma_start: float = 0.0
    gamma_anneal: float = 0.5
    step_size: float = 0.1
    step_schedule: str = "constant"
    gradient: str = "unrolled"
    cg_iterations: int = 20
    energy_weight: float = 0.1

    reverse: float = 1.0
    masked: float = 0.5
    confidence: float = 0.2
    memory: float = 0.0
    prediction: float = 0.0
    consistency: float = 0.0

    reverse_model: str = "head"
    window: int = 32
    masked_share: float = 0.15
    masked_targets: int = 8
    memory_slots: int = 10_000
    memory_temperature: float = 0.1
    memory_retrieved: int = 32
    memory_decay: float = 0.3

    tolerance: float = 0.0
    energy_threshold: float | None = None
    entropy_threshold: float | None = None
    confident_iterations: int = 8
    warm_start: str = ""

    def __post_init__(self) -> None:
        """Refuse values that no part would notice."""
        super().__post_init__()
        for name, value, known in (
            ("placement", self.placement, PLACEMENTS),
            ("gradient", self.gradient, GRADIENTS),
            ("step_schedule", self.step_schedule, STEP_SCHEDULES),
            ("reverse_model", self.reverse_model, REVERSE_MODELS),
        ):
            if value not in known:
                raise ValueError(f"no {name} {value!r}. Known: {', '.join(known)}")
        if self.iterations < 0:
            raise ValueError(f"expected iterations ≥ 0 in training, got {self.iterations}")
        plain = self.gradient == "unrolled" and self.step_schedule == "constant"
        if self.iterations == 0 and not (plain and self.energy_weight):
            raise ValueError(
                "expected iterations ≥ 1 for a learned step, an implicit gradient, or without β"
            )
