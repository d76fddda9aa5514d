"""Implicit gradients through an equilibrium, without its iterations.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 19: at ∇L(h*) + (h* − f)/γ = 0 the implicit
function theorem gives dℓ/dθ = −vᵀ ∂/∂θ [∇L(h*) + (h* − f)/γ] with (∇²L + I/γ) v = dℓ/dh*, solved by
conjugate gradient (Hestenes and Stiefel 1952) on Hessian-vector products. Every position is its
own system, since the energies do not couple positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..energies.energy import Potential
from .solver import slope


def equilibrium(
    potential: Potential, proposal: Tensor, state: Tensor, gamma: float, iterations: int
) -> Tensor:
    """The solved state [B, T, D] with gradients by Eq. 19; `iterations` bounds the CG steps.

    The state must be near the equilibrium: where it is not, the gradient is biased.
    """
    point = state.detach().requires_grad_()
    gradient, _ = slope(potential, point, create_graph=True)
    residual = gradient + (point - proposal) / gamma  # zero at h*, differentiable in θ and f
    return _Equilibrium.apply(residual, point.detach(), potential, gamma, iterations)


class _Equilibrium(torch.autograd.Function):
    """Forward: the state as it is. Backward: v for the residual."""

    @staticmethod
    def forward(
        ctx: Any,
        residual: Tensor,
        state: Tensor,
        potential: Potential,
        gamma: float,
        iterations: int,
    ) -> Tensor:
        ctx.save_for_backward(state)
        ctx.potential, ctx.gamma, ctx.iterations = potential, gamma, iterations
        return state.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (state,) = ctx.saved_tensors
        with torch.enable_grad():
            point = state.detach().requires_grad_()
            gradient, _ = slope(ctx.potential, point, create_graph=True)

            def product(vector: Tensor) -> Tensor:
                if not gradient.requires_grad:
                    return vector / ctx.gamma
                (curved,) = torch.autograd.grad(
                    gradient, point, vector, retain_graph=True, materialize_grads=True
                )
                return curved + vector / ctx.gamma

            solution = conjugate_gradient(product, upstream, ctx.iterations)
        return -solution, None, None, None, None


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], right: Tensor, iterations: int
) -> Tensor:
    """Solve A v = right [..., D] for every leading index by itself, A symmetric positive definite.

    A system stops where its residual is exact to rounding, or where A shows a direction of
    non-positive curvature (the state was no minimum): it keeps the solution it has.
    """
    solution = torch.zeros_like(right)
    residual, direction = right, right
    square = residual.square().sum(-1, keepdim=True)
    floor = square * torch.finfo(right.dtype).eps ** 2
    for _ in range(iterations):
        image = product(direction)
        curvature = (direction * image).sum(-1, keepdim=True)
        running = (square > floor) & (curvature > 0)
        if not bool(running.any()):
            break
        length = torch.where(running, square / curvature, 0)
        solution = solution + length * direction
        residual = residual - length * image
        new_square = residual.square().sum(-1, keepdim=True)
        ratio = torch.where(running, new_square / square, 0)
        direction = torch.where(running, residual + ratio * direction, 0)
        square = torch.where(running, new_square, 0)
    return solution
