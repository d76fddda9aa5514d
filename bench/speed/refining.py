"""EqT: answers at K = 8 against its own K = 0, its training step, and its slope's two forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...methods.method import Method
from ...methods.solvers.solver import slope
from .line import Line, Side, Where
from .models import DEPTH, WIDTH, answering, model_of, own_training, rows_of

ROWS, LENGTH, BUDGET = 16, 64, 8
SIZES = f"d {WIDTH}, {DEPTH} blocks, L {LENGTH}, {ROWS} rows"


def answer_sides(where: Where) -> Sequence[Side]:
    """The same weights at K = 8 and at K = 0."""
    model, rows = model_of("eqt", LENGTH, where), rows_of(ROWS, LENGTH, where)
    return [
        Side(f"K = {BUDGET}", answering(model, rows, BUDGET)),
        Side("K = 0", answering(model, rows, 0)),
    ]


ANSWER = Line(
    name="eqt-answer",
    measured=f"EqT's answer at K = {BUDGET} against its own K = 0",
    sizes=SIZES,
    bound=2.0,
    prepare=answer_sides,
)


def step_sides(where: Where) -> Sequence[Side]:
    """EqT's update at K = 2, and the transformer's."""
    rows = rows_of(ROWS, LENGTH, where)
    return [
        Side(name, own_training(model_of(name, LENGTH, where), rows))
        for name in ("eqt", "transformer")
    ]


STEP = Line(
    name="eqt-step",
    measured="EqT's training step at K = 2 against the transformer's",
    sizes=SIZES,
    bound=1.2,
    prepare=step_sides,
)


def slope_sides(where: Where) -> Sequence[Side]:
    """∇L in closed form, and by autograd on the value: Algorithm 1's plain form."""
    model: Any = model_of("eqt", LENGTH, where).eval()
    rows = rows_of(ROWS, LENGTH, where)
    with torch.no_grad():
        potential = model.energy(0).bind(model.context(rows.inputs))
        state = model.trunk(rows.inputs)
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "closed": potential,
        "autograd": getattr(potential, "value", potential),
    }
    return [
        Side(name, lambda form=form: discard(slope(form, state, create_graph=False)))  # type: ignore[misc]
        for name, form in forms.items()
    ]


def discard(_: object) -> None:
    """A side that returns nothing is timed."""


SLOPE = Line(
    name="eqt-slope",
    measured="slope of EqT's energy in closed form against autograd's",
    sizes=SIZES,
    bound=1.0,
    prepare=slope_sides,
)


# ---- adaptive ----------------------------------------------------------------------------------

UPDATES = 60
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 0.003)
"""Of a step's length ||h^{k+1} − h^k||, tried from the loosest."""


def adaptive_sides(where: Where) -> Sequence[Side]:
    """Weights after some training, with the loosest tolerance that costs no answer."""
    model, rows = model_of("eqt", LENGTH, where), rows_of(ROWS, LENGTH, where)
    update = own_training(model, rows_of(8 * ROWS, 16, where))
    for _ in range(UPDATES):
        update()
    model.eval()
    asked = rows_of(4 * ROWS, LENGTH, where)
    twin = loosest(model, asked.inputs, where)
    return [
        Side("adaptive", answering(twin, rows, BUDGET)),
        Side("K = 0", answering(model, rows, 0)),
    ]


def loosest(model: Method, inputs: Tensor, where: Where) -> Method:
    """The model that halts at the loosest tolerance with the very answers of its fixed K."""
    with torch.no_grad():
        fixed = model.answer(inputs, BUDGET).logits.argmax(-1)
        for tolerance in TOLERANCES:
            twin = model_of("eqt", LENGTH, where, tolerance=tolerance)
            twin.load_state_dict(model.state_dict())
            twin.eval()
            if torch.equal(twin.answer(inputs, BUDGET).logits.argmax(-1), fixed):
                return twin
    return model


ADAPTIVE = Line(
    name="eqt-adaptive",
    measured=f"EqT at K ≤ {BUDGET}, halting by tolerance with the same answers, against its K = 0",
    sizes=f"{SIZES}, after {UPDATES} updates",
    bound=1.5,
    prepare=adaptive_sides,
)
