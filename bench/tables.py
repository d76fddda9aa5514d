"""Tables of text cells, and the tidy frame under them: Markdown, LaTeX, CSV or plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from .stats import Interval
from .store import write_whole
from .trial import METRIC_COLUMNS, OK, Record

FORMATS = {"md": "github", "latex": "latex_booktabs", "csv": "", "text": "simple"}
SUFFIXES = {"md": "md", "latex": "tex", "csv": "csv"}


@dataclass(frozen=True)
class Table:
    """A frame of text cells with its title, and notes to stand under it."""

    name: str
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def render(self, form: str) -> str:
        """The table as md, latex, csv or text."""
        if form == "csv":
            return self.frame.to_csv(index=False)
        aligned = ["left", *["right"] * (self.frame.shape[1] - 1)]
        body = tabulate(
            self.frame.astype(str).values.tolist(),
            headers=list(self.frame.columns),
            tablefmt=FORMATS[form],
            disable_numparse=True,
            colalign=aligned if len(self.frame) else None,
        )
        if form == "latex":
            return self._latex(body)
        notes = "\n".join(self.notes)
        head = f"**{self.title}**" if form == "md" else self.title
        return f"{head}\n\n{body}\n" + (f"\n{notes}\n" if notes else "")

    def _latex(self, body: str) -> str:
        caption = " ".join(f"{text}." for text in (self.title, *self.notes))
        for plain, escaped in (("\\", "/"), ("%", "\\%"), ("_", "\\_"), ("&", "\\&"), ("#", "\\#")):
            caption = caption.replace(plain, escaped)
        return (
            f"\\begin{{table}}\n\\centering\n{body}\n\\caption{{{caption}}}\n"
            f"\\label{{tab:{self.name}}}\n\\end{{table}}\n"
        )


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
        write_text(path, "\n".join(table.render(form) for table in tables))
        written.append(path)
    for table in tables:
        path = folder / f"{stem}-{table.name}.csv"
        write_text(path, table.render("csv"))
        written.append(path)
    return written


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(path, lambda file: file.write(text.encode()))
