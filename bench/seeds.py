"""Seeds derived per purpose, from the axes named and nothing else.

Training rows and their order depend on task, length and seed, so that all methods of a seed see the
same data and their differences pair. Initial weights and noise depend on the method too, not on its
options: the variants of a method start alike where their shapes agree, and variants that differ in
how they answer only end with the same weights. Test and validation rows are frozen: they do not
depend on the seed at all.
"""

from __future__ import annotations

import hashlib

from ..tasks.task import FROZEN
from .trial import Trial, canonical

__all__ = ["FROZEN", "data_seed", "derive", "initial_seed", "noise_seed"]


def derive(purpose: str, *axes: object) -> int:
    """A 62-bit seed of a purpose and its axes, the same in every process."""
    digest = hashlib.sha256(canonical([purpose, *axes]).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 2


def data_seed(trial: Trial) -> int:
    """Seed of the training rows and their order; shared by all methods."""
    options = dict(trial.task_options)
    return derive("data", trial.task, trial.task_version, options, trial.length, trial.seed)


def initial_seed(trial: Trial) -> int:
    """Seed of the initial weights."""
    return derive("initial", trial.task, trial.method, trial.length, trial.seed)


def noise_seed(trial: Trial) -> int:
    """Seed of the method's own noise in training (masks, dropout, …)."""
    return derive("noise", trial.task, trial.method, trial.length, trial.seed)
