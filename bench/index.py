"""All records of a results folder as frames, from an index that is read in their stead.

DIR/index.npz holds what the frames need: plain arrays, never pickled. It is disposable: it counts
for the files whose name, size and time of change it lists, new and changed ones are read again, and
a folder that cannot be written is read anew every time.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from .scanning import PLACES, WORDS, Entry, Layouts, scan_all
from .store import Store, write_whole
from .trial import SCHEMA

VERSION = [1, SCHEMA]
"""Of the index file, and of the records as they were read."""
TRIAL_COLUMNS = {
    "trial_id": str,
    "task": str,
    "method": str,
    "trained_length": int,
    "seed": int,
    "preset": str,
    "status": str,
    "reason": str,
    "parameters": float,
    "train_flops": float,
    "train_seconds": float,
    "device_name": str,
    "jobs": float,
}
"""Columns of the trials frame -> their type; a number that is not known is NaN."""


@dataclass(frozen=True)
class Index:
    """A results folder at a glance.

    words: the texts that the entries' places are codes of. n and sum are those of all entries end
    to end; the entries' own are parts of them.
    """

    entries: Sequence[Entry]
    words: Sequence[str]
    n: NDArray[np.int64]
    sum: NDArray[np.float64]

    @property
    def remarks(self) -> tuple[str, ...]:
        """A line for every file that does not read."""
        return tuple(entry.remark for entry in self.entries if entry.remark)

    def trials(self) -> pd.DataFrame:
        """One row a record, whatever its status: TRIAL_COLUMNS, in the order of ids."""
        found = [entry.trial for entry in self.entries if entry.trial]
        columns: dict[str, Any] = {
            name: labels(found, name) if kind is str else np.array([t[name] for t in found], kind)
            for name, kind in TRIAL_COLUMNS.items()
        }
        return pd.DataFrame(columns)

    def scores(self) -> pd.DataFrame:
        """The tidy frame of all axes, with status and preset; texts are categories.

        Rows and columns are those of `tables.tidy`: records that are not ok have none. Integers but
        n are of 32 bits where they fit; n and sum share the index's memory.
        """
        scored = [entry for entry in self.entries if len(entry.n)]
        trials, rows = [e.trial for e in scored], np.array([len(e.n) for e in scored], dtype=int)
        columns: dict[str, Any] = {
            name: spread(trials, name, rows) for name in ("trial_id", "task", "method")
        }
        for name in ("trained_length", "seed"):
            columns[name] = np.repeat(narrow(np.array([t[name] for t in trials], int)), rows)
        columns |= self._places([entry.places for entry in scored])
        columns |= {"n": self.n, "sum": self.sum}
        columns |= {name: spread(trials, name, rows) for name in ("status", "preset")}
        return pd.DataFrame(columns, copy=False)

    def _places(self, parts: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
        """The columns of PLACES: each layout's are made once."""
        numbers: dict[int, int] = {}
        which = [numbers.setdefault(id(part), len(numbers)) for part in parts]
        once = list({id(part): part for part in parts}.values())
        ends = np.cumsum([part.shape[1] for part in once])[:-1]
        columns: dict[str, Any] = {}
        for name, values in zip(PLACES, joined(once, axis=1), strict=True):
            texts, short = self._texts(values) if name in WORDS else (None, narrow(values))
            pieces = np.split(short, ends)
            column = joined([pieces[number] for number in which], short.dtype)
            columns[name] = (
                column
                if texts is None
                else pd.Categorical.from_codes(column, categories=pd.Index(texts))
            )
        return columns

    def _texts(self, values: NDArray[np.int64]) -> tuple[list[str], NDArray[Any]]:
        """The texts that occur, in order, and the codes that stand for their places there."""
        used, back = np.unique(values, return_inverse=True)
        texts = sorted(self.words[code] for code in used)
        ranks = np.array([texts.index(self.words[code]) for code in used], int)
        return texts, ranks[back].astype(np.min_scalar_type(-len(texts) - 1))


def indexed(store: Store) -> pd.DataFrame:
    """The tidy frame of all axes of a results folder, as `Index.scores` gives it.

    Raises:
        Misuse: a record's schema is newer than this version reads.
    """
    return open_index(store).scores()


def trials_frame(store: Store) -> pd.DataFrame:
    """One row a record of a results folder, as `Index.trials` gives it; raises as `indexed`."""
    return open_index(store).trials()


def open_index(store: Store) -> Index:
    """The index of a results folder, brought up to date and kept where that is possible.

    Raises:
        Misuse: a record's schema is newer than this version reads.
    """
    path, folder = store.folder / "index.npz", store.folder / "trials"
    kept, present = load(path), listing(folder)
    known = {entry.key: entry for entry in kept.entries}
    if list(known) == present:
        return kept
    layouts = Layouts({word: code for code, word in enumerate(kept.words)})
    for entry in kept.entries:
        layouts.keep(entry.places)
    fresh = scan_all(folder, [key for key in present if key not in known], layouts)
    entries = [known[key] if key in known else fresh[key] for key in present]
    n, sums = joined([e.n for e in entries]), joined([e.sum for e in entries], np.float64)
    index = Index(entries, list(layouts.words), n, sums)
    with contextlib.suppress(OSError):
        write_whole(path, lambda file: save(file, index), durable=False)
    return index


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every record file, by name."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as parts:
        for part in (part for part in parts if len(part.name) == 2 and part.is_dir()):
            with os.scandir(part) as files:
                for file in files:
                    if file.name.endswith(".json") and not file.name.startswith("."):
                        told = file.stat()
                        found.append((f"{part.name}/{file.name}", told.st_size, told.st_mtime_ns))
    return sorted(found)


def save(file: IO[bytes], index: Index) -> None:
    """Write an index as plain arrays, every layout once."""
    once = {id(entry.places): entry.places for entry in index.entries}
    number = {key: place for place, key in enumerate(once)}
    lines = [[*e.key, e.remark, e.trial, number[id(e.places)], len(e.n)] for e in index.entries]
    sizes = [part.shape[1] for part in once.values()]
    head = {"version": VERSION, "words": index.words, "sizes": sizes, "entries": lines}
    np.savez(
        file,
        head=np.frombuffer(orjson.dumps(head), dtype=np.uint8),
        places=joined(list(once.values()), axis=1),
        n=index.n,
        sum=index.sum,
    )


def load(path: Path) -> Index:
    """What `save` wrote; an empty index where there is none, or not one of ours."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            head = orjson.loads(arrays["head"].tobytes())
            if head["version"] == VERSION:
                return unpacked(head, arrays["places"], arrays["n"], arrays["sum"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile):
        pass
    return Index([], [], joined([]), joined([], np.float64))


def unpacked(
    head: dict[str, Any],
    places: NDArray[np.int64],
    n: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> Index:
    """The index in these arrays.

    Raises:
        ValueError, TypeError, IndexError: they do not belong together.
    """
    parts, start = np.split(places, np.cumsum(head["sizes"])[:-1], axis=1), 0
    entries = []
    for file, size, modified, remark, trial, layout, rows in head["entries"]:
        own = slice(start, start := start + rows)
        values = {"places": parts[layout], "n": n[own], "sum": sums[own]}
        named = {"file": file, "size": size, "modified": modified, "remark": remark}
        entries.append(Entry(**named, trial=trial, **values))
    if not start == len(n) == len(sums):
        raise ValueError(f"expected {start} numbers, got {len(n)} and {len(sums)}")
    return Index(entries, head["words"], n, sums)


def labels(trials: Sequence[Any], name: str) -> pd.Categorical:
    """A text column of the trials, its categories in order."""
    values = [trial[name] for trial in trials]
    return pd.Categorical(values, categories=sorted(set(values)))


def spread(trials: Sequence[Any], name: str, rows: NDArray[np.int64]) -> pd.Categorical:
    """A text column of the trials, each as often as it has rows."""
    column = labels(trials, name)
    return pd.Categorical.from_codes(np.repeat(column.codes, rows), categories=column.categories)


def narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    """The values in 32 bits, where they fit."""
    fits = not len(values) or -(2**31) <= values.min() <= values.max() < 2**31
    return values.astype(np.int32) if fits else values


def joined(parts: Sequence[NDArray[Any]], kind: Any = np.int64, axis: int = 0) -> NDArray[Any]:
    """The parts end to end; none give an empty array of this kind."""
    if parts:
        return np.concatenate(parts, axis=axis)
    return np.zeros((len(PLACES), 0) if axis else 0, dtype=kind)
