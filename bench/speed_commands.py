"""The console command `closedloop speed`: how fast the arena is here, against its peers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .errors import Misuse, unknown
from .tables import SUFFIXES, Table, write_text

if TYPE_CHECKING:
    from .speed.line import Where

FAILED = "failed: "


def register(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the console's parser."""
    found = add("speed", print_speed)
    found.add_argument("--lines", default="", help="step-64,delta,…; default: all")
    found.add_argument("--device", default="auto", help="auto, cpu or cuda")
    found.add_argument("--threads", type=int, default=1, help="default: 1, as a trial has")
    found.add_argument("--scaling", action="store_true", help="exponents over K, L, d, rows too")
    found.add_argument("--profile", action="store_true", help="where the lines' time goes; no race")
    kept = "tell runs that were kept, a line by the latest that has it; runs nothing"
    found.add_argument("--read", metavar="FILE", nargs="+", help=kept)
    found.add_argument("--out", help="folder for speed.json, tables and the figure")


def print_speed(arguments: argparse.Namespace) -> int:
    """speed here: training, answers, loops and harness, each against a peer or its plain form"""
    from .speed import LINES
    from .speed.report import read, told_by

    names = [word for word in arguments.lines.split(",") if word]
    for name in names:
        if name not in LINES:
            raise unknown("speed line", name, LINES)
    if arguments.threads < 1:
        raise Misuse(f"expected --threads of at least 1, got {arguments.threads}")
    if arguments.profile:
        show(profiled(names, arguments), arguments)
        return 0
    paths = [Path(file) for file in arguments.read or [raced(names, arguments)]]
    runs = [read(path) for path in paths]
    show([told_by(*runs)], arguments)
    if arguments.scaling:
        show([scaled(arguments)], arguments)
    reasons = [reason for run in runs for reason in run.get("not_run", {}).values()]
    return int(any(reason.startswith(FAILED) for reason in reasons))


def show(tables: Sequence[Table], arguments: argparse.Namespace) -> None:
    """Print the tables, and write them where a folder was named."""
    for table in tables:
        print(table.render(arguments.format))
        if arguments.out:
            for form, suffix in SUFFIXES.items():
                write_text(Path(arguments.out) / f"{table.name}.{suffix}", table.render(form))


def profiled(names: Sequence[str], arguments: argparse.Namespace) -> list[Table]:
    """The named lines' profiles, or those of all lines that run in this process."""
    from .speed import LINES

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it tells of its starts and stops otherwise
    from .speed.profiling import profile_table
    from .speed.report import load

    lines = [load(name) for name in names] or [
        line for line in map(load, LINES) if line.inside or not line.apart
    ]
    where = machine(arguments)
    return [profile_table(line, where) for line in lines]


def machine(arguments: argparse.Namespace) -> Where:
    """The device and threads that were named, set."""
    import torch

    from .environment import resolve_device
    from .speed.line import Where

    torch.set_num_threads(arguments.threads)
    return Where(torch.device(resolve_device(arguments.device)), arguments.threads)


def raced(names: list[str], arguments: argparse.Namespace) -> Path:
    """Run the lines under pytest-benchmark; the path of its JSON, with what did not run added.

    Raises:
        Misuse: pytest-benchmark is not there, or no line ran.
    """
    from .speed import LINES

    if find_spec("pytest_benchmark") is None:
        raise Misuse('expected pytest-benchmark; install it: pip install -e ".[speed]"')
    folder = Path(arguments.out or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    path, wanted = folder / "speed.json", names or list(LINES)
    path.unlink(missing_ok=True)  # an earlier run's numbers are not this one's
    tests = Path(__file__).with_name("test_speed.py")
    command = [sys.executable, "-m", "pytest", *(f"{tests}::test_speed[{n}]" for n in wanted)]
    told = folder / "speed.xml"
    command += ["--benchmark-json", str(path), "--benchmark-quiet", "-q", "--junitxml", str(told)]
    command += ["-W", "ignore:Benchmark fixture was not used"]  # a line that is skipped
    command += ["--device", arguments.device, "--threads", str(arguments.threads)]
    done = subprocess.run([*command, "-p", "no:cacheprovider"], capture_output=True, text=True)
    if not told.is_file():
        raise Misuse(f"no line ran: {(done.stdout + done.stderr).strip()[-400:]}")
    reasons = lacking(told.read_text())
    told.unlink()
    text = path.read_text() if path.is_file() else ""  # empty where no line came to its end
    run = json.loads(text) if text else {"benchmarks": []}
    ran = {each["extra_info"]["line"] for each in run["benchmarks"]} - set(reasons)
    run["not_run"] = {name: reasons.get(name, "not reached") for name in wanted if name not in ran}
    run.get("machine_info", {}).pop("node", None)  # the host's name is nobody's business
    write_text(path, json.dumps(run, indent=1))
    return path


def lacking(report: str) -> dict[str, str]:
    """Line -> why it did not run or that it failed, from pytest's JUnit report."""
    found: dict[str, str] = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        name = case.get("name", "").partition("[")[2].rstrip("]")
        for kind, prefix in (("skipped", ""), ("failure", FAILED), ("error", FAILED)):
            for each in case.iter(kind):
                told = prefix + each.get("message", "").splitlines()[0]
                found.setdefault(name, told)  # what comes at its teardown is not why
    return found


def scaled(arguments: argparse.Namespace) -> Table:
    """Measure the exponents, write their points and figure where a folder was named."""
    from .figures.figure import Drawing, write_drawing
    from .speed.scaling import exponents_table, measured, scaling_figure

    points = measured(machine(arguments))
    table = exponents_table(points)
    if arguments.out:
        figure = scaling_figure(points)
        drawing = Drawing("speed-growth", table.title, table.notes[0], figure, points)
        write_drawing(drawing, Path(arguments.out))
    return table
