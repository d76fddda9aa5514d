"""Records that others hand in, checked one by one and copied into a results folder.

What comes is text and numbers: nothing in it is executed, names stay the text that they are. A
record is refused with a line that says what was expected and what came; the others are copied byte
for byte. One whose trial is in the folder already is the same where RESULT is equal: environment,
costs and curves tell of a machine, and the folder keeps its own. With another result it is refused,
since of two that differ none is known to be right; `closedloop merge` chooses between folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from .checking import inconsistency
from .errors import Misuse, one_line
from .record_schema import faults
from .scanning import Layouts, columns, described, migrated
from .store import Store, write_whole
from .trial import Record, read_record

LARGEST = 64 * 2**20
"""Bytes of a file beyond which it is not read: the longest records have some hundred thousand."""
RESULT = ("status", "metrics", "data", "weights")


@dataclass(frozen=True)
class Imported:
    """What became of the files: ids that were added, ids there already, a line a refused file.

    remarks: what was left out of an added record.
    """

    added: tuple[str, ...]
    present: tuple[str, ...]
    refused: tuple[str, ...]
    remarks: tuple[str, ...]


def import_records(source: Path | str, store: Store) -> Imported:
    """Copy the valid records of a file, a folder of files or a results folder into a store.

    Raises:
        Misuse: no such source, no record file in it, or a store that cannot be written.
    """
    source, told = Path(source), Told([], [], [], [])
    files = list(record_files(source))
    store.require_writable()
    for file in files:
        try:
            take(file, source, store, told)
        except Refused as error:
            told.refused.append(f"{printable(file.name)}: {error}")
    return Imported(*map(tuple, (told.added, told.present, told.refused, told.remarks)))


@dataclass(frozen=True)
class Told:
    """Imported in the making."""

    added: list[str]
    present: list[str]
    refused: list[str]
    remarks: list[str]


class Refused(ValueError):
    """A record that is not taken: the message says what was expected and what came."""


def record_files(source: Path) -> Iterator[Path]:
    """The files that may hold records, by name: of a results folder those of its trials.

    Raises:
        Misuse: no such source, or no file in it.
    """
    if source.is_file():
        yield source
        return
    if not source.is_dir():
        raise Misuse(f"expected a record file or a folder of them to import, got {source}")
    inside = source / "trials"
    pattern, folder = ("*/*.json", inside) if inside.is_dir() else ("*.json", source)
    found = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
    if not found:
        raise Misuse(f"no record files in {source}: expected ID.json there or in trials/ab/")
    yield from found


def take(file: Path, source: Path, store: Store, told: Told) -> None:
    """Add the record of a file to the store, if it is valid and new.

    Raises:
        Refused: it is not valid, or contradicts the store's record of its trial.
    """
    body = read(file)
    record = checked(body)
    trial_id, known = record.trial.id, store.load(record.trial.id)
    if known is not None:
        other = [name for name in RESULT if getattr(known, name) != getattr(record, name)]
        if other:
            raise Refused(
                f"expected the result that {store.folder} has of {trial_id}, got another "
                f"{', '.join(other)}: choose with `closedloop merge`"
            )
        told.present.append(trial_id)
        return
    if record.rows and not copy_rows(Store(source), store, record):
        told.remarks.append(f"{trial_id}: its outcomes by row are not beside it, or are others")
    write_whole(store.path(trial_id), lambda out: out.write(body))
    told.added.append(trial_id)


def copy_rows(source: Store, target: Store, record: Record) -> bool:
    """Copy the side file that a record names; whether it was there and the record's own."""
    try:
        body = source.rows_path(record.trial.id).read_bytes()
    except OSError:
        return False
    if hashlib.sha256(body).hexdigest() != record.rows:
        return False
    write_whole(target.rows_path(record.trial.id), lambda file: file.write(body))
    return True


def read(file: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Refused: it is not readable, or far too large.
    """
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise Refused(f"expected at most {LARGEST} bytes, got {size}")
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"expected a file that reads, got {one_line(error)}") from error


def checked(body: bytes) -> Record:
    """The record in these bytes.

    Raises:
        Refused: it is no JSON, not of the schema, under another id, or contradicts itself.
    """
    try:
        values = orjson.loads(body)
        if type(values) is not dict or type(values.get("schema")) is not int:
            raise Refused("expected a JSON object with an integer schema, got another")
        values = migrated(values)
        fault = next(faults(values), "")
        if not fault:
            described(values)
            columns(values["metrics"], Layouts())
            record = read_record(body.decode())
    except Refused:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        text = str(error) if isinstance(error, Misuse) else one_line(error)
        raise Refused(f"expected a record, got {printable(text)}") from error
    fault = fault or inconsistency(record)
    if fault:
        raise Refused(fault)
    return record


def printable(text: str, most: int = 200) -> str:
    """The text on one line and cut, what does not print written out."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
