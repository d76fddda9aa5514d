"""The page: one HTML file that needs no network, with everything that a campaign tells.

The same records give the same bytes. What is long is left out in steps, and the page says so; the
leaderboard's default view, the figures' images and the failures are in the markup itself, so that
they show without JavaScript. Names of tasks and methods are text everywhere.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..campaign import Campaign
from ..figures.figure import Drawing
from ..figures.style import colours, marks
from ..scores import scores
from ..tables import Table, write_text
from .board import OUT, board
from .packing import Room, block, columns, script
from .parts import HEADS, TEXTS, facts, failures, figure_views, static_cells, table_views
from .trials import NOT_RUN, configurations, trial_list

VENDOR = ("jquery.slim.min.js", "dataTables.min.js", "uPlot.iife.min.js")
OWN = ("data.js", "theme.js", "table.js", "board.js", "curves.js", "trials.js", "start.js")
ROWS, FAILURES = 300, 300
"""Most lines of the leaderboard and of the failures in the markup."""
ROOM, FIGURES, TABLES = 4_600_000, 3_300_000, 700_000
"""Most characters of data, and of figures and tables among it: 5 MB with the libraries."""


def page(
    campaign: Campaign, reference: str, drawings: Sequence[Drawing], tables: Sequence[Table]
) -> str:
    """The page of a campaign; `reference` is the row whose curve shows first."""
    room, own = Room(ROOM), scores(campaign)
    lines, trials = with_notes(board(campaign, own)), trial_list(campaign, own)
    shown, broken = default_view(lines), failures(trials)
    values = {
        "preset": campaign.preset,
        "facts": facts(campaign),
        "remarks": campaign.remarks,
        "heads": HEADS,
        "texts": TEXTS,
        "rows": [static_cells(line) for line in shown.head(ROWS).itertuples()],
        "more_rows": max(len(shown) - ROWS, 0),
        "failures": broken[:FAILURES],
        "more_failures": max(len(broken) - FAILURES, 0),
        "missing": int((trials["status"] == NOT_RUN).sum()),
        "figures": room.views(figure_views(drawings), FIGURES, "figures"),
        "tables": room.views(table_views(tables), TABLES, "tables"),
        "blocks": blocks(campaign, reference, lines, trials, room),
    }
    return rendered({**values, "left_out": room.left_out})


def write_page(
    campaign: Campaign,
    reference: str,
    drawings: Sequence[Drawing],
    tables: Sequence[Table],
    path: Path,
) -> Path:
    """Write the page whole; returns its path."""
    write_text(path, page(campaign, reference, drawings, tables))
    return path


def with_notes(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with what must be said of them: promises not made, another form, failures."""
    told = zip(lines.pop("is_not"), lines.pop("form"), lines.pop("missing"), strict=True)
    lines["notes"] = [
        "; ".join(
            [f"not {text}" for text in is_not.split(", ") if text]
            + ([f"asked with {form}"] if form else [])
            + ([missing] if missing else [])
        )
        for is_not, form, missing in told
    ]
    return lines


def default_view(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines at the trained length and budget, failed trials at chance, best first."""
    inside = lines["length"] == lines["trained_length"]
    found = lines[inside & lines["trained"] & (lines["counted"] != OUT)]
    order = ["task", "trained_length", "score", "method"]
    return found.sort_values(order, ascending=[True, True, False, True])


def blocks(
    campaign: Campaign, reference: str, lines: pd.DataFrame, trials: pd.DataFrame, room: Room
) -> list[Markup]:
    """The page's data: how rows are drawn, trials, leaderboard, configurations."""
    mark = marks(campaign.rows)
    looks = {row: [*colour, *mark[row]] for row, colour in colours(campaign.rows).items()}
    inside, trained = lines["length"] == lines["trained_length"], lines["trained"].astype(bool)
    boards: list[tuple[str, Callable[[], Any]]] = [
        ("", lambda: columns(lines)),
        ("lines of other budgets on longer rows", lambda: columns(lines[inside | trained])),
        ("lines of other budgets or longer rows", lambda: columns(lines[inside & trained])),
    ]
    details: list[tuple[str, Callable[[], Any]]] = [
        ("", lambda: configurations(campaign)),
        ("costs and hashes of trials", lambda: configurations(campaign, ("environment",))),
        ("configurations of trials", lambda: {"pool": [], "trials": []}),
    ]
    return [
        block("looks", {"rows": looks, "reference": reference}),
        room.block("trials-data", [("", lambda: columns(trials))]),
        room.block("lines", boards),
        room.block("details-data", details),
    ]


def rendered(values: dict[str, Any]) -> str:
    """The template with values, style sheets and scripts filled in."""
    own = "\n".join(file(name) for name in OWN)
    texts = [file(f"vendor/{name}") for name in VENDOR] + [f'(() => {{\n"use strict";\n{own}}})();']
    scripts, hashes = zip(*map(script, texts), strict=True)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    style = Markup(file("vendor/uPlot.min.css") + file("page.css"))
    template = environment.from_string(file("page.html"))
    text = template.render(values, style=style, scripts=scripts, hashes=" ".join(hashes))
    return text.encode("utf-8", "replace").decode()


def file(name: str) -> str:
    """A file that lies beside this one."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
