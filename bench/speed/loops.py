"""Loops against their plain forms: DEQ and torchdeq alone, TTT dual and primal, the delta rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...methods.layers.delta import delta_chunked, delta_recurrence
from ...methods.layers.injected import injected
from ...methods.layers.inner import Tokens, Trace, Weights, dual, norm_error, primal, step_sizes
from ...methods.method import cross_entropy
from ...methods.solvers.fixed_point import library
from .line import Line, Side, Where
from .models import WIDTH, model_of, own_training, rows_of, training

LENGTH, HEADS, ROWS = 256, 8, 8
SIZE = WIDTH // HEADS


# ---- DEQ ---------------------------------------------------------------------------------------

ITERATIONS, DEQ_ROWS, DEQ_LENGTH = 12, 16, 64


def deq_sides(where: Where) -> Sequence[Side]:
    """Our update, and torchdeq's own loop over the same map with the same loss."""
    options = {"depth": 1, "iterations": ITERATIONS, "spread": 0.0}
    rows = rows_of(DEQ_ROWS, DEQ_LENGTH, where)
    ours = model_of("deq", DEQ_LENGTH, where, **options)
    twin: Any = model_of("deq", DEQ_LENGTH, where, **options)
    bare = library().get_deq(f_max_iter=0, grad=ITERATIONS, tau=twin.config.damping).train()

    def loss() -> Tensor:
        embedded = twin.trunk.embed(rows.inputs)
        states, _ = bare(injected(twin.trunk, embedded), embedded)
        return cross_entropy(twin.trunk.read(states[-1]), rows)

    return [Side("deq", own_training(ours, rows)), Side("torchdeq", training(twin, loss))]


DEQ = Line(
    name="deq",
    measured="DEQ's training step against a bare torchdeq loop over the same block",
    sizes=f"K = {ITERATIONS}, d {WIDTH}, L {DEQ_LENGTH}, {DEQ_ROWS} rows",
    bound=1.05,
    prepare=deq_sides,
)


# ---- test-time training ------------------------------------------------------------------------

Form = Callable[[Weights, Tokens], Trace]


def ttt_sides(where: Where) -> Sequence[Side]:
    """A head's inner loop over a sequence by either form, forward and backward."""
    draw = drawn(where)
    queries, keys = draw(ROWS, HEADS, LENGTH, SIZE + 1), draw(ROWS, HEADS, LENGTH, SIZE + 1)
    targets, first = draw(ROWS, HEADS, LENGTH, SIZE), 0.02 * draw(ROWS, HEADS, SIZE + 1, SIZE)
    rates = draw(ROWS, HEADS, LENGTH).sigmoid() / SIZE
    shares = 1 / torch.arange(1, 17, device=where.device)
    table = step_sizes(rates, shares)
    error = partial(norm_error, gain=torch.ones(HEADS, 1, SIZE, device=where.device))

    def scanned(form: Form) -> None:
        weights: Weights = (first.detach().requires_grad_(),)
        start, outputs = weights[0], []
        parts = (tensor.split(16, -2) for tensor in (queries, keys, targets))
        for query, key, target, own in zip(*parts, table, strict=True):
            trace = form(weights, Tokens(query, key, target, own))
            weights = trace.weights
            outputs.append(trace.after)
        torch.cat(outputs, -2).square().sum().backward()
        assert start.grad is not None

    return [
        Side("dual", lambda: scanned(lambda w, t: dual(w, t, error, False))),
        Side("primal", lambda: scanned(lambda w, t: primal(w, t, error, 1, False))),
    ]


TTT = Line(
    name="ttt",
    measured="TTT's inner loop, dual against primal, forward and backward",
    sizes=f"mini-batches of 16, T {LENGTH}, {HEADS} heads of {SIZE}, {ROWS} rows",
    bound=5.0,
    prepare=ttt_sides,
    at_least=True,
    inverse=True,
    rounds=7,
)


# ---- the delta rule ----------------------------------------------------------------------------


def delta_sides(where: Where) -> Sequence[Side]:
    """The rule in chunks and position by position, forward and backward."""
    draw = drawn(where)
    query, value = draw(ROWS, HEADS, LENGTH, SIZE), draw(ROWS, HEADS, LENGTH, SIZE)
    key = torch.nn.functional.normalize(draw(ROWS, HEADS, LENGTH, SIZE), dim=-1)
    beta = 2 * draw(ROWS, HEADS, LENGTH).sigmoid()

    def ruled(form: Callable[..., Tensor]) -> None:
        tokens = [tensor.detach().requires_grad_() for tensor in (query, key, value, beta)]
        form(*tokens).square().sum().backward()

    return [
        Side("chunked", lambda: ruled(delta_chunked)),
        Side("sequential", lambda: ruled(delta_recurrence)),
    ]


def drawn(where: Where) -> Callable[..., Tensor]:
    """Normal numbers of a shape, always the same ones in turn."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator).to(where.device)


DELTA = Line(
    name="delta",
    measured="the delta rule, chunked against sequential, forward and backward",
    sizes=f"T {LENGTH}, {HEADS} heads of {SIZE}, {ROWS} rows",
    bound=10.0,
    prepare=delta_sides,
    at_least=True,
    inverse=True,
    rounds=7,
)
