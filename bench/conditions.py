"""Under what numbers were made: test rows, seeds, preset, device. Every caption ends with it."""

from __future__ import annotations

from collections.abc import Sequence

from .trial import Record, Trial


def conditions(trials: Sequence[Trial], records: Sequence[Record]) -> str:
    """`n = 1024 test rows, 5 seed(s) planned, preset ladder, on AMD EPYC`."""
    seeds = len({trial.seed for trial in trials})
    presets = ", ".join(sorted({trial.preset for trial in trials}))
    told = f"n = {row_counts(trials, records)} test rows, {seeds} seed(s) planned"
    return f"{told}, preset {presets}, on {devices(records)}"


def row_counts(trials: Sequence[Trial], records: Sequence[Record]) -> str:
    """How many rows test sets have: as records tell, else as planned; `512 to 1024`."""
    counts = {
        int(told["rows"]) for record in records for told in record.data.values() if "rows" in told
    }
    counts = counts or {int(trial.evaluate.get("rows", 0)) for trial in trials}
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))


def devices(records: Sequence[Record]) -> str:
    """The devices' names."""
    names = {str(record.environment.get("device_name", "unknown")) for record in records}
    return ", ".join(sorted(names)) or "no device"
