"""Tables of text cells, and the tidy frame under them: Markdown, LaTeX, CSV, HTML or text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from .cutting import flat, shortened
from .escaping import slug
from .latex import is_numeric, latex
from .stats.intervals import Interval
from .store import write_whole
from .trial import METRIC_COLUMNS, OK, Record

FORMATS = {"md": "github", "latex": "", "csv": "", "html": "", "text": "simple"}
SUFFIXES = {"md": "md", "latex": "tex", "csv": "csv", "html": "html"}
CELL = 80
"""Most characters of a cell in Markdown, HTML and plain text; CSV has everything."""


@dataclass(frozen=True)
class Table:
    """A frame of text cells with its title, and notes to stand under it.

    keys: how many columns from the left say what a row is about, for a table that must be split.
    """

    name: str
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    keys: int = 1

    def render(self, form: str) -> str:
        """The table as md, latex, csv, html or text.

        Names and reasons may hold anything: they are escaped, and cut but in csv.
        """
        if form == "csv":
            return self.frame.to_csv(index=False)
        head = [str(column) for column in self.frame.columns]
        rows = self.frame.astype(str).values.tolist()
        if form == "latex":
            return latex(self.name, self.title, self.notes, head, rows, self.keys)
        if form == "html":
            return html_table(self.name, self.title, self.notes, head, rows)
        clean = markdown if form == "md" else flat
        aligned = ["left" if not is_right(rows, place) else "right" for place in range(len(head))]
        body = tabulate(
            [[clean(shortened(text, CELL)) for text in row] for row in rows],
            headers=[clean(shortened(text, CELL)) for text in head],
            tablefmt=FORMATS[form],
            disable_numparse=True,
            colalign=aligned if rows else None,
        )
        title, *notes = (clean(text) for text in (self.title, *self.notes))
        head_line = f"**{title}**" if form == "md" else title
        told = "\n\n".join(notes) if form == "md" else "\n".join(notes)
        return f"{head_line}\n\n{body}\n" + (f"\n{told}\n" if notes else "")


def is_right(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column is set to the right: not the first, and mostly numbers."""
    return place > 0 and is_numeric([row[place] for row in rows])


def markdown(text: str) -> str:
    """A line in which Markdown sees no column, tag or link."""
    line = flat(text).replace("|", "\\|").replace("](", "]\\(")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def html_table(
    name: str,
    title: str,
    notes: Sequence[str],
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> str:
    """A `<table>` with its caption; a text that was cut stands whole in the cell's title."""
    told = "".join(f"<br><small>{escape(flat(note))}</small>" for note in notes)
    lines = "\n".join(f"<tr>{''.join(map(html_cell, row))}</tr>" for row in rows)
    heads = "".join(f'<th scope="col">{escape(flat(text))}</th>' for text in head)
    return (
        f'<table id="{slug(name)}">\n<caption><strong>{escape(flat(title))}</strong>{told}'
        f"</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>\n"
    )


def html_cell(text: str) -> str:
    """One cell."""
    short = shortened(text, CELL)
    whole = "" if short == flat(text) else f' title="{escape(flat(text))}"'
    return f"<td{whole}>{escape(short)}</td>"


def tidy(records: Iterable[Record], axes: Sequence[str] | None = ("all",)) -> pd.DataFrame:
    """One row a trial, split, length, budget, stratum and metric; `axes` None keeps all axes."""
    wanted = None if axes is None else set(axes)
    axis = METRIC_COLUMNS.index("axis")
    rows = []
    for record in records:
        if record.status != OK:
            continue
        trial = record.trial
        head = [trial.id, trial.question, trial.row, trial.length, trial.seed]
        rows += [head + row for row in record.metrics if wanted is None or row[axis] in wanted]
    columns = ["trial_id", "task", "method", "trained_length", "seed", *METRIC_COLUMNS]
    return pd.DataFrame(rows, columns=columns)


def cell(interval: Interval, share: bool) -> str:
    """`98.10 [97.02, 99.18]`, or `-` without a value."""
    if not interval.n:
        return "-"
    digits = 2 if share else 1
    text = f"{interval.mean:.{digits}f}"
    if interval.n < 2:
        return text
    return f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def engineering(value: float) -> str:
    """`1.23 G`: three digits and a power of a thousand."""
    for power, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g} {unit}"
    return f"{value:.3g}"


def write_tables(tables: Sequence[Table], folder: Path, stem: str) -> list[Path]:
    """Write all tables as one Markdown and one LaTeX file, and a CSV file each."""
    written = []
    for form in ("md", "latex"):
        path = folder / f"{stem}.{SUFFIXES[form]}"
        break_here = "\n\\clearpage\n" if form == "latex" else "\n"
        write_text(path, break_here.join(table.render(form) for table in tables))
        written.append(path)
    for table in tables:
        path = folder / f"{stem}-{slug(table.name)}.csv"
        write_text(path, table.render("csv"))
        written.append(path)
    return written


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(path, lambda file: file.write(text.encode()))
