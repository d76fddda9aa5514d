"""Frames of scores and trials as files for others, and back: CSV or Parquet, by the suffix."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from .errors import Misuse, one_line, unknown
from .store import write_whole
from .tables import Table


class Column(NamedTuple):
    """A column of an exported file: text (as categories), integer or number (null: not known)."""

    kind: str
    meaning: str


COLUMNS = {
    "trial_id": Column("text", "The trial: first 16 hex digits of the SHA-256 of its spec"),
    "task": Column("text", "Name of the task in the tables"),
    "method": Column("text", "Name of the method's row in the tables"),
    "trained_length": Column("integer", "Length that it was trained at, the longest of several"),
    "seed": Column("integer", "Seed of the training rows and of the initialisation"),
    "split": Column("text", "Split that was scored: test, train, or test@NAME of another course"),
    "length": Column("integer", "Length of the scored rows, as the task counts it"),
    "iterations": Column("integer", "Iteration budget (K); 0 for a method that does not iterate"),
    "axis": Column("text", "Difficulty axis; all: every row"),
    "stratum": Column("integer", "Stratum on the axis; 0 on axis all"),
    "metric": Column("text", "token, sequence, prefix, nats, …, and the task's own"),
    "n": Column("integer", "What was counted: scored tokens, or rows for sequence and prefix"),
    "sum": Column("number", "Sum over these; sum / n is the mean or share; null: not finite"),
    "status": Column("text", "ok, diverged, unsupported, error, crash, oom or timeout"),
    "preset": Column("text", "Preset that the trial belongs to"),
    "reason": Column("text", "First line of why the status is not ok"),
    "parameters": Column("number", "Trained numbers; null without scores"),
    "train_flops": Column("number", "FLOPs of the training, counted; null without scores"),
    "train_seconds": Column("number", "Seconds of the training; null without scores"),
    "device_name": Column("text", "Device in words"),
    "jobs": Column("number", "Trials at once on the machine"),
}
"""Every column of the frames of scores and of trials (index.py), in their order."""


def export(frame: pd.DataFrame, path: Path | str) -> None:
    """Write a frame of known COLUMNS whole, as .csv (UTF-8) or .parquet.

    Raises:
        Misuse: an unknown column or suffix, no pyarrow for Parquet, or a path that is not writable.
    """
    path = Path(path)
    require_columns(frame.columns)
    suffix = require_suffix(path)
    try:
        if suffix == ".csv":
            write_whole(path, lambda file: write_csv(frame, file))
        else:
            write_whole(path, lambda file: frame.to_parquet(file, engine="pyarrow", index=False))
    except OSError as error:
        raise Misuse(f"cannot write {path}: {one_line(error)}. Choose another --out") from error


def read_export(path: Path | str) -> pd.DataFrame:
    """The frame in an exported file: texts as categories, integers of 64 bits, numbers as floats.

    Raises:
        Misuse: no such file, or not one that `export` wrote.
    """
    path = Path(path)
    suffix = require_suffix(path)
    try:
        frame = read_csv(path) if suffix == ".csv" else pd.read_parquet(path, engine="pyarrow")
        require_columns(frame.columns)
        return pd.DataFrame(
            {str(name): typed(frame[name], COLUMNS[str(name)].kind) for name in frame}
        )
    except Misuse:
        raise
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise Misuse(
            f"expected {path} as `closedloop export` wrote it: {one_line(error)}"
        ) from error


def write_csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """The frame as UTF-8, every text in quotes: a carriage return in one would end its line."""
    frame.to_csv(file, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def read_csv(path: Path) -> pd.DataFrame:
    """The cells of a CSV file: a text is what stands there, be it empty or `NA`, a number exact."""
    cells = pd.read_csv(path, dtype="str", keep_default_na=False).astype("category")
    require_columns(cells.columns)
    return pd.DataFrame({str(name): parsed(cells[name], COLUMNS[str(name)].kind) for name in cells})


def parsed(cells: pd.Series, kind: str) -> Any:
    """Cells as texts, or as the numbers that they spell; an empty one is NaN."""
    if kind == "text":
        return cells
    known: list[Any] = list(cells.cat.categories)
    if kind == "integer":
        values = np.array([int(cell) for cell in known], dtype=np.int64)
    else:
        values = np.array([float(cell) if cell else np.nan for cell in known], dtype=np.float64)
    return values[cells.cat.codes]


def typed(values: pd.Series, kind: str) -> pd.Series:
    """The values as the kind of column says; categories in order."""
    if kind != "text":
        return values.astype("int64" if kind == "integer" else "float64")
    texts = values.astype("category")
    return texts.cat.set_categories(sorted(texts.cat.categories.astype("str")))


def require_columns(names: Iterable[Any]) -> None:
    """Refuse columns that have no meaning here.

    Raises:
        Misuse: an unknown one.
    """
    for name in names:
        if name not in COLUMNS:
            raise unknown("column", str(name), COLUMNS)


def require_suffix(path: Path) -> str:
    """The suffix, which says the form.

    Raises:
        Misuse: an unknown suffix, or no pyarrow for Parquet.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise Misuse(f"expected a file named *.csv or *.parquet, got {path.name!r}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise Misuse("Parquet needs pyarrow: install closedloop[parquet], or export to a .csv file")
    return path.suffix


def columns_table() -> Table:
    """What every column means."""
    rows = [[name, *column] for name, column in COLUMNS.items()]
    frame = pd.DataFrame(rows, columns=["column", "kind", "meaning"])
    return Table("export-columns", "Columns of an exported file", frame)
