"""Console commands over whole results folders: compare, merge, export, import, schema."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .errors import Misuse
from .store import Store


class Add(Protocol):
    """What registers a command: its name and function, its --help being the docstring."""

    def __call__(
        self, name: str, command: Callable[[argparse.Namespace], int | None]
    ) -> argparse.ArgumentParser:
        """The command's parser, to be given its options."""


def register(add: Add) -> None:
    """Add the commands of this file."""
    compared = add("compare", print_comparison)
    compared.add_argument("a", metavar="A", help="results folder")
    compared.add_argument("b", metavar="B", help="results folder that is told against A")
    merged = add("merge", merge_folders)
    merged.add_argument("sources", nargs="+", metavar="SOURCE", help="results folder")
    merged.add_argument("--into", required=True, metavar="DIR", help="may be one of the sources")
    exported = add("export", export_frame)
    exported.add_argument("--results", default="results/local", help="results folder")
    exported.add_argument("--out", metavar="FILE", help="a .csv or .parquet file")
    exported.add_argument("--what", default="scores", choices=("scores", "trials"))
    exported.add_argument("--columns", action="store_true", help="say what the columns mean")
    imported = add("import", import_source)
    imported.add_argument("source", metavar="SOURCE", help="record file, or a folder of them")
    imported.add_argument("--results", default="results/local", help="results folder")
    add("schema", print_schema)


def print_comparison(arguments: argparse.Namespace) -> None:
    """what moved beyond noise from results folder A to B, what is new, missing or dearer"""
    from .compare import compare
    from .registry import load_registry

    registry = load_registry(arguments.plugin)
    for table in compare(existing(arguments.a), existing(arguments.b), registry):
        print(table.render(arguments.format))


def merge_folders(arguments: argparse.Namespace) -> None:
    """unite results folders of several machines; sources are never changed"""
    from .merge import merge

    done = merge(arguments.sources, arguments.into)
    for line in (*done.conflicts, *done.remarks):
        print(line)
    print(
        f"{arguments.into} holds {done.records} record(s), {done.added} of them new; "
        f"{len(done.conflicts)} trial(s) with several records, {len(done.remarks)} file(s) left out"
    )


def export_frame(arguments: argparse.Namespace) -> None:
    """scores or trials as a CSV or Parquet file of documented columns"""
    from .exchange import columns_table, export
    from .index import open_index

    if arguments.columns:
        print(columns_table().render(arguments.format))
        return
    if arguments.out is None:
        raise Misuse("expected --out FILE (.csv or .parquet), or --columns")
    index = open_index(existing(arguments.results))
    frame = index.scores() if arguments.what == "scores" else index.trials()
    export(frame, arguments.out)
    for remark in index.remarks:
        print(remark, file=sys.stderr)
    print(f"{arguments.out}: {len(frame)} rows")


def import_source(arguments: argparse.Namespace) -> int:
    """copy records that others hand in, each checked; exit code 1 if one is refused"""
    from .submission import import_records

    done = import_records(arguments.source, Store(arguments.results))
    for line in done.refused:
        print(f"refused {line}", file=sys.stderr)
    for line in done.remarks:
        print(line)
    print(
        f"{arguments.results}: {len(done.added)} record(s) added, {len(done.present)} there "
        f"already, {len(done.refused)} refused"
    )
    return 1 if done.refused else 0


def print_schema(_: argparse.Namespace) -> None:
    """the JSON Schema of a record"""
    from .record_schema import schema_text

    print(schema_text(), end="")


def existing(folder: str) -> Store:
    """The store of a results folder that is there.

    Raises:
        Misuse: it is not.
    """
    if not Path(folder).is_dir():
        raise Misuse(f"no results folder {folder}: expected one that `pytest bench/` wrote")
    return Store(folder)
