"""The models and rows that the lines share: the paper's width and depth, on parity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch

from ...methods.method import Method, Progress, Sizes, build
from ...tasks.task import Batch
from ..registry import Registry
from .line import Where

WIDTH, DEPTH, HEADS = 256, 6, 8


def rows_of(count: int, length: int, where: Where) -> Batch:
    """Training rows of parity."""
    return Registry().task("parity")().sample(count, length, 0, "train").to(str(where.device))


def model_of(name: str, length: int, where: Where, **options: Any) -> Method:
    """A method of the arena with initial weights, of the shared size unless options say else."""
    method, given = Registry().method(name), {"width": WIDTH, "depth": DEPTH, "heads": HEADS}
    known = {field.name for field in fields(method.Config)}
    chosen = {key: value for key, value in {**given, **options}.items() if key in known}
    return build(method, method.Config(**chosen), Sizes(2, 2, length), 0).to(where.device)


def optimizer_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    """The arena's optimiser."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)


def training(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One update: loss, gradients, clipping, AdamW. The loss is not read back."""
    optimizer = optimizer_of(model)
    model.train()

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return update


def own_training(model: Method, rows: Batch) -> Callable[[], None]:
    """One update of a method of the arena on these rows."""
    place = Progress(1, 10, 0)
    return training(model, lambda: model.loss(rows, place).total)


def answering(model: Method, rows: Batch, iterations: int) -> Callable[[], None]:
    """One answer to these rows, under no_grad."""
    model.eval()

    def answer() -> None:
        with torch.no_grad():
            model.answer(rows.inputs, iterations)

    return answer
