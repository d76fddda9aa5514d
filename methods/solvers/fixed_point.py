"""Fixed points z = f(z) by torchdeq 0.1.0, and the gradients through them: the one adapter.

Geng and Kolter 2023, arXiv:2310.18605 (TorchDEQ); Bai et al. 2019, arXiv:1909.01377v2, Eq. 6–9 for
the implicit gradient; Geng et al. 2021, arXiv:2111.05177v1, Eq. 8 for the phantom one. torchdeq
steps, mixes and differentiates; here it is held to what the arena promises:

- an iteration is one evaluation of f, counted here (torchdeq's `nstep` is the step of its lowest
  residual, and its traces are padded);
- options are arguments, so that unknown ones are refused (torchdeq ignores them in silence);
- every forward solve takes a fixed count, since torchdeq's tolerance asks the whole batch, and its
  norm the whole row: the one would tie a row to its mates, the other a position to its future;
- the state is the image under f of the best point so far, where torchdeq returns the point after
  Broyden (one f behind its own training) and the start after one or two evaluations of Anderson;
- residuals are relative, and a non-finite one never counts as the best, where torchdeq lets a late
  NaN overwrite the state that it keeps; whether a row has converged is told by its residual;
- implicit gradients come from its autograd Function, with a relative tolerance (an absolute one is
  met by a small loss at once), never from its hook, which hangs on a second use of a module, and
  a second derivative through them is refused (torchdeq's is wrong).
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
"""f: states [B, …] -> states [B, …], every row by itself."""

SEARCHES = ("anderson", "broyden")
COLUMNS = 32  # rank-one updates that Broyden keeps: the same at any budget, so that states are too
RIDGE = 1e-4  # Anderson's, absolute, torchdeq's default


def library() -> Any:
    """torchdeq, loaded when first used; its docstrings hold escapes that Python warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        import torchdeq  # type: ignore[import-untyped]
    return torchdeq


# ---- forward -----------------------------------------------------------------------------------


def iterate(f: Map, state: Tensor, steps: int, damping: float) -> Tensor:
    """z ← τ f(z) + (1 − τ) z, `steps` times, without gradient; the last state, whatever it is.

    The only solver here that is causal where f is: nothing is decided from the row as a whole.
    """
    solve = library().solver.get_solver("fixed_point_iter")
    with torch.no_grad():
        return solve(f, state, max_iter=steps, tau=damping, return_final=True)[0]


@dataclass(frozen=True)
class Found:
    """The best point so far and where f takes it.

    point and state = f(point), [B, …]; residual [B], ||f(z) − z|| / ||f(z)|| of the point over the
    whole row, infinite where none was finite; evaluations of f until here.
    """

    point: Tensor
    state: Tensor
    residual: Tensor
    evaluations: int

    def converged(self, tolerance: float) -> Tensor:
        """Rows whose residual is within the tolerance, [B]."""
        return self.residual <= tolerance

    def seen(self, point: Tensor, image: Tensor) -> Found:
        """What is best after one more evaluation."""
        flat = image.flatten(1)
        residual = (flat - point.flatten(1)).norm(dim=1) / flat.norm(dim=1)
        better = residual < self.residual  # never where it is NaN
        wide = better.view(-1, *[1] * (point.dim() - 1))
        return Found(
            torch.where(wide, point, self.point),
            torch.where(wide, image, self.state),
            torch.where(better, residual, self.residual),
            self.evaluations + 1,
        )


def search(f: Map, start: Tensor, solver: str, evaluations: int) -> Found:
    """The best of exactly `evaluations` evaluations of f by Anderson or Broyden, no gradient."""
    last: deque[Found] = deque(maxlen=1)
    note(f, start, solver, evaluations, last.append)
    return last[0]


def searched(f: Map, start: Tensor, solver: str, evaluations: int) -> Iterator[Found]:
    """What is best after 0, 1, … `evaluations` evaluations; all of them are made at once."""
    found: list[Found] = []
    note(f, start, solver, evaluations, found.append)
    return iter(found)


def note(
    f: Map, start: Tensor, solver: str, evaluations: int, keep: Callable[[Found], None]
) -> None:
    """Search, and hand on what is best after 0, 1, … `evaluations` evaluations.

    The solver works in float64, f in its own dtype: in float32 Anderson's ridge vanishes beside
    states of this size, and a row whose residual hardly changes would end the batch.

    Raises:
        ValueError: an unknown solver, or a dtype that loses what the solver finds.
    """
    if solver not in SEARCHES:
        raise ValueError(f"no solver {solver!r}. Known: {', '.join(SEARCHES)}")
    if start.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"expected float32 or float64 for {solver}, got {start.dtype}")
    nowhere = torch.full((len(start),), torch.inf, dtype=start.dtype, device=start.device)
    best = Found(start.detach(), start.detach(), nowhere, 0)
    keep(best)

    def watched(point: Tensor) -> Tensor:
        nonlocal best
        here = point.detach().to(start.dtype, copy=True)
        image = f(here)
        best = best.seen(here, image)
        keep(best)
        return image.double()

    with torch.no_grad():
        drive(watched, start.detach().double(), solver, evaluations)
    assert best.evaluations == evaluations


def drive(f: Map, start: Tensor, solver: str, evaluations: int) -> None:
    """Have torchdeq evaluate f so many times: tolerance 0 stops no row early."""
    solve = library().solver.get_solver
    if not evaluations:
        return
    if solver == "broyden":  # evaluates the start first
        steps = evaluations - 1
        solve("broyden")(f, start, max_iter=steps, tol=0.0, stop_mode="rel", LBFGS_thres=COLUMNS)
    elif evaluations <= 2:  # Anderson's first two are plain ones
        solve("fixed_point_iter")(f, start, max_iter=evaluations, tol=0.0, stop_mode="rel")
    else:
        solve("anderson")(f, start, max_iter=evaluations, tol=0.0, stop_mode="rel", lam=RIDGE)


# ---- backward ----------------------------------------------------------------------------------


def phantom(f: Map, state: Tensor, steps: int, damping: float) -> Tensor:
    """`steps` more damped iterations, with a gradient through them and none through the state."""
    grad = library().get_deq(f_max_iter=0, grad=steps, tau=damping).train()
    return grad(f, state)[0][-1]


Hearing = Callable[[Tensor], None]
"""Called after a backward solve, with the residual of every row, [B]."""


def implicit(
    f: Map, point: Tensor, solver: str, iterations: int, tolerance: float, told: Hearing
) -> Tensor:
    """f(point) with the gradient of a fixed point: vᵀ ∂f/∂θ, v = Jᵀ v + dℓ/dz.

    Solved until every row's residual, relative, is within the tolerance or `iterations` are
    done; `told` hears which.
    """
    if solver not in SEARCHES:
        raise ValueError(f"no solver {solver!r}. Known: {', '.join(SEARCHES)}")
    settings = {
        "b_solver": solver,
        "b_max_iter": iterations,
        "b_tol": tolerance,
        "b_stop_mode": "rel",
    }
    grad = library().get_deq(f_max_iter=0, ift=True, **settings).train()
    return _Once.apply(grad(f, point, backward_writer=lambda info: told(info["rel_lowest"]))[0][-1])


class _Once(torch.autograd.Function):
    """The identity; refuses to build the graph of a gradient, which torchdeq would cut unseen."""

    @staticmethod
    def forward(ctx: Any, state: Tensor) -> Tensor:
        return state.view_as(state)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError("expected no create_graph: implicit gradients have no derivative")
        return upstream
