"""The pytest front end: options, one test a trial, progress, and the leaderboard at the end."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from closedloop.bench.arena import DEFAULT_RESULTS, EXECUTORS, RERUNS, Arena, open_arena
from closedloop.bench.claims.front import write_verdicts
from closedloop.bench.errors import Misuse
from closedloop.bench.estimate import estimate_table
from closedloop.bench.plan import Request
from closedloop.bench.summary import write_leaderboard

ARENA = pytest.StashKey[Arena]()
TRIAL = "trial"


def comma(text: str) -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every option of the arena; `pytest bench/ --help` shows them."""
    group = parser.getgroup("closedloop")
    group.addoption("--preset", default="quick", help="a name (closedloop list) or a .toml file")
    group.addoption("--methods", type=comma, default=[], help="a,b,…; default: the preset's")
    group.addoption("--tasks", type=comma, default=[], help="a,b,…; default: the preset's")
    group.addoption("--lengths", type=comma, default=[], help="8,16,…; default: the preset's")
    group.addoption("--seeds", type=int, help="number of seeds; default: the preset's")
    group.addoption(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="TARGET.KEY=VALUE",
        help="an option of a method, a task, train or evaluate; repeatable",
    )
    group.addoption("--device", default="auto", help="auto, cpu or cuda")
    group.addoption("--executor", help=f"{' or '.join(EXECUTORS)}; default: local")
    group.addoption("--jobs", type=int, help="trials at once; default: one a CPU core")
    group.addoption("--threads", type=int, default=1, help="threads a trial; default: 1")
    group.addoption("--trial-timeout", type=float, metavar="SECONDS", help="wall limit of a trial")
    group.addoption("--results", default=DEFAULT_RESULTS, metavar="DIR", help="results folder")
    group.addoption("--rerun", default="none", help=f"{', '.join(RERUNS)}; default: none")
    group.addoption(
        "--plugin", action="append", default=[], metavar="FILE|MODULE", help="repeatable"
    )
    group.addoption("--keep-weights", action="store_true", help="keep the best weights")
    group.addoption("--plan", action="store_true", help="print trials and cost, run nothing")


def pytest_configure(config: pytest.Config) -> None:
    """pytest-benchmark, where it is installed, makes a folder in any session: not in ours."""
    if getattr(config.option, "benchmark_storage", "").endswith("/.benchmarks"):
        config.option.benchmark_storage = f"file://{os.devnull}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the options; what is wrong with them is told in one line, with exit code 4."""
    option = session.config.option
    distributed = bool(getattr(option, "numprocesses", None)) or hasattr(
        session.config, "workerinput"
    )
    if distributed and option.executor == "local":
        raise pytest.UsageError("expected --executor inline with -n: workers run their own trials")
    try:
        session.config.stash[ARENA] = open_arena(
            Request(
                preset=option.preset,
                methods=option.methods,
                tasks=option.tasks,
                lengths=lengths(option.lengths),
                seeds=option.seeds,
                settings=option.settings,
            ),
            results=option.results,
            plugins=option.plugin,
            device=option.device,
            executor=option.executor or ("inline" if distributed else "local"),
            jobs=option.jobs,
            threads=option.threads,
            timeout=option.trial_timeout,
            rerun=option.rerun,
            keep_weights=option.keep_weights,
        )
    except Misuse as error:
        raise pytest.UsageError(str(error)) from None


def lengths(words: list[str]) -> list[int]:
    """The --lengths option as numbers."""
    try:
        return [int(word) for word in words]
    except ValueError:
        raise Misuse(f"expected --lengths as integers, got {','.join(words)!r}") from None


ASKED = {"test_claims.py": "claims", "test_speed.py": "speed"}
"""Files of tests that run where they are asked for, and the word that asks."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Claims and speed are examined where asked for: by `-k claims`, or by their file."""
    name = collection_path.name
    if name not in ASKED or ASKED[name] in (config.option.keyword or ""):
        return None
    return None if any(name in str(word) for word in config.args) else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a trial, named after it."""
    if TRIAL in metafunc.fixturenames:
        metafunc.parametrize(TRIAL, [trial.name for trial in arena_of(metafunc.config).trials])


def arena_of(config: pytest.Config) -> Arena:
    """The session's arena."""
    return config.stash[ARENA]


@pytest.fixture
def arena(request: pytest.FixtureRequest) -> Arena:
    """The session's arena."""
    return arena_of(request.config)


def trial_items(session: pytest.Session) -> dict[str, pytest.Item]:
    """The collected tests that stand for trials, by trial name."""
    found = {}
    for item in session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and TRIAL in callspec.params:
            found[callspec.params[TRIAL]] = item
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the selected trials by the executor, and report each as it is done."""
    config, items = session.config, trial_items(session)
    if not items or config.option.collectonly:
        return None
    here = arena_of(config)
    trials = [here.by_name[name] for name in items]
    if config.option.plan:
        reporter(config).write_line("")
        for line in estimate_table(here, trials).render("text").splitlines():
            reporter(config).write_line(line)
        return True
    try:
        here.store.require_writable()
        here.store.save_plan(here.trials[0].preset, here.trials)
        if here.executor == "inline":
            here.pending(trials)
            return None
        run_items(session, here, items)
    except Misuse as error:
        raise pytest.UsageError(str(error)) from None
    return True


def run_items(session: pytest.Session, here: Arena, items: dict[str, pytest.Item]) -> None:
    """Other tests first, then trials as the executor finishes them."""
    chosen = {id(item) for item in items.values()}
    trials = [here.by_name[name] for name in items]
    for item in session.items:
        if id(item) not in chosen:
            protocol(session, item)
    if stopped(session):
        return
    results = here.run(trials, lambda line: say(session.config, line))
    try:
        for trial in results:
            protocol(session, items[trial.name])
            if stopped(session):
                break
    finally:
        results.close()  # type: ignore[attr-defined]


def protocol(session: pytest.Session, item: pytest.Item) -> None:
    """Run one test; its neighbours are unknown, so that every fixture is its own."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def stopped(session: pytest.Session) -> bool:
    """Whether -x or an interrupt asks for the end, as pytest's own loop sees it."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return False


def reporter(config: pytest.Config):  # noqa: ANN201 - pytest exports no type for it
    """pytest's terminal reporter."""
    return config.pluginmanager.getplugin("terminalreporter")


def say(config: pytest.Config, line: str) -> None:
    """Print a line past pytest's own."""
    terminal = reporter(config)
    if terminal is None:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        terminal.ensure_newline()
        terminal.write_line(f"{time.strftime('%H:%M:%S')} {line}")


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line while a test runs."""
    return functools.partial(say, request.config)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """`c` cached, `d` diverged: both passed, both to be seen."""
    if report.when != "call" or not report.passed:
        return None
    kind = dict(report.user_properties).get("closedloop")
    if kind == "cached":
        return "cached", "c", "CACHED"
    if kind == "diverged":
        return "diverged", "d", "DIVERGED"
    return None


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:  # noqa: ANN001
    """The claims' verdicts, and the leaderboard from the store, also when tests failed."""
    write_verdicts(terminalreporter)
    here = config.stash.get(ARENA, None)
    option = config.option
    if here is None or option.plan or option.collectonly or not here.store.folder.is_dir():
        return
    session = getattr(terminalreporter, "_session", None)
    if session and trial_items(session):
        write_leaderboard(terminalreporter, here)
