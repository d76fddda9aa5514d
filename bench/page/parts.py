"""What stands in the page's markup: facts of the campaign, lines, failures, figures, tables."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ..campaign import Campaign
from ..figures.figure import Drawing, save
from ..figures.style import styled
from ..tables import Table, engineering
from ..trial import OK
from .packing import csv_link, svg_link

HEADS = {
    "task": "Task",
    "method": "Method",
    "family": "Family",
    "causal": "Causal",
    "iterates": "Iterates",
    "trained_length": "L",
    "length": "Tested at",
    "iterations": "K",
    "trained": "Trained K",
    "metric": "Metric",
    "score": "Score,\u00a0%",
    "low": "95\u00a0% interval",
    "normalised": "Normalised",
    "whole": "Whole rows,\u00a0%",
    "chance": "Chance,\u00a0%",
    "seeds": "Seeds",
    "flops": "FLOPs/token",
    "parameters": "Parameters",
    "train_flops": "Training FLOPs",
    "notes": "Notes",
}
"""Columns of the leaderboard -> how they are called."""
TEXTS = ("task", "method", "family", "causal", "iterates", "metric", "notes")
"""Columns that are read from the left."""


NUMBERS = 60_000
"""Most characters of a figure's numbers in the page; more stand in the report's own files only."""


def facts(campaign: Campaign) -> list[tuple[str, str]]:
    """What stands at the head of the page: names and texts."""
    lengths = sorted({trial.length for trial in campaign.trials})
    counts = Counter(record.status for record in campaign.records)
    counts["not run"] = len(campaign.trials) - len(campaign.records)
    others = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if n and name != OK)
    return [
        (
            "Trials",
            f"{counts[OK]} of {len(campaign.trials)} in" + (f"; {others}" if others else ""),
        ),
        ("Seeds", str(campaign.seeds)),
        ("Tasks", f"{len(campaign.tasks)}, trained at L = {', '.join(map(str, lengths))}"),
        ("Methods", str(len(campaign.rows))),
        ("Device", campaign.device),
        ("Code", commits(campaign)),
    ]


def commits(campaign: Campaign) -> str:
    """The commits that the records name, with how many records each."""
    codes = [record.environment.get("code") or {} for record in campaign.records]
    counts = Counter((code.get("commit", ""), bool(code.get("dirty"))) for code in codes)
    names = [
        (f"commit {commit[:12]}" if commit else "no commit noted")
        + (" with changes" if dirty else "")
        + (f" ({n} records)" if len(counts) > 1 else "")
        for (commit, dirty), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return ", ".join([*names[:4], *(["…"] if len(names) > 4 else [])]) or "no record"


def failures(trials: pd.DataFrame) -> list[dict[str, str]]:
    """Trials that broke, diverged or were not supported, alike ones in one line."""
    broken = trials[~trials["status"].isin([OK, "not run"])]
    lines: list[dict[str, str]] = []
    keys = ["status", "task", "method", "reason"]
    for values, group in broken.groupby(keys):
        found = dict(zip(keys, map(str, values), strict=True))
        found["reason"] = found["reason"] or "no reason noted"
        found["trials"] = str(len(group))
        for name in ("trained_length", "seed"):
            found[name] = ", ".join(map(str, sorted(set(group[name]))))
        lines.append(found)
    return lines


def static_cells(line: Any) -> list[str]:
    """A line of the leaderboard as texts, in the order of HEADS; `line` is a named tuple."""
    interval = f"[{line.low:.2f}, {line.high:.2f}]" if line.low == line.low else ""
    shown = {
        "trained_length": line.trained_on,
        "iterations": number(line.iterations, ".0f"),
        "trained": "" if line.iterations != line.iterations else "yes" if line.trained else "no",
        "score": number(line.score, ".2f"),
        "low": interval,
        "normalised": number(line.normalised, ".3f"),
        "whole": number(line.whole, ".2f"),
        "chance": number(line.chance, ".2f"),
        "flops": engineering(line.flops) if line.flops == line.flops else "",
        "parameters": number(line.parameters, ",.0f"),
        "train_flops": engineering(line.train_flops)
        if line.train_flops == line.train_flops
        else "",
        "seeds": f"{line.seeds}/{line.planned}",
    }
    return [shown.get(name, str(getattr(line, name))) for name in HEADS]


def number(value: float, form: str) -> str:
    """A number as text, or nothing for NaN."""
    return format(value, form) if value == value else ""


def figure_views(drawings: Iterable[Drawing]) -> list[dict[str, str]]:
    """Figures for the template: an image that needs no file, and its numbers."""
    views = []
    for drawing in drawings:
        text = io.BytesIO()
        with styled():
            save(drawing.figure, "svg", text)
        numbers = csv_link(drawing.data)
        views.append(
            {
                "name": drawing.name,
                "title": drawing.title,
                "caption": drawing.caption,
                "image": svg_link(text.getvalue().decode()),
                "numbers": numbers if len(numbers) <= NUMBERS else "",
            }
        )
    return views


def table_views(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Tables for the template: texts, and whether a column holds numbers."""
    views = []
    for table in tables:
        head = [str(column) for column in table.frame.columns]
        rows = table.frame.astype(str).values.tolist()
        views.append(
            {
                "name": table.name,
                "title": table.title,
                "notes": table.notes,
                "head": head,
                "rows": rows,
                "right": [i > 0 and is_numeric([row[i] for row in rows]) for i in range(len(head))],
                "csv": csv_link(table.frame),
            }
        )
    return views


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether most cells that say something begin with a digit."""
    told = [cell for cell in cells if cell.strip(" -")]
    return 2 * sum(cell.lstrip("([-−+<≤ ")[:1].isdigit() for cell in told) > len(told)
