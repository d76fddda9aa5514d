"""The Jacobian penalty of deep-equilibrium models.

Bai, Koltun and Kolter 2021, arXiv:2106.14342v1, Eq. 7: ||J||_F² / numel at the solved state, by
Hutchinson's estimator with one probe, E_v ||Jᵀ v||² over normal v. The probe is an argument, since
torchdeq's own estimator draws from the global generator.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .fixed_point import Map


def jacobian_penalty(f: Map, state: Tensor, probe: Tensor) -> Tensor:
    """||Jᵀ v||² / numel, a scalar with a gradient to f's weights and none to the state.

    Attention runs on the plain kernel, since fused ones have no second derivative.
    """
    with sdpa_kernel(SDPBackend.MATH):
        point = state.detach().requires_grad_()
        image = f(point.view_as(point))  # torch's FLOP counter cannot watch a leaf
        (product,) = torch.autograd.grad(image, point, probe, create_graph=True)
        return product.square().sum() / state.numel()
