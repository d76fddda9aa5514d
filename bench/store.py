"""The results folder: one JSON record per trial, written whole, read into a tidy frame.

DIR/trials/ab/ID.json    records           DIR/checkpoints/ID.safetensors   training in flight
DIR/live/ID.json         heartbeats        DIR/locks/ID.lock                who runs what
DIR/logs/ID.log          output of children that failed
DIR/aside/               records that do not read or were run again, by name and time
DIR/weights/ID.safetensors   best weights, with --keep-weights
DIR/rows/ab/ID.npz       outcomes of single test rows (outcomes.py); the record holds their hash
DIR/plans/PRESET.json    every trial that a run of the preset asked for, done or not
DIR/tables/              what was drawn from the records
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock

from .errors import Misuse, one_line
from .trial import Record, Trial, read_record

UMASK = os.umask(0)
"""What the user's files are not open to; it can only be read by setting it."""
os.umask(UMASK)

LAYOUT = ("trials", "live", "checkpoints", "locks", "logs", "aside", "weights", "tables")


class Store:
    """Reads and writes one results folder; nothing is created before the first write."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.set_aside: list[str] = []

    def require_writable(self) -> None:
        """Make the folder and try a write.

        Raises:
            Misuse: it cannot be made or written.
        """
        try:
            for name in LAYOUT:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / "trials" / ".probe", lambda file: file.write(b"ok"))
            (self.folder / "trials" / ".probe").unlink(missing_ok=True)
        except OSError as error:
            raise Misuse(
                f"cannot write to the results folder {self.folder}: {one_line(error)}. "
                "Choose another one with --results"
            ) from error

    def path(self, trial_id: str) -> Path:
        """Where a record lies."""
        return self.folder / "trials" / trial_id[:2] / f"{trial_id}.json"

    def checkpoint(self, trial_id: str) -> Path:
        """Where a training in flight keeps its state."""
        return self.folder / "checkpoints" / f"{trial_id}.safetensors"

    def weights(self, trial_id: str) -> Path:
        """Where the best weights are kept, if asked for."""
        return self.folder / "weights" / f"{trial_id}.safetensors"

    def log(self, trial_id: str) -> Path:
        """Where a child's output goes."""
        return self.folder / "logs" / f"{trial_id}.log"

    def lock(self, trial_id: str) -> FileLock:
        """The lock that whoever runs a trial holds; the system frees it when its holder dies."""
        return FileLock(self.folder / "locks" / f"{trial_id}.lock")

    def save(self, record: Record) -> None:
        """Write a record whole: the old one stays until the new one is on disk."""
        text = record.to_json().encode()
        write_whole(self.path(record.trial.id), lambda file: file.write(text))
        (self.folder / "live" / f"{record.trial.id}.json").unlink(missing_ok=True)

    def rows_path(self, trial_id: str) -> Path:
        """Where the outcomes of a trial's single test rows lie."""
        return self.folder / "rows" / trial_id[:2] / f"{trial_id}.npz"

    def save_rows(self, trial_id: str, arrays: Mapping[str, np.ndarray]) -> str:
        """Write outcomes by row before the record that names them; returns their SHA-256."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        body = buffer.getvalue()
        write_whole(self.rows_path(trial_id), lambda file: file.write(body))
        return hashlib.sha256(body).hexdigest()

    def load_rows(self, record: Record) -> dict[str, np.ndarray]:
        """The outcomes by row of a record; {} where there are none, or not the record's own."""
        try:
            body = self.rows_path(record.trial.id).read_bytes()
        except OSError:
            return {}
        if hashlib.sha256(body).hexdigest() != record.rows:
            return {}
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, zipfile.BadZipFile):
            return {}

    def save_plan(self, preset: str, trials: Iterable[Trial]) -> None:
        """Note what a run asks for; an older trial of the same name is asked for no longer."""
        path = self.folder / "plans" / f"{preset}.json"
        named = {trial.name: trial for trial in (*self.load_plan(preset), *trials)}
        body = json.dumps([trial.to_dict() for _, trial in sorted(named.items())], indent=0)
        write_whole(path, lambda file: file.write(body.encode()))

    def load_plan(self, preset: str) -> list[Trial]:
        """What runs of a preset have asked for; [] where no plan is kept or it does not read."""
        try:
            body = json.loads((self.folder / "plans" / f"{preset}.json").read_text())
            return [Trial.from_dict(values) for values in body]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def load(self, trial_id: str) -> Record | None:
        """The record of a trial, or None; an unreadable one is set aside first.

        Raises:
            Misuse: the record's schema is newer than this version reads.
        """
        path = self.path(trial_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            self._set_aside(path, error)
            return None
        try:
            record = read_record(text)
            if record.trial.id != trial_id:
                raise ValueError(f"expected the record of trial {trial_id}, by its file's name")
            return record
        except Misuse:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._set_aside(path, error)
            return None

    def retire(self, trial_id: str) -> Path | None:
        """Move a record aside, so that its trial is run again; it stays there, by name and time."""
        path = self.path(trial_id)
        target = self.folder / "aside" / f"{path.stem}.{time.time_ns()}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(target)
        except FileNotFoundError:  # another run was faster
            return None
        return target

    def _set_aside(self, path: Path, error: Exception) -> None:
        target = self.retire(path.stem)
        if target is not None:
            self.set_aside.append(f"{path.name} does not read ({one_line(error)}): now {target}")

    def records(self, ids: Iterable[str] | None = None) -> Iterator[Record]:
        """The records of these trials, or all of them by id."""
        if ids is None:
            ids = sorted(path.stem for path in self.folder.glob("trials/??/*.json"))
        for trial_id in ids:
            record = self.load(trial_id)
            if record is not None:
                yield record

    def beat(self, trial: Trial, values: dict[str, Any]) -> None:
        """Leave a sign of life of a trial in flight."""
        body = json.dumps({"name": trial.name, "time": time.time(), **values}).encode()
        path = self.folder / "live" / f"{trial.id}.json"
        write_whole(path, lambda file: file.write(body), durable=False)

    def beats(self) -> dict[str, dict[str, Any]]:
        """The last signs of life, by trial id."""
        found = {}
        for path in sorted(self.folder.glob("live/*.json")):
            with contextlib.suppress(OSError, ValueError):
                found[path.stem] = json.loads(path.read_text())
        return found


def write_whole(path: Path, write: Callable[[IO[bytes]], Any], durable: bool = True) -> None:
    """Write a file so that a reader sees the old or the new one, and a crash loses neither.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.chmod(temporary, 0o666 & ~UMASK)  # a temporary file is its maker's alone
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
