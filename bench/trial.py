"""What is run and what came of it: Trial and Record, plain values both."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import Misuse

SCHEMA = 2
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda body: {**body, "rows": "", "traces": {}, "schema": 2},
}
"""Schema n -> a pure function that turns a record of schema n into one of schema n + 1."""

OK, DIVERGED, UNSUPPORTED = "ok", "diverged", "unsupported"
FAILURES = ("error", "crash", "oom", "timeout")
STATUSES = (OK, DIVERGED, UNSUPPORTED, *FAILURES)

METRIC_COLUMNS = ("split", "length", "iterations", "axis", "stratum", "metric", "n", "sum")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One method, trained once on one task at one length with one seed, then tested.

    Every value is plain (JSON); the options are complete, so that a changed default is another
    trial. `train` and `evaluate` are the preset's protocol (presets/*.toml). `variant` names the
    row in the tables where it is not the method's own name: the method under other options.
    `train_lengths`, where there are any, are what it trains on, `length` the longest of them; the
    training rows are divided among them. `task_variant` names the task in the tables where it is
    under other options.
    """

    task: str
    task_version: int
    task_options: Mapping[str, Any]
    method: str
    method_version: int
    method_options: Mapping[str, Any]
    length: int
    test_lengths: tuple[int, ...]
    seed: int
    preset: str
    preset_version: int
    train: Mapping[str, Any]
    evaluate: Mapping[str, Any]
    variant: str = ""
    train_lengths: tuple[int, ...] = ()
    task_variant: str = ""

    @functools.cached_property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of all fields.

        What came later is left out where it is empty, so that it changed no older trial's id.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("variant", "train_lengths", "task_variant"):
            if not values[name]:
                del values[name]
        return hashlib.sha256(canonical(values).encode()).hexdigest()[:16]

    @property
    def row(self) -> str:
        """The name of its row in the tables: the variant's, else the method's."""
        return self.variant or self.method

    @property
    def question(self) -> str:
        """The name of its task in the tables: the variant's, else the task's."""
        return self.task_variant or self.task

    @property
    def name(self) -> str:
        """A readable name, unique within a plan."""
        return f"{self.question}-{self.row}-L{self.length}-s{self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return json.loads(canonical(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """The trial that `to_dict` described."""
        lengths = {k: tuple(values.get(k, ())) for k in ("test_lengths", "train_lengths")}
        return cls(**{**values, **lengths})

    @property
    def trained_on(self) -> tuple[int, ...]:
        """The lengths of its training rows."""
        return self.train_lengths or (self.length,)


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of one trial's run.

    metrics: rows of METRIC_COLUMNS, raw counts and sums, so that intervals and pools can be
    recomputed. curves: training curves by name. costs: parameters, FLOPs, seconds, bytes. data, by
    length: SHA-256 of the test rows, their overlap with the training rows, the options in which the
    task's form for the method differs, what trivial rules score on them, and
    the stated levels. weights: SHA-256
    of the scored weights, which tells whether two variants answer from the same ones. traces, by
    length: histograms of what every iteration did (outcomes.py). rows: SHA-256 of the side file
    with the outcomes of single test rows, or "" where there is none.
    """

    trial: Trial
    status: str
    reason: str = ""
    metrics: list[list[Any]] = field(default_factory=list)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    traces: Mapping[str, Any] = field(default_factory=dict)
    rows: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def failed(self) -> bool:
        """Whether the trial broke, rather than gave a result."""
        return self.status in FAILURES

    def to_json(self) -> str:
        """The record as JSON text; non-finite numbers are null."""
        body = {name: getattr(self, name) for name in (f.name for f in fields(self))}
        body["trial"] = self.trial.to_dict()
        body["trial_id"] = self.trial.id
        return json.dumps(finite(body), allow_nan=False, ensure_ascii=False, sort_keys=True)


def read_record(text: str) -> Record:
    """The record in a JSON text.

    Raises:
        Misuse: its schema is newer than this version reads.
        ValueError, KeyError, TypeError: it is no record, or its id is not its trial's.
    """
    body = migrated(json.loads(text))
    share_texts(body["metrics"])
    trial_id = body.pop("trial_id")
    record = Record(**{**body, "trial": Trial.from_dict(body["trial"])})
    if record.status not in STATUSES:
        raise ValueError(f"no status {record.status!r}. Known: {', '.join(STATUSES)}")
    if record.trial.id != trial_id:
        raise ValueError(f"expected trial id {record.trial.id}, the hash of its trial")
    return record


def share_texts(rows: list[list[Any]]) -> None:
    """Make equal texts in rows one object: ten thousand records have a million of each."""
    for row in rows:
        for place, value in enumerate(row):
            if type(value) is str:
                row[place] = sys.intern(value)


def migrated(body: dict[str, Any]) -> dict[str, Any]:
    """A record's body in the present schema.

    Raises:
        Misuse: its schema is newer than this version reads.
        KeyError, TypeError: it is no record.
    """
    while (schema := body["schema"]) < SCHEMA:
        body = MIGRATIONS[schema](body)
    if schema > SCHEMA:
        raise Misuse(
            f"record {body.get('trial_id', '?')} has schema {schema}, this version reads up to "
            f"{SCHEMA}: install a newer closedloop, or point --results at another folder"
        )
    return body


def canonical(values: Any) -> str:
    """JSON with sorted keys and no blanks: one text per value."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def finite(value: Any) -> Any:
    """The value with NaN and infinities replaced by None, all the way down."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
