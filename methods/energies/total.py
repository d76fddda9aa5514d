"""The total energy L = Σ λ_i L_i of the paper's terms, as an EqT's options weigh them.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 11 and §3.7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..eqt_config import EqTConfig
from ..method import Sizes
from .confidence import Confidence, Prediction
from .consistency import Consistency
from .energy import Context, Energy, WeightedSum
from .masked import MaskedPrediction
from .memory import EpisodicMemory
from .reverse import ReverseHead, ReverseTransformer

REVERSE = {"head": ReverseHead, "transformer": ReverseTransformer}


def total_energy(config: EqTConfig, sizes: Sizes) -> WeightedSum:
    """L = Σ λ_i L_i over the terms with a weight (Eq. 11)."""
    width = config.width
    makers = (
        (config.reverse, lambda: REVERSE[config.reverse_model](width, config.window)),
        (
            config.masked,
            lambda: MaskedPrediction(
                width, sizes.vocab, config.masked_share, config.masked_targets
            ),
        ),
        (config.confidence, Confidence),
        (
            config.memory,
            lambda: EpisodicMemory(
                width,
                config.memory_slots,
                config.memory_temperature,
                config.memory_retrieved,
                config.memory_decay,
            ),
        ),
        (config.prediction, Prediction),
        (config.consistency, lambda: Consistency(width)),
    )
    chosen: list[tuple[float, Energy]] = [(weight, make()) for weight, make in makers if weight]
    return WeightedSum([weight for weight, _ in chosen], [term for _, term in chosen])


def redrawn(energy: WeightedSum, config: EqTConfig, sizes: Sizes) -> WeightedSum:
    """An energy of the same options with initial weights, where and as the given one is.

    Always the same draw; the global generator is left as it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(REDRAWN)
        fresh = total_energy(config, sizes)
    like = next((w for w in energy.parameters()), None)
    return fresh if like is None else fresh.to(like)


REDRAWN = 1
"""The seed of `redrawn`."""


def memories(energy: WeightedSum) -> list[EpisodicMemory]:
    """The episodic memories among an energy's terms."""
    return [term for term in energy.terms if isinstance(term, EpisodicMemory)]


def memory_loss(memory: EpisodicMemory, context: Context, state: Tensor) -> Tensor:
    """The retrieval loss of these states; in training mode the memory then moves towards them."""
    loss = memory.retrieval_loss(context, state)
    if memory.training:
        memory.remember(state)
    return loss
