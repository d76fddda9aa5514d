"""What the index keeps of a record file: its trial in a line, its metrics in columns.

Files are read without building a Record and without hashing the trial again; that the id is the
trial's hash is checked where records are loaded as such (`Store.load`, `import_records`).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from .errors import Misuse, one_line
from .trial import METRIC_COLUMNS, OK, STATUSES, Record, Trial, migrated

PLACES = METRIC_COLUMNS[:-2]
"""Where a metric was taken; n and sum are what was found there."""
WORDS = ("split", "axis", "metric")
"""The places that are texts: a code stands for them."""


@dataclass
class Layouts:
    """Arrays [6, rows] of PLACES, each kept once: the seeds of a trial share theirs.

    words: text -> its code.
    """

    words: dict[str, int] = field(default_factory=dict)
    known: dict[bytes, NDArray[np.int64]] = field(default_factory=dict)
    seen: dict[tuple[tuple[Any, ...], ...], NDArray[np.int64]] = field(default_factory=dict)

    def add(self, columns: tuple[tuple[Any, ...], ...]) -> NDArray[np.int64]:
        """The array of these columns.

        Raises:
            TypeError: a text where an integer is due, or the reverse.
        """
        if columns not in self.seen:
            pairs = zip(PLACES, columns, strict=True)
            self.seen[columns] = self.keep(np.array([self._coded(*pair) for pair in pairs]))
        return self.seen[columns]

    def keep(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The array that stands for all equal ones."""
        return self.known.setdefault(places.tobytes(), places)

    def _coded(self, name: str, column: tuple[Any, ...]) -> list[int]:
        kind = str if name in WORDS else int
        for value in set(column):
            require(name, value, kind)
        if kind is int:
            return list(column)
        return [self.words.setdefault(word, len(self.words)) for word in column]


RECORD_KEYS = {"trial_id", *(f.name for f in fields(Record))}
TRIAL_KEYS = {f.name for f in fields(Trial)}
EMPTY = np.zeros((len(PLACES), 0), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record file as the index knows it; `modified` is in nanoseconds.

    trial: the columns of the trials frame, {} for a file that does not read; remark: why not.
    places, n and sum are parallel, a column a metric.
    """

    file: str
    size: int
    modified: int
    remark: str = ""
    trial: Mapping[str, Any] = field(default_factory=dict)
    places: NDArray[np.int64] = field(default_factory=lambda: EMPTY)
    n: NDArray[np.int64] = field(default_factory=lambda: EMPTY[0])
    sum: NDArray[np.float64] = field(default_factory=lambda: EMPTY[0].astype(np.float64))

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells whether the file is still the one that was read."""
        return self.file, self.size, self.modified


def scan_all(
    folder: Path, keys: Sequence[tuple[str, int, int]], layouts: Layouts
) -> dict[tuple[str, int, int], Entry]:
    """Read record files of a trials folder, with the search for cycles off: JSON has none.

    Raises:
        Misuse: a record's schema is newer than this version reads.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        return {key: scan(folder, key, layouts) for key in keys}
    finally:
        if collected:
            gc.enable()


def scan(folder: Path, key: tuple[str, int, int], layouts: Layouts) -> Entry:
    """Read a record file; one that does not read gives an entry with a remark.

    Raises:
        Misuse: its schema is newer than this version reads.
    """
    file, size, modified = key
    try:
        with open(f"{folder}/{file}", "rb") as opened:  # a Path each is a tenth of the time
            body = migrated(orjson.loads(opened.read()))
        trial = described(body)
        if file != f"{trial['trial_id'][:2]}/{trial['trial_id']}.json":
            raise ValueError(f"it holds the record of trial {trial['trial_id'][:40]!r}")
        scored = body["metrics"] if trial["status"] == OK else []
        places, n, total = columns(scored, layouts)
    except Misuse:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        remark = f"{file} is left out, it does not read as a record: {one_line(error)}"
        return Entry(file=file, size=size, modified=modified, remark=remark)
    return Entry(
        file=file, size=size, modified=modified, trial=trial, places=places, n=n, sum=total
    )


def columns(
    metrics: Sequence[Sequence[Any]], layouts: Layouts
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Places, n and sum of a record's metrics; a sum that is null is NaN.

    Raises:
        ValueError, TypeError, OverflowError: a row that is none of METRIC_COLUMNS.
    """
    if not metrics:
        return EMPTY, EMPTY[0], EMPTY[0].astype(np.float64)
    *places, n, sums = zip(*metrics, strict=True)
    if len(places) != len(PLACES):
        raise ValueError(f"expected metrics of {len(METRIC_COLUMNS)} values, got {len(metrics[0])}")
    counts, totals = np.array(n), np.array(sums)
    if totals.dtype == object:  # a null among them
        totals = np.array([np.nan if value is None else value for value in sums])
    if counts.dtype.kind != "i" or totals.dtype.kind not in "if":
        raise TypeError("expected n to be an integer and sum a number in every metric")
    return layouts.add(tuple(places)), counts, totals.astype(np.float64)


def described(body: Mapping[str, Any]) -> dict[str, Any]:
    """A record's line of the trials frame.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: the body is no record's.
    """
    trial, costs, place = body["trial"], body["costs"], body["environment"]
    for unknown in (*(body.keys() - RECORD_KEYS), *(trial.keys() - TRIAL_KEYS)):
        raise ValueError(f"no field {unknown[:40]!r} in this version's records")
    found: dict[str, Any] = {
        "trial_id": require("trial_id", body["trial_id"], str),
        "task": require("task", trial.get("task_variant") or trial["task"], str),
        "method": require("method", trial.get("variant") or trial["method"], str),
        "trained_length": require("length", trial["length"], int),
        "seed": require("seed", trial["seed"], int),
        "preset": require("preset", trial["preset"], str),
        "status": body["status"],
        "reason": next(iter(require("reason", body["reason"], str).splitlines()), ""),
    }
    if found["status"] not in STATUSES:
        raise ValueError(f"no status {found['status']!r:.40}. Known: {', '.join(STATUSES)}")
    for name in ("parameters", "train_flops", "train_seconds"):
        found[name] = number(costs.get(name))
    name = place.get("device_name", "")
    return {
        **found,
        "device_name": name if type(name) is str else "",
        "jobs": number(place.get("jobs")),
    }


def require(name: str, value: Any, kind: type) -> Any:
    """The value, which must be of this very type, an integer one of 64 bits.

    Raises:
        TypeError, OverflowError: it is not.
    """
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__} for {name}, got {value!r:.40}")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise OverflowError(f"expected 64 bits for {name}, got {value}")
    return value


def number(value: Any) -> float | None:
    """The value as a float if it is a number, else None."""
    return float(value) if type(value) in (int, float) else None
