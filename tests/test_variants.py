"""Rows made of a method and options: each takes an update, and answers what it was trained to."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from closedloop.bench.registry import Registry
from closedloop.methods import VARIANTS
from closedloop.methods.method import Progress, Sizes, build
from closedloop.tasks.parity import Parity

SMALL = {"width": 16, "depth": 2, "heads": 2}
LENGTH, REGISTRY = 6, Registry()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_an_update_and_answers(name: str) -> None:
    """Its options need not be among its method's examples, which the contracts test."""
    of, options = VARIANTS[name]
    method = REGISTRY.method(of)
    known = {field.name for field in fields(method.Config)}
    small = {key: value for key, value in SMALL.items() if key in known}
    model = build(method, method.Config(**{**small, **options}), Sizes(2, 2, LENGTH), 0)
    rows = Parity().sample(4, LENGTH, 0, "train").to("cpu")
    loss = model.loss(rows, Progress(3, 10, 0))
    loss.total.backward()
    assert torch.isfinite(loss.total)
    assert any(bool(weight.grad.any()) for weight in model.parameters() if weight.grad is not None)
    budget = 0 if method.iterates == "nothing" else max(model.trained_iterations, 1)
    model = model.double().eval()
    watched = model.answer(rows.inputs, budget).logits
    with torch.no_grad():
        plain = model.answer(rows.inputs, budget).logits
    torch.testing.assert_close(watched.detach(), plain, rtol=1e-9, atol=1e-9)  # float64 rounding
