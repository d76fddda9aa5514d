"""How the cost of an answer and of an update grows: exponents fitted over K, L, d and rows.

A cost that is c·xᵃ is a line of slope a on two logarithmic axes. Small sizes pay for calls, not for
sums, so that a fit over all sizes lies below the algorithm's own exponent: what is expected is a
range, from what calls alone would give to the algorithm's term of the highest order. Over K it is
the time above K = 0 that is fitted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from ..figures.style import COLUMN, styled
from ..tables import Table
from .line import Side, Where, race
from .models import answering, model_of, own_training, rows_of

ROUNDS, WARM = 5, 1


@dataclass(frozen=True)
class Dial:
    """A size that is turned: its values, how a method's cost is had at one, the expected range.

    own: what the algorithm's sums say, in words. told: what the seconds are of.
    """

    name: str
    values: Sequence[int]
    cost: Callable[[str, int, Where], Callable[[], None]]
    methods: Sequence[str]
    expected: tuple[float, float]
    own: str
    told: str = "seconds of an update"


def over_iterations(method: str, value: int, where: Where) -> Callable[[], None]:
    """An answer at K."""
    return answering(model_of(method, 64, where, depth=2), rows_of(8, 64, where), value)


def over_length(method: str, value: int, where: Where) -> Callable[[], None]:
    """An update at length L."""
    return own_training(model_of(method, value, where, depth=2), rows_of(4, value, where))


def over_width(method: str, value: int, where: Where) -> Callable[[], None]:
    """An update at width d."""
    model = model_of(method, 32, where, depth=2, width=value)
    return own_training(model, rows_of(8, 32, where))


def over_rows(method: str, value: int, where: Where) -> Callable[[], None]:
    """An update of so many rows."""
    return own_training(model_of(method, 32, where, depth=2), rows_of(value, 32, where))


STATEFUL = ("transformer", "eqt", "eqt-plus", "deltanet", "gru")
ABOVE = "seconds of an answer above K = 0"
DIALS = (
    Dial(
        "K", (1, 2, 4, 8, 16), over_iterations, ("eqt", "eqt-plus", "deq"), (0.9, 1.1), "K", ABOVE
    ),
    Dial("L", (32, 64, 128, 256, 512), over_length, STATEFUL, (0.7, 2.0), "L, attention L²"),
    Dial("d", (64, 128, 256, 512), over_width, STATEFUL, (0.7, 2.1), "d²"),
    Dial("rows", (4, 8, 16, 32, 64), over_rows, STATEFUL, (0.5, 1.1), "rows"),
)


def measured(where: Where, dials: Sequence[Dial] = DIALS) -> pd.DataFrame:
    """Median seconds by dial, method and size; over K less those at K = 0."""
    lines = []
    for dial in dials:
        for method in dial.methods:
            values = (0, *dial.values) if dial.name == "K" else dial.values
            sides = [Side(str(value), dial.cost(method, value, where)) for value in values]
            found = race(sides, ROUNDS, WARM, where.device)
            base = statistics.median(found.values["0"]) if dial.name == "K" else 0.0
            lines += [
                {
                    "dial": dial.name,
                    "method": method,
                    "size": value,
                    "seconds": statistics.median(found.values[str(value)]) - base,
                }
                for value in dial.values
            ]
    return pd.DataFrame(lines)


def exponents(points: pd.DataFrame) -> pd.DataFrame:
    """The fitted exponent of every dial and method, with a 95 % interval of the fit."""
    expected = {dial.name: dial for dial in DIALS}
    lines = []
    for (name, method), part in points.groupby(["dial", "method"], sort=False):
        kept = part[part["seconds"] > 0]
        fit = stats.linregress(np.log(kept["size"]), np.log(kept["seconds"]))
        reach = stats.t.ppf(0.975, max(len(kept) - 2, 1)) * fit.stderr
        low, high = expected[str(name)].expected
        lines.append(
            {
                "dial": name,
                "method": method,
                "exponent": fit.slope,
                "low": fit.slope - reach,
                "high": fit.slope + reach,
                "expected": f"{low:g} to {high:g}",
                "own": expected[str(name)].own,
                "within": low <= fit.slope <= high,
            }
        )
    return pd.DataFrame(lines)


def exponents_table(points: pd.DataFrame) -> Table:
    """The exponents as a table."""
    fits = exponents(points)
    interval = [
        f"{e:.2f} [{a:.2f}, {b:.2f}]" for e, a, b in fits[["exponent", "low", "high"]].values
    ]
    frame = pd.DataFrame(
        {
            "over": fits["dial"],
            "method": fits["method"],
            "exponent": interval,
            "expected": fits["expected"],
            "its sums": fits["own"],
            "within": ["yes" if each else "no" for each in fits["within"]],
        }
    )
    note = "slope of log seconds over log size [95 % interval of the fit]; K: above K = 0"
    return Table("speed-scaling", "How cost grows", frame, (note,), keys=2)


def scaling_figure(points: pd.DataFrame) -> Figure:
    """Seconds over size, a panel a dial, a curve a method."""
    dials = [dial for dial in DIALS if dial.name in set(points["dial"])]
    colours = {method: f"C{place}" for place, method in enumerate(points["method"].unique())}
    with styled():
        figure = Figure(figsize=(COLUMN * len(dials), COLUMN * 0.8))
        for axes, dial in zip(figure.subplots(1, len(dials), squeeze=False)[0], dials, strict=True):
            part = points[points["dial"] == dial.name]
            for method, own in part.groupby("method", sort=False):
                look = {"marker": "o", "markersize": 3, "color": colours[method]}
                axes.plot(own["size"], own["seconds"], label=method, **look)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xlabel(dial.name)
            axes.set_ylabel(dial.told)
            axes.legend(fontsize="x-small")
    return figure
