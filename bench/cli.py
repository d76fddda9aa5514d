"""The console command `closedloop`: look at the arena and at a results folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import claims_commands, folder_commands, report_commands, speed_commands
from .arena import DEFAULT_RESULTS, Arena, open_arena
from .data import batch_hash
from .errors import Misuse
from .listing import methods_table, presets_table, tasks_table
from .plan import Request
from .registry import load_registry
from .seeds import FROZEN
from .tables import FORMATS, Table


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; a mistake in its use is one line and exit code 4."""
    arguments = parser().parse_args(words)
    try:
        return arguments.command(arguments) or 0
    except Misuse as error:
        print(f"closedloop: {error}", file=sys.stderr)
        return 4
    except BrokenPipeError:  # `closedloop … | head`
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="closedloop", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    planned = argparse.ArgumentParser(add_help=False)
    planned.add_argument(
        "--preset", default="quick", help="a name (closedloop list presets) or a .toml file"
    )
    planned.add_argument("--methods", default="", help="a,b,…")
    planned.add_argument("--tasks", default="", help="a,b,…")
    planned.add_argument("--lengths", default="", help="8,16,…")
    planned.add_argument("--seeds", type=int)
    planned.add_argument("--set", action="append", default=[], metavar="TARGET.KEY=VALUE")
    planned.add_argument("--results", default=DEFAULT_RESULTS, help="results folder")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--plugin", action="append", default=[], help="file or module")
    shared.add_argument("--format", default="text", choices=sorted(FORMATS))

    def add(name: str, command, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=command.__doc__, parents=[*parents, shared])
        found.set_defaults(command=command)
        return found

    listed = add("list", list_entries, planned)
    listed.add_argument("what", nargs="?", choices=("methods", "tasks", "presets"))
    shown = add("show", show_rows)
    shown.add_argument("task")
    shown.add_argument("--length", type=int, help="default: a small one of the task's")
    shown.add_argument("--rows", type=int, default=4)
    shown.add_argument("--seed", type=int, default=FROZEN)
    shown.add_argument("--split", default="test", choices=("train", "validation", "test"))
    shown.add_argument("--set", action="append", default=[], metavar="TASK.KEY=VALUE")
    shown.add_argument(
        "--stratum", action="append", default=[], metavar="AXIS=STRATUM", help="repeatable"
    )
    add("plan", print_plan, planned)
    add("status", print_status, planned)
    contracts = add("contracts", run_contracts)
    contracts.add_argument("--methods", default="", help="a,b,…; default: all")
    contracts.add_argument("--tasks", default="", help="a,b,…; default: all")
    report_commands.register(commands)
    folder_commands.register(add)
    claims_commands.register(add)
    speed_commands.register(add)
    return top


def arena_of(arguments: argparse.Namespace) -> Arena:
    """The arena that the options describe."""
    try:
        lengths = [int(word) for word in arguments.lengths.split(",") if word]
    except ValueError:
        raise Misuse(f"expected --lengths as integers, got {arguments.lengths!r}") from None
    request = Request(
        preset=arguments.preset,
        methods=[word for word in arguments.methods.split(",") if word],
        tasks=[word for word in arguments.tasks.split(",") if word],
        lengths=lengths,
        seeds=arguments.seeds,
        settings=arguments.set,
    )
    return open_arena(request, results=arguments.results, plugins=arguments.plugin)


def show(table: Table, arguments: argparse.Namespace) -> None:
    """Print a table in the format asked for."""
    print(table.render(arguments.format))


def list_entries(arguments: argparse.Namespace) -> None:
    """methods, tasks and presets, with what they state"""
    registry = load_registry(arguments.plugin)
    makers = {"methods": methods_table, "tasks": tasks_table, "presets": presets_table}
    for what, maker in makers.items():
        if arguments.what in (None, what):
            show(maker(registry, arguments.preset), arguments)
    for path, reason in registry.broken.items():
        print(f"plug-in {path} did not import: {reason}", file=sys.stderr)


def show_rows(arguments: argparse.Namespace) -> None:
    """example rows of a task: boards as boards, words as words, with answers and strata"""
    from .plan import parse_settings
    from .showing import row_text, shown_rows
    from .task_plan import task_options

    registry = load_registry(arguments.plugin)
    registry.require("task", [arguments.task])
    name, fixed = registry.task_variants.get(arguments.task, (arguments.task, {}))
    settings = parse_settings(arguments.set)
    for target in settings:
        if target != arguments.task:
            raise Misuse(f"expected --set {arguments.task}.key=value, got target {target!r}")
    if arguments.rows < 1:
        raise Misuse(f"expected --rows of at least 1, got {arguments.rows}")
    given = {**fixed, **settings.get(arguments.task, {})}
    _, options = task_options(name, given, registry)
    task = registry.task(name)(**options)
    length = task.lengths[1] if arguments.length is None else arguments.length
    place = (arguments.rows, length, arguments.seed, arguments.split)
    batch = shown_rows(task, *place, arguments.stratum)
    print(f"{arguments.task}, {arguments.split} split, length {length}")
    for row in range(len(batch)):
        print(f"\n{row_text(task, batch, row)}")
    print(f"\nSHA-256 of these {len(batch)} rows: {batch_hash(batch)}")


def print_plan(arguments: argparse.Namespace) -> None:
    """the trials of a request and what they would cost; runs nothing"""
    from .estimate import estimate_table

    arena = arena_of(arguments)
    show(estimate_table(arena, arena.trials), arguments)


def run_contracts(arguments: argparse.Namespace) -> int:
    """hold methods and tasks, a plug-in's too, to the contracts"""
    import pytest

    words = [str(Path(__file__).with_name("contracts.py")), "-p", "no:cacheprovider"]
    for plugin in arguments.plugin:
        words += ["--plugin", plugin]
    for name in ("methods", "tasks"):
        if getattr(arguments, name):
            words += [f"--{name}", getattr(arguments, name)]
    return int(pytest.main(words))


def print_status(arguments: argparse.Namespace) -> None:
    """what is done, failed, running and missing in a results folder"""
    from .executors.executor import told

    arena = arena_of(arguments)
    records = {record.trial.id: record for record in arena.records()}
    counts: dict[str, int] = {}
    for trial in arena.trials:
        status = records[trial.id].status if trial.id in records else "missing"
        counts[status] = counts.get(status, 0) + 1
    told_counts = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    print(
        f"{arguments.results}, preset {arguments.preset}: {len(arena.trials)} trials, {told_counts}"
    )
    for trial in arena.trials:
        record = records.get(trial.id)
        if record is not None and record.status != "ok":
            print(f"  {trial.name} {record.status}: {record.reason.splitlines()[0]}")
    for beat in arena.store.beats().values():
        print(f"  running: {told(beat)}, last sign {time.time() - beat['time']:.0f} s ago")
    for line in arena.store.set_aside:
        print(f"  set aside: {line}")


if __name__ == "__main__":
    sys.exit(main())
