"""Equilibrium Transformer: refine the proposal before reading it out.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1. A transformer's state f is the proposal; the
Equilibrium Refinement Module (ERM) descends Φ(h) = L(h) + ||h − f||²/2γ from h = f (Eq. 7–8), and
the final LayerNorm and read-out see the result. Trained by CE(y | h*) + β E[L(h*)] (Eq. 18).

Choices, where the paper is silent or says two things:
- one ERM after the last block by default (its parameter count and its cost fit no more); one
  shared ERM after every block, or one per block, by `placement`;
- "LayerNorm after refinement" is the transformer's own final LayerNorm, so that zero iterations or
  L ≡ 0 give the transformer bit for bit; inner placements add no further one;
- the terms' weights are §3.7's; memory (1.0 in no reported parity run) is off, as in §5;
- with inner placements the step after k iterations means k iterations of every ERM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..tasks.task import Batch
from .energies.energy import Context, WeightedSum
from .energies.total import memories, memory_loss, redrawn, total_energy
from .eqt_config import EqTConfig
from .layers.trunk import Trunk
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy
from .solvers.courses import label_potential, probed, random_course
from .solvers.implicit import equilibrium
from .solvers.proximal import Halting, Proximal
from .solvers.solver import Iterate, energies


class EqT(Method):
    """Transformer trunk, then ERM, then read-out."""

    Config: ClassVar[type] = EqTConfig
    version: ClassVar[int] = 2
    family: ClassVar[str] = "equilibrium"
    source: ClassVar[str] = "Jafari and Anbarjafari 2025, arXiv:2511.21882v1"
    iterates: ClassVar = "hidden"
    examples: ClassVar = (
        {},
        {"placement": "shared", "step_schedule": "learned", "reverse_model": "transformer"},
        {"placement": "each", "gradient": "implicit", "iterations": 4},
        {
            "reverse": 0.0,
            "masked": 0.0,
            "confidence": 0.0,
            "prediction": 1.0,
            "consistency": 0.1,
            "memory": 0.1,
            "memory_slots": 16,
        },
        {"iterations": 0},
        {"tolerance": 0.2, "entropy_threshold": 0.6, "confident_iterations": 1},
    )

    def __init__(self, config: EqTConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        modules = config.depth if config.placement == "each" else 1
        self.energies = nn.ModuleList(total_energy(config, sizes) for _ in range(modules))
        self.log_steps = None
        if config.step_schedule == "learned":
            start = torch.tensor(config.step_size).log()
            self.log_steps = nn.Parameter(start.repeat(config.iterations))
        if config.warm_start:
            self.warm_start(load_file(config.warm_start))
        self.solver(None, config.gamma)  # refuses step sizes and γ that cannot work

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        """Take over a trained transformer's weights, by name (§3.5).

        Raises:
            ValueError: the weights are not those of a trunk of this size.
        """
        try:
            self.load_state_dict(
                {**self.state_dict(), **weights} if set(weights) == self.trunk_names() else weights
            )
        except RuntimeError as error:
            raise ValueError(
                "expected the weights of a transformer of this size to warm-start from: "
                + " ".join(str(error).split())
            ) from error

    def trunk_names(self) -> set[str]:
        """Names of the weights that the transformer has too."""
        return {name for name in self.state_dict() if name.startswith("trunk.")}

    # ---- answering ---------------------------------------------------------------------------

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the state after 0, 1, … iterations of every ERM."""
        if self.config.placement == "last":
            proposal = self.trunk(inputs)
            for iterate in self.refine(0, proposal, self.context(inputs), iterations, watch=True):
                yield self.step(iterate)
            return
        for budget in range(iterations + 1):
            yield self.step(self.refined(inputs, budget, watch=True))

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone, without the energies that only an observer needs."""
        return self.step(self.refined(inputs, iterations))

    def step(self, iterate: Iterate) -> Step:
        """Read an iterate out."""
        logits = self.trunk.read(iterate.state)
        return Step(logits, iterate.change, iterate.energy, iterate.active, iterate.residual)

    def refined(self, inputs: Tensor, iterations: int, watch: bool = False) -> Iterate:
        """The final iterate of the last ERM, every ERM having taken `iterations`."""
        context = self.context(inputs)
        state, iterate = self.trunk.embed(inputs), None
        for depth, block in enumerate(self.trunk.blocks):
            state = block(state)
            if self.refines_after(depth):
                for iterate in self.refine(depth, state, context, iterations, watch=watch):
                    state = iterate.state
        assert iterate is not None
        return iterate

    def refines_after(self, depth: int) -> bool:
        """Whether an ERM stands after block `depth`."""
        return self.config.placement != "last" or depth == len(self.trunk.blocks) - 1

    def energy(self, depth: int) -> WeightedSum:
        """The energy of the ERM after block `depth`."""
        return self.energies[depth % len(self.energies)]  # type: ignore[return-value]

    def refine(
        self, depth: int, proposal: Tensor, context: Context, iterations: int, watch: bool = False
    ) -> Iterator[Iterate]:
        """Iterates of the ERM after block `depth`, halting as configured."""
        potential = self.energy(depth).bind(context) if iterations or watch else torch.zeros_like
        solver = self.solver(self.halting(proposal), self.config.gamma)
        return solver.solve(potential, proposal, iterations, watch=watch)

    def solver(self, halting: Halting | None, gamma: float) -> Proximal:
        """The proximal solver at trust γ."""
        sizes: Sequence[float] | Tensor = [self.config.step_size]
        if self.log_steps is not None:
            sizes = self.log_steps.exp().clamp(max=1.99 * gamma)
        return Proximal(gamma, sizes, halting)

    def halting(self, proposal: Tensor) -> Halting:
        """The configured halting rules; entropy decides from the proposal's own read-out."""
        budget = None
        if self.config.entropy_threshold is not None:
            logs = self.trunk.read(proposal).log_softmax(-1)
            sure = -(logs.exp() * logs).sum(-1) < self.config.entropy_threshold
            unbounded = torch.iinfo(torch.int64).max
            budget = torch.where(sure, self.config.confident_iterations, unbounded)
        return Halting(self.config.tolerance, self.config.energy_threshold, budget)

    def context(self, inputs: Tensor, salt: int = 0) -> Context:
        """What the energies may read of the row."""
        trunk = self.trunk
        return Context(
            inputs,
            trunk.embed(inputs),
            trunk.embedding.weight,
            trunk.read,
            trunk.forward_map,
            salt,
        )

    # ---- what its own descent is told against ------------------------------------------------

    def courses(self, batch: Batch, iterations: int) -> Mapping[str, Iterator[Step]]:
        """random, oracle and redrawn (heads as they were never trained), with an ERM at the end."""
        if self.config.placement != "last":
            return {}
        proposal, context = self.trunk(batch.inputs), self.context(batch.inputs)
        own = (found.state for found in self.refine(0, proposal, context, iterations))
        descend = self.solver(None, self.config.gamma).solve
        oracle = descend(label_potential(batch, self.trunk.read), proposal, iterations)
        fresh = redrawn(self.energy(0), self.config, self.sizes)
        return {
            "random": (
                Step(self.trunk.read(state), change)
                for state, change in random_course(batch.inputs, own)
            ),
            "oracle": map(self.step, oracle),
            "redrawn": map(self.step, descend(fresh.bind(context), proposal, iterations)),
        }

    def probe(self, inputs: Tensor, iterations: int) -> Mapping[str, Tensor]:
        """What Φ is like around h_K (solvers/courses.py), with the last step size and γ."""
        if self.config.placement != "last":
            return {}
        proposal, gamma = self.trunk(inputs), self.config.gamma
        bound, solver = self.energy(0).bind(self.context(inputs)), self.solver(None, gamma)
        *_, last = solver.solve(bound, proposal, iterations, watch=True)
        found = probed(bound, gamma, proposal, last, inputs)
        size = torch.as_tensor(solver.step_sizes).detach()[-1]
        ones = torch.ones_like(found["drop"])
        return {**found, "step_size": ones * size, "gamma": ones * gamma}

    # ---- training ----------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """CE(y | h*) + β E[L(h*)] (Eq. 18), and the retrieval net's own loss where it is on."""
        context = self.context(batch.inputs, progress.key())
        state = self.trunk.embed(batch.inputs)
        levels, retrieval = [], []
        for depth, block in enumerate(self.trunk.blocks):
            state = block(state)
            if not self.refines_after(depth):
                continue
            energy = self.energy(depth)
            potential = energy.bind(context)
            state = self.equilibrium(potential, state, progress)
            levels.append(energies(potential, state)[batch.mask].mean())
            retrieval += [memory_loss(term, context, state) for term in memories(energy)]
        nats = cross_entropy(self.trunk.read(state), batch)
        parts = {"cross_entropy": nats, "energy": torch.stack(levels).mean()}
        total = nats + self.config.energy_weight * parts["energy"]
        if retrieval:
            parts["retrieval"] = torch.stack(retrieval).mean()
            total = total + parts["retrieval"]
        return Loss(total, parts)

    def equilibrium(self, potential: Any, proposal: Tensor, progress: Progress) -> Tensor:
        """The refined state with gradients: through the loop, or by Eq. 19."""
        gamma, iterations = self.scheduled(progress)
        solver = self.solver(None, gamma)
        unrolled = self.config.gradient == "unrolled"
        start = proposal if unrolled else proposal.detach()
        *_, last = solver.solve(potential, start, iterations, create_graph=unrolled)
        if unrolled:
            return last.state
        return equilibrium(potential, proposal, last.state, gamma, self.config.cg_iterations)

    def scheduled(self, progress: Progress) -> tuple[float, int]:
        """γ and K at this point of training (§3.5)."""
        config, gamma, iterations = self.config, self.config.gamma, self.config.iterations
        if config.gamma_start and progress.fraction < config.gamma_anneal:
            done = progress.fraction / config.gamma_anneal
            gamma = config.gamma_start * (config.gamma / config.gamma_start) ** done
        if config.iterations_start and progress.fraction < config.iterations_switch:
            iterations = config.iterations_start
        return gamma, iterations
