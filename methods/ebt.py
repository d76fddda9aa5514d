"""Energy-Based Transformer, S1: answer by descending a learned energy of candidate answers.

Gladstone et al. 2025, arXiv:2507.02092v1, in the S1 form of the authors' release (no Langevin
noise, no replay buffer, a fixed number of steps of one size). A transformer gives a candidate
answer at every position an energy, and the answer is what descent finds:

    y ~ N(0, 1) [B, T, V],   p = softmax(y),   y ← y − α ∂/∂y Σ_t E(x_≤t, p_t)   K times

Training takes `iterations` steps (2 in the release), cuts the gradient between them and descends
the mean of their cross-entropies: each reaches the weights through ∂E/∂y, by a second derivative.

An energy must read the candidate of its own position alone. The sum is differentiated at once: a
candidate seen from later positions would be pulled by their energies, which read later inputs. So
there are two streams with the same weights, as in the paper: the inputs', a causal transformer
that sees no candidate, and the candidates', where t attends to the inputs' keys and values at
positions ≤ t and to itself. The first does not depend on y, and runs once an answer.

K = 0 is softmax(y) of the noise: chance, whatever the weights. While answering, the noise at t is a
hash of the inputs ≤ t, so that answers repeat, rows are independent and the future stays unseen;
training draws it anew at every update.

Choices, where the arena differs from the paper:
- the answer at t belongs to position t: the candidate joins the embedding of x_t and its position;
  the paper predicts the next token, from the candidate's embedding alone;
- the energy is the same at every step, so that K is free; the released S1 configuration tells the
  net the number of the step, which ends at the trained one;
- α is the exponential of a learned weight, under the same learning rate as the rest; the release
  clamps α at 1e-4, gives it 1500 times the rate and starts it at 500. Here α and the slope of E
  share the scale, and training from 1, 10 and 50 ends alike;
- the step is on logits, y ← y − α ∂E/∂y, so that its slope passes through the softmax; the release
  steps from probabilities, y ← p − α ∂E/∂p with p = softmax(y). Ours moves less where p is sure;
- sinusoids, LayerNorm and the house's block in place of rotary positions, RMSNorm and Llama's.
Energies have no unit: only α times their slope counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..tasks.task import Batch
from .energies.energy import Potential
from .layers.block import Block, stack
from .layers.noise import hashed_normal
from .layers.positions import sinusoids
from .layers.trunk import TrunkConfig
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy
from .solvers.proximal import Proximal


class EBT(Method):
    """Embeddings of inputs and candidates, blocks in two streams, a scalar read-out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TrunkConfig):
        """width d, depth in blocks, heads; feed_forward gated|plain; positions as named.

        iterations K in training; step_size, the α that training starts from.
        """

        iterations: int = 2
        step_size: float = 10.0

        def __post_init__(self) -> None:
            """Refuse no iterations, a step size that is not positive and unknown positions."""
            super().__post_init__()
            if self.iterations < 1:
                raise ValueError(f"expected iterations of at least 1, got {self.iterations}")
            if not self.step_size > 0:
                raise ValueError(f"expected a step_size above 0, got {self.step_size}")

    family: ClassVar[str] = "energy"
    source: ClassVar[str] = "Gladstone et al. 2025, arXiv:2507.02092v1"
    iterates: ClassVar = "answer"
    examples: ClassVar = ({}, {"positions": "none"})

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.inputs = nn.Embedding(sizes.vocab, config.width)
        self.candidates = nn.Linear(sizes.classes, config.width, bias=False)
        self.blocks = stack(config.depth, config.width, config.heads, config.feed_forward)
        self.norm = nn.LayerNorm(config.width, bias=False)  # a constant has no slope
        self.head = nn.Linear(config.width, 1, bias=False)
        self.log_step = nn.Parameter(torch.tensor(config.step_size).log())
        nn.init.normal_(self.inputs.weight, std=0.5**0.5)

    # ---- the energy --------------------------------------------------------------------------

    def bind(self, inputs: Tensor) -> Potential:
        """Candidates' logits [B, T, V] -> energies [B, T], given the inputs."""
        embedded = self.embed(inputs)
        states = [embedded]
        for block in self.blocks[:-1]:
            states.append(block(states[-1]))
        pairs = zip(self.blocks, states, strict=True)
        pasts = [Past(block, state) for block, state in pairs]  # type: ignore[arg-type]

        def potential(logits: Tensor) -> Tensor:
            state = embedded + self.candidates(logits.softmax(-1))
            for past in pasts:
                state = past.block.feed_map(state + past.read(state))
            return self.head(self.norm(state)).squeeze(-1)

        return potential

    def embed(self, inputs: Tensor) -> Tensor:
        """Token embeddings plus positions, [B, T, D]."""
        state = self.inputs(inputs)
        if self.config.positions == "none":
            return state
        places = sinusoids(inputs.shape[1], state.shape[-1], inputs.device)
        return state + places.to(state.dtype)

    # ---- answering and training --------------------------------------------------------------

    def solver(self) -> Proximal:
        """Descent of the energy alone at step size α."""
        return Proximal(torch.inf, self.log_step.exp()[None])

    def steps(self, inputs: Tensor, iterations: int, watch: bool) -> Iterator[Step]:
        """Yield y after 0, 1, … steps of descent."""
        start = hashed_normal(inputs, self.sizes.classes).to(self.log_step.dtype)
        found = self.solver().solve(self.bind(inputs), start, iterations, watch=watch)
        for iterate in found:
            yield Step(iterate.state, iterate.change, iterate.energy)

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield y after 0, 1, … steps of descent, with its energy."""
        return self.steps(inputs, iterations, watch=True)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last y alone, without the energies that only an observer needs."""
        *_, last = self.steps(inputs, iterations, watch=False)
        return last

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Mean cross-entropy after each of the steps; `cross_entropy` is the last one's."""
        potential, solver = self.bind(batch.inputs), self.solver()
        shape = (*batch.inputs.shape, self.sizes.classes)
        noise = torch.randn(shape, generator=progress.generator())
        state, nats = noise.to(self.log_step), []
        for _ in range(self.config.iterations):
            *_, last = solver.solve(potential, state.detach(), 1, create_graph=True)
            state = last.state
            nats.append(cross_entropy(state, batch))
        total = torch.stack(nats).mean()
        return Loss(total, {"supervision": total, "cross_entropy": nats[-1]})


class Past:
    """What a block's candidates attend to beside themselves: the inputs' keys and values."""

    def __init__(self, block: Block, state: Tensor) -> None:
        self.block, self.scale = block, (state.shape[-1] // block.attention.heads) ** -0.5
        _, self.key, self.value = self.project(state)  # [B, H, T, D / H]
        length = state.shape[1]
        ones = torch.ones(length, length, dtype=torch.bool, device=state.device)
        self.future = ones.triu(1)

    def project(self, state: Tensor) -> tuple[Tensor, ...]:
        """The block's queries, keys and values of a stream, [B, H, T, D / H] each."""
        attention = self.block.attention
        mapped = attention.qkv(self.block.attention_norm(state))
        split = mapped.view(*state.shape[:2], 3, attention.heads, -1)
        return split.permute(2, 0, 3, 1, 4).unbind()

    def read(self, state: Tensor) -> Tensor:
        """Attention of every candidate to inputs ≤ t and to itself, [B, T, D] -> [B, T, D]."""
        query, key, value = self.project(state)
        scores = (query @ self.key.mT).masked_fill(self.future, -torch.inf)  # [B, H, T, T]
        own = (query * key).sum(-1, keepdim=True)
        shares = (torch.cat([scores, own], -1) * self.scale).softmax(-1)
        mixed = shares[..., :-1] @ self.value + shares[..., -1:] * value
        return self.block.attention.out(mixed.transpose(1, 2).reshape(state.shape))
