"""Results folders of several machines united in one.

A trial that several folders hold is kept once. Where its records differ the better one stays: ok
before a result without scores before a failure, then one from a clean commit, then the newest file,
then the first named folder; the others lie in the target's aside/, and a line tells. Sources are
never changed, but the target may be one of them, and what it holds counts in any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import Misuse, one_line
from .store import Store, write_whole
from .submission import RESULT, copy_rows, printable
from .trial import OK, Record, Trial, canonical, read_record


@dataclass(frozen=True)
class Merged:
    """How many records the target holds, how many are new there, and what a reader must know.

    conflicts: a line a trial whose records differed; remarks: what was left out of a source.
    """

    records: int
    added: int
    conflicts: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """One folder's record of a trial; rank: the least is the best."""

    store: Store
    record: Record
    body: bytes
    rank: tuple[int, bool, int, int]

    @property
    def digest(self) -> str:
        """What tells equal files from others."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def result(self) -> str:
        """What the tables' numbers come from."""
        return canonical({name: getattr(self.record, name) for name in RESULT})


def merge(sources: Sequence[Path | str], target: Path | str) -> Merged:
    """Unite results folders into a target, with their side files and plans.

    Raises:
        Misuse: a source that is no results folder or has no records, a record of a newer schema
            (nothing is written then), or a target that cannot be written.
    """
    stores, goal = folders(sources, target), Store(target)
    remarks: list[str] = []
    places: dict[str, list[tuple[int, Path]]] = {}
    for order, store in enumerate(stores):
        for path in record_paths(store):
            record = readable(path, remarks)
            if record is not None:
                places.setdefault(record.trial.id, []).append((order, path))
    goal.require_writable()
    conflicts: list[str] = []
    added = 0
    for trial_id, found in sorted(places.items()):
        added += not goal.path(trial_id).exists()
        candidates = [candidate(order, stores[order], path) for order, path in found]
        conflicts += settle(sorted(candidates, key=lambda one: one.rank), goal)
    remarks += unite_plans(stores, goal)
    return Merged(len(places), added, tuple(conflicts), tuple(remarks))


def folders(sources: Sequence[Path | str], target: Path | str) -> list[Store]:
    """The sources, each once, and the target if it holds records.

    Raises:
        Misuse: a source that is no results folder, or has no records.
    """
    for source in map(Path, sources):
        if not (source / "trials").is_dir():
            raise Misuse(f"expected a results folder (it holds trials/) to merge, got {source}")
        if not record_paths(Store(source)):
            raise Misuse(
                f"no records in {source}: expected a results folder to merge, leave it out"
            )
    named = {Path(source).resolve(): Store(source) for source in sources}
    if record_paths(Store(target)):
        named.setdefault(Path(target).resolve(), Store(target))
    return list(named.values())


def record_paths(store: Store) -> list[Path]:
    """The record files of a folder, by id."""
    return sorted(store.folder.glob("trials/??/*.json"))


def readable(path: Path, remarks: list[str]) -> Record | None:
    """The record in a file that lies where its trial's belongs; else None, and a remark.

    Raises:
        Misuse: its schema is newer than this version reads.
    """
    try:
        record = read_record(path.read_text(encoding="utf-8"))
        if path.stem != record.trial.id or path.parent.name != path.stem[:2]:
            raise ValueError(f"it holds the record of trial {record.trial.id}")
        return record
    except Misuse:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        remarks.append(f"{printable(str(path))} is left out: {printable(one_line(error))}")
        return None


def candidate(order: int, store: Store, path: Path) -> Candidate:
    """A record with its rank among those of its trial."""
    body = path.read_bytes()
    record = read_record(body.decode())
    code = record.environment.get("code") or {}
    clean = bool(code.get("commit")) and code.get("dirty") is False
    standing = 0 if record.status == OK else 2 if record.failed else 1
    return Candidate(store, record, body, (standing, not clean, -path.stat().st_mtime_ns, order))


def settle(candidates: Sequence[Candidate], goal: Store) -> Iterator[str]:
    """Put the best record of a trial, by rank, into the target and the others aside."""
    best, trial_id = candidates[0], candidates[0].record.trial.id
    others = {one.digest: one for one in candidates if one.digest != best.digest}
    for digest, loser in others.items():
        set_aside(loser, f"{trial_id}.{digest[:12]}", goal)
        same = "the same result" if loser.result == best.result else "another result"
        yield (
            f"{trial_id} ({printable(best.record.trial.name)}): kept that of {best.store.folder} "
            f"({best.record.status}), put aside that of {loser.store.folder} "
            f"({loser.record.status}): {same}"
        )
    if best.record.rows:
        for one in (one for one in candidates if one.digest == best.digest):
            if copy_rows(one.store, goal, one.record):
                break
    path = goal.path(trial_id)
    if not path.exists() or path.read_bytes() != best.body:
        write_whole(path, lambda file: file.write(best.body))


def set_aside(loser: Candidate, name: str, goal: Store) -> None:
    """Keep a record that was not chosen, and its side file, in the target's aside/."""
    aside = goal.folder / "aside"
    write_whole(aside / f"{name}.json", lambda file: file.write(loser.body))
    if loser.record.rows and loser.store.load_rows(loser.record):
        body = loser.store.rows_path(loser.record.trial.id).read_bytes()
        write_whole(aside / f"{name}.npz", lambda file: file.write(body))


def unite_plans(stores: Sequence[Store], goal: Store) -> list[str]:
    """Unite the plans by preset: of two trials of one name the one of the newest file stays."""
    notes = [(path, store) for store in stores for path in store.folder.glob("plans/*.json")]
    united: dict[str, list[Trial]] = {}
    remarks = []
    for path, store in sorted(notes, key=lambda note: note[0].stat().st_mtime_ns):
        trials = store.load_plan(path.stem)
        if not trials:
            remarks.append(f"{printable(str(path))} is left out: it does not read as a plan")
        united.setdefault(path.stem, []).extend(trials)
    for preset, trials in united.items():
        if trials:
            goal.save_plan(preset, trials)
    return remarks
