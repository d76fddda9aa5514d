"""A results folder as a reader opens it: one preset's planned trials, and the records that are in.

What was planned is what runs noted (Store.save_plan); a folder without a note is read against the
shipped preset, and where that shares no trial with it, against its own records.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from .errors import Misuse, unknown
from .index import indexed
from .plan import Request, plan
from .registry import Registry, load_registry
from .store import Store
from .tables import tidy
from .trial import Record, Trial

MANY = 500
"""From so many records on the frame is read from the folder's index, which keeps it small."""


@dataclass(frozen=True)
class Campaign:
    """The trials of one preset, in order of their names, and their records; remarks are told."""

    store: Store
    preset: str
    trials: Sequence[Trial]
    records: Sequence[Record]
    registry: Registry
    remarks: tuple[str, ...] = ()

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The tidy frame of the records, every axis (tables.tidy); of many, from the index."""
        if len(self.records) < MANY:
            return tidy(self.records, axes=None)
        every = indexed(self.store)
        if not {r.trial.id for r in self.records if r.metrics} <= set(every["trial_id"]):
            return tidy(self.records, axes=None)  # not all of them were read from the folder
        kept = every[every["trial_id"].isin(set(self.by_id))].reset_index(drop=True)
        kept = kept.drop(columns=["status", "preset"])
        texts = kept.select_dtypes("category").columns
        return kept.astype(dict.fromkeys(texts, object))

    @functools.cached_property
    def totals(self) -> pd.DataFrame:
        """The part of the frame that is of whole test sets; of many records a small one."""
        return tidy(self.records)

    @functools.cached_property
    def by_id(self) -> dict[str, Record]:
        """The records by trial id."""
        return {record.trial.id: record for record in self.records}

    @property
    def tasks(self) -> list[str]:
        """The tasks' names in the tables."""
        return sorted({trial.question for trial in self.trials})

    @property
    def rows(self) -> list[str]:
        """The methods' names in the tables."""
        return sorted({trial.row for trial in self.trials})

    @property
    def seeds(self) -> int:
        """How many seeds were planned."""
        return len({trial.seed for trial in self.trials})

    @property
    def device(self) -> str:
        """The devices of the records, in words."""
        names = {str(r.environment.get("device_name", "unknown")) for r in self.records}
        return ", ".join(sorted(names)) or "no device"


def open_campaign(
    folder: Path | str, preset: str | None = None, plugins: Sequence[str] = ()
) -> Campaign:
    """Open a results folder; of several presets in it the one with most records, unless asked.

    Raises:
        Misuse: no folder, no record in it, or none of the preset.
    """
    store, registry = Store(folder), load_registry(plugins)
    if not store.folder.is_dir():
        raise Misuse(f"no results folder {store.folder}: expected one that `pytest bench/` wrote")
    records = list(store.records())
    counts = Counter(record.trial.preset for record in records)
    if not records:
        raise Misuse(f"no records in {store.folder}: run `pytest bench/ --results {folder}` first")
    if preset is None:
        preset = min(counts, key=lambda name: (-counts[name], name))
    elif preset not in counts:
        raise unknown("preset in this folder", preset, counts)
    remarks = [
        f"{count} record(s) of preset {name} left out (shown with --preset {name})"
        for name, count in sorted(counts.items())
        if name != preset
    ]
    mine = [record for record in records if record.trial.preset == preset]
    trials = planned(store, preset, mine, registry)
    ids = {trial.id for trial in trials}
    strays = [record.trial for record in mine if record.trial.id not in ids]
    if strays:
        names = ", ".join(sorted(trial.name for trial in strays)[:3])
        remarks.append(
            f"{len(strays)} record(s) left out: a trial of the same name with other options is "
            f"planned ({names}{', …' if len(strays) > 3 else ''})"
        )
    told = (*remarks, *store.set_aside, *missing_plugins(registry, trials))
    kept = [record for record in mine if record.trial.id in ids]
    return Campaign(store, preset, trials, kept, registry, told)


def planned(
    store: Store, preset: str, records: Sequence[Record], registry: Registry
) -> list[Trial]:
    """The trials of a preset, one a name: noted ones first, then shipped ones, then run ones."""
    found: dict[str, Trial] = {}
    add(found, store.load_plan(preset))
    if not found:
        add(found, shipped(preset, {record.trial.id for record in records}, registry))
    add(found, newest_first(records))
    return [found[name] for name in sorted(found)]


def add(found: dict[str, Trial], trials: Iterable[Trial]) -> None:
    """Add trials whose names are not taken."""
    for trial in trials:
        found.setdefault(trial.name, trial)


def shipped(preset: str, ids: set[str], registry: Registry) -> list[Trial]:
    """The plan of a preset that comes with the package, if one of these ids is in it."""
    try:
        trials = plan(Request(preset=preset), registry)
    except Misuse:
        return []
    return trials if ids & {trial.id for trial in trials} else []


def newest_first(records: Sequence[Record]) -> list[Trial]:
    """The trials of records, later versions first, then by id."""
    trials = [record.trial for record in records]
    return sorted(trials, key=lambda t: (-t.preset_version, -t.method_version, t.id))


def missing_plugins(registry: Registry, trials: Sequence[Trial]) -> list[str]:
    """A remark for every method and task that the registry lacks: its declarations are unknown."""
    methods = sorted({trial.method for trial in trials} - set(registry.methods))
    tasks = sorted({trial.task for trial in trials} - set(registry.tasks))
    return [
        f"{kind} {name} is not at hand: what it declares is left blank (give its --plugin)"
        for kind, names in (("method", methods), ("task", tasks))
        for name in names
    ]


def narrowed(campaign: Campaign, rows: Sequence[str], tasks: Sequence[str]) -> Campaign:
    """The part of a campaign with these rows and tasks; an empty list keeps all.

    Raises:
        Misuse: a name that was not planned.
    """
    for kind, names, known in (
        ("method row", rows, campaign.rows),
        ("task", tasks, campaign.tasks),
    ):
        for name in names:
            if name not in known:
                raise unknown(f"{kind} in this folder", name, known)

    def kept(trial: Trial) -> bool:
        return (not rows or trial.row in rows) and (not tasks or trial.question in tasks)

    trials = [trial for trial in campaign.trials if kept(trial)]
    if not trials:
        raise Misuse(f"no trial of {', '.join(rows)} on {', '.join(tasks)} was planned")
    records = [record for record in campaign.records if kept(record.trial)]
    return replace(campaign, trials=trials, records=records)
