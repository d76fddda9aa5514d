"""The inner loop of test-time training: a small model whose weights are the state of a sequence.

Sun et al. 2024, arXiv:2407.04620, §2.4–2.5 and Appendix A. An inner model is a tuple of matrices:
one is the linear model, two with a GELU between them the MLP. Its bias is the weight of a constant
input, so that a matrix has one row more than its inputs have channels. Within a mini-batch that
starts at W, one step of descent gives every position t weights of its own,

    W_t = W − Σ_{s ≤ t} E[t, s] ∇l_s(W),    z_t = model(q_t; W_t),

and the last of them start the next mini-batch. The gradient at a matrix is Σ_s x_sᵀ g_s, its inputs
times the loss's slopes at its outputs, both in closed form. Hence two ways to the same z: the
primal makes every W_t, the dual reads q_t W − Σ_s E[t, s] (q_t · x_s) g_s and makes the last alone.

Beyond the paper, K steps repeat the descent from where the last one led, over the same s ≤ t:

    W_t^{k+1} = W_t^k − Σ_{s ≤ t} E[t, s] ∇l_s(W_t^k),    W_t^0 = W.

From the second step on a source has a gradient for every t, and the dual form saves nothing: the
primal takes position after position. In mini-batches of one it is the cheaper way at any K.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = tuple[Tensor, ...]
Error = Callable[[Tensor, Tensor], Tensor]
"""Outputs z and targets [..., T, d] -> the inner loss's slope at z, of the same shape."""

EPSILON = 1e-6  # added to the variance, as in the authors' release
TANH_SCALE, TANH_CUBE = (2 / torch.pi) ** 0.5, 0.044715  # of the GELU's tanh form


@dataclass(frozen=True)
class Trace:
    """Outputs z [..., T, d] before and after the last inner step, and the weights at the end.

    own are the outputs at the positions' own keys after that step, where somebody watches.
    """

    before: Tensor
    after: Tensor
    own: Tensor | None
    weights: Weights


def with_one(inputs: Tensor) -> Tensor:
    """A constant channel for the bias: [..., d] -> [..., d + 1]."""
    return F.pad(inputs, (0, 1), value=1.0)


def gelu(inputs: Tensor) -> Tensor:
    """GELU in its tanh form."""
    return F.gelu(inputs, approximate="tanh")


def gelu_and_slope(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """`gelu` and its derivative."""
    square = inputs.square()
    tanh = torch.tanh(inputs * (TANH_SCALE + TANH_SCALE * TANH_CUBE * square))
    bend = inputs * (TANH_SCALE + 3 * TANH_SCALE * TANH_CUBE * square)
    half = 0.5 + 0.5 * tanh
    return inputs * half, half + 0.5 * bend * (1 - tanh.square())


def norm_error(outputs: Tensor, goal: Tensor, gain: Tensor) -> Tensor:
    """Slope at z of ½ ||γ ẑ − goal||², ẑ being z less its mean, over its deviation."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    inverse = torch.rsqrt(centred.square().mean(-1, keepdim=True) + EPSILON)
    normal = centred * inverse
    slope = (gain * normal - goal) * gain
    along = (slope * normal).mean(-1, keepdim=True)
    return (slope - slope.mean(-1, keepdim=True) - normal * along) * inverse


@dataclass(frozen=True)
class Factors:
    """A gradient in factors, one pair a matrix: its inputs [..., S, i] and slopes [..., S, o]."""

    inputs: Weights
    slopes: Weights


def gradient(weights: Weights, keys: Tensor, targets: Tensor, error: Error) -> Factors:
    """∇l_s of every source s: keys and targets are [..., S, i] and [..., S, d]."""
    inputs, bends = [keys], []
    for matrix in weights[:-1]:
        hidden, bend = gelu_and_slope(inputs[-1] @ matrix)
        inputs.append(with_one(hidden))
        bends.append(bend)
    slopes = [error(inputs[-1] @ weights[-1], targets)]
    for matrix, bend in zip(reversed(weights[1:]), reversed(bends), strict=True):
        slopes.append(slopes[-1] @ matrix[..., :-1, :].mT * bend)
    return Factors(tuple(inputs), tuple(reversed(slopes)))


def descend(weights: Weights, factors: Factors, rates: Tensor) -> Weights:
    """W − Σ_s rates_s ∇l_s; rates are a row, [..., 1, S]."""
    pairs = zip(weights, factors.inputs, factors.slopes, strict=True)
    return tuple(matrix - (rates.mT * inputs).mT @ slopes for matrix, inputs, slopes in pairs)


def read(weights: Weights, queries: Tensor) -> Tensor:
    """The model's outputs, before the norm: queries [..., T, i] -> [..., T, d]."""
    outputs = queries @ weights[0]
    for matrix in weights[1:]:
        outputs = with_one(gelu(outputs)) @ matrix
    return outputs


def read_moved(weights: Weights, queries: Tensor, factors: Factors, rates: Tensor) -> Tensor:
    """What `read` finds at W_t = W − Σ_s rates[t, s] ∇l_s, without making W_t."""
    outputs = queries
    layers = zip(weights, factors.inputs, factors.slopes, strict=True)
    for depth, (matrix, sources, slopes) in enumerate(layers):
        inputs = with_one(gelu(outputs)) if depth else queries
        likeness = rates * (inputs @ sources.mT)  # [..., T, S]
        outputs = inputs @ matrix - likeness @ slopes
    return outputs


@dataclass(frozen=True)
class Tokens:
    """What the inner loop reads of T positions.

    queries and keys [..., T, i], targets [..., T, d], and the step sizes E [..., T, T], a row for
    each query and a column for each source, zero where the source is later.
    """

    queries: Tensor
    keys: Tensor
    targets: Tensor
    rates: Tensor


def dual(weights: Weights, tokens: Tokens, error: Error, watch: bool) -> Trace:
    """One inner step on a mini-batch, without its states but the last."""
    keys, rates = tokens.keys, tokens.rates
    factors = gradient(weights, keys, tokens.targets, error)
    before = read(weights, tokens.queries)
    after = read_moved(weights, tokens.queries, factors, rates)
    own = read_moved(weights, keys, factors, rates) if watch else None
    return Trace(before, after, own, descend(weights, factors, rates[..., -1:, :]))


def primal(weights: Weights, tokens: Tokens, error: Error, steps: int, watch: bool) -> Trace:
    """One or more inner steps on a mini-batch, position by position: W_t is made and left."""
    traces = []
    for t in range(tokens.keys.shape[-2]):
        here, past = slice(t, t + 1), slice(t + 1)
        keys, targets = tokens.keys[..., past, :], tokens.targets[..., past, :]
        queries, rates = tokens.queries[..., here, :], tokens.rates[..., here, past]
        olds = states = weights
        for _ in range(steps):
            olds, states = states, descend(states, gradient(states, keys, targets, error), rates)
        own = read(states, tokens.keys[..., here, :]) if watch else None
        traces.append(Trace(read(olds, queries), read(states, queries), own, states))
    return joined(traces)


def joined(traces: Sequence[Trace]) -> Trace:
    """Traces of neighbouring positions as one."""
    if len(traces) == 1:
        return traces[0]
    owns = [trace.own for trace in traces if trace.own is not None]
    return Trace(
        torch.cat([trace.before for trace in traces], -2),
        torch.cat([trace.after for trace in traces], -2),
        torch.cat(owns, -2) if owns else None,
        traces[-1].weights,
    )


def step_sizes(rates: Tensor, shares: Tensor) -> tuple[Tensor, ...]:
    """E[t, s] = shares_t · rates_s for s ≤ t: rates [..., T], shares [b] -> T/b of [..., b, b].

    The last mini-batch is filled up with sources of step size zero.
    """
    size = len(shares)
    filled = F.pad(rates, (0, -rates.shape[-1] % size)).unflatten(-1, (-1, size))
    return (shares[:, None] * filled.unsqueeze(-2)).tril().unbind(-3)


def scan(
    weights: Weights,
    queries: Tensor,
    keys: Tensor,
    targets: Tensor,
    table: Sequence[Tensor],
    error: Error,
    steps: int,
    watch: bool = False,
) -> Trace:
    """A sequence in mini-batches, each from the weights that the one before it leaves.

    queries, keys and targets as in `Tokens`, table from `step_sizes`. No steps read the first
    weights throughout.
    """
    if steps == 0:
        outputs = read(weights, queries)
        return Trace(outputs, outputs, read(weights, keys) if watch else None, weights)
    size, traces = table[0].shape[-1], []
    parts = (tensor.split(size, -2) for tensor in (queries, keys, targets))
    for query, key, target, rates in zip(*parts, table, strict=True):
        length = query.shape[-2]
        tokens = Tokens(query, key, target, rates[..., :length, :length])
        if steps == 1 and size > 1:
            trace = dual(weights, tokens, error, watch)
        else:
            trace = primal(weights, tokens, error, steps, watch)
        weights = trace.weights
        traces.append(trace)
    return joined(traces)
