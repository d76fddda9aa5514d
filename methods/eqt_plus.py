"""EqT-plus: descend an energy that is told what the other positions have committed.

The closed loop of Jafari and Anbarjafari 2025 (arXiv:2511.21882v1, Eq. 7–8), made to deliberate.
The paper's energies see h_t and the inputs: descending them moves no answer (`eqt`), since nothing
that they ask for depends on the other positions' answers. Here the energy at t is conditioned on
states of positions before t, held while h_t descends:

    h_t ← h_t − α [∇E(h_t; c_t) + (h_t − f_t)/γ]  from  h_t = f_t, K times,
    c_t = condition(e(x_t), stop(h_s), s < t),

E as in `energies/coupled.py`, with its slope in closed form, so that training needs no second
derivatives. No label enters E, and no slope crosses positions: the refined state is causal, though
training passes gradients through the condition.

reading = committed: h_s is the state that s has committed, after all its K iterations; positions
take their turns, as tokens do when they are emitted. It is Gauss–Seidel on the equations whose
Jacobi sweep is reading = current: all positions iterate together, and each iteration reads the
states of the one before, so that what is known travels by one read an iteration. Both rest where
h_t = argmin Φ_t(· ; h_<t) for every t. reading = none: the condition is the input alone, the
control that cannot pass anything on.

With committed states a row is a recurrence in its positions (T·K dependent steps where `current`
has K), with which it shares the power to track state; its answer at K = 0 is the trunk's own.
Trained by the cross-entropy of the read-out after every iteration at a random K, of the proposal,
which keeps K = 0 an honest open loop, and by how far one more step would move: a state that has
come to rest is not thought past.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..tasks.task import Batch
from .energies.energy import Context
from .eqt_plus_config import EqTPlusConfig
from .layers.trunk import Trunk, relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy
from .refiner import Course, Refiner


class EqTPlus(Method):
    """Trunk, refinement by a conditioned energy, the trunk's read-out."""

    Config: ClassVar[type] = EqTPlusConfig
    family: ClassVar[str] = "equilibrium"
    source: ClassVar[str] = "this project, after arXiv:2511.21882v1, Eq. 7–8"
    iterates: ClassVar = "hidden"
    anytime: ClassVar[bool] = False  # what was committed depends on the budget
    examples: ClassVar = (
        {},
        {"reading": "current", "attention": True, "iterations": 4},
        {"attention": True, "placement": "each", "iterations": 2},
        {"reading": "none", "gates": 0, "draw": "fixed", "supervise": "last", "iterations": 2},
        {"convex": True, "gamma": 1.0, "iterations": 2},
        {"write": "free", "gamma": 0.0, "iterations": 2},
        {"terms": "paper", "reading": "current", "gamma": 1.0, "iterations": 2},
        {"terms": "paper", "reading": "current", "attention": True, "iterations": 2},
    )

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        modules = config.depth if config.placement == "each" else 1
        self.refiners = nn.ModuleList(Refiner(config, sizes) for _ in range(modules))

    # ---- answering ---------------------------------------------------------------------------

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield h⁰ … h^K of a run to the budget; with inner placements, k iterations of each."""
        if self.config.placement == "each":
            for budget in range(iterations + 1):
                yield self.step(self.course(inputs, budget), budget, watch=True)
            return
        course = self.course(inputs, iterations)
        for index in range(iterations + 1):
            yield self.step(course, index, watch=True)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone, without the energies that only an observer needs."""
        return self.step(self.course(inputs, iterations), iterations)

    def step(self, course: Course, index: int, watch: bool = False) -> Step:
        """Read a state of the course out; watched, with its energy and residual."""
        state, old = course.states[index], course.states[max(index - 1, 0)]
        logits, change = self.trunk.read(state), relative_change(state, old)
        if not watch:
            return Step(logits, change)
        return Step(logits, change, course.energy(index), residual=self.residual(course, index))

    def residual(self, course: Course, index: int) -> Tensor:
        """||∇Φ(h)|| / ||h|| of a state, [B, T]: the next step over the step size."""
        return course.unrest(index) / self.refiners[-1].log_step.exp()  # type: ignore[operator]

    def course(self, inputs: Tensor, iterations: int) -> Course:
        """The course of the last refinement, every one having taken `iterations`."""
        state, found = self.trunk.embed(inputs), None
        context = self.context(inputs)
        for depth, block in enumerate(self.trunk.blocks):
            state = block(state)
            if self.config.placement == "each" or depth == len(self.trunk.blocks) - 1:
                found = self.refiners[depth % len(self.refiners)](state, context, iterations)
                state = found.states[-1]
        assert found is not None
        return found

    def context(self, inputs: Tensor) -> Context:
        """What an energy may read of the row."""
        trunk = self.trunk
        embedded, table = trunk.embed(inputs), trunk.embedding.weight
        return Context(inputs, embedded, table, trunk.read, trunk.forward_map)

    # ---- training ----------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy after the iterations, every one or the last, and of the proposal."""
        course = self.course(batch.inputs, self.drawn(progress))
        nats = [cross_entropy(self.trunk.read(state), batch) for state in course.states]
        supervised = nats[1:] if self.config.supervise == "every" else nats[-1:]
        mean = torch.stack(supervised).mean()
        total = mean + self.config.proposal_weight * nats[0]
        parts = {"supervision": mean, "cross_entropy": nats[-1], "proposal": nats[0]}
        if self.config.rest_weight:
            parts["unrest"] = course.unrest(-1)[batch.mask].square().mean()
            total = total + self.config.rest_weight * parts["unrest"]
        return Loss(total, parts)

    def drawn(self, progress: Progress) -> int:
        """K of this update."""
        most = self.config.iterations
        if self.config.draw == "fixed":
            return most
        return int(torch.randint(1, most + 1, (), generator=progress.generator()))
