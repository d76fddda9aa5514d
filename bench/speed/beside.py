"""A pytest plugin: before every trial its bare loops are run and timed, in the same process."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from ..registry import Registry
from .harness import bare_trial
from .line import Where

SECONDS: dict[str, float] = {}
"""Trial's name -> seconds of its bare loops."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the seconds go."""
    parser.addoption("--bare-seconds", required=True, help="JSON: trial -> seconds of bare loops")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The bare loops of a test's trial, then the test."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "trial" in callspec.params:
        arena = item.funcargs["arena"]  # type: ignore[attr-defined]
        trial, settings = arena.by_name[callspec.params["trial"]], arena.settings
        before = torch.get_num_threads()
        torch.set_num_threads(settings.threads)
        started = time.perf_counter()
        bare_trial(trial, Registry(), Where(torch.device(settings.device), settings.threads))
        SECONDS[trial.name] = time.perf_counter() - started
        torch.set_num_threads(before)
    return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write them down."""
    Path(session.config.option.bare_seconds).write_text(json.dumps(SECONDS))
