"""The house: arrows, packaging, and one line per entry."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from closedloop.bench.registry import Registry
from closedloop.methods import METHODS
from closedloop.tasks import TASKS

ROOT = Path(__file__).parents[1]
ROOMS = ("tasks", "methods", "bench")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
BRICKS = ("layers", "energies", "solvers")


def imported(path: Path) -> set[str]:
    """Dotted closedloop modules that a file imports, without the first word."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = path.relative_to(ROOT).parts[: -node.level]
            names = [".".join(("closedloop", *base, *filter(None, [node.module])))]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        found |= {name.partition(".")[2] for name in names if name.startswith("closedloop.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_one_way(path: Path) -> None:
    room, *rest = path.relative_to(ROOT).parts
    entries = {target.partition(":")[0] for target in (*METHODS.values(), *TASKS.values())}
    for name in imported(path):
        head = name.split(".")
        if room == "tasks":
            assert head[0] == "tasks", name
        elif room == "methods":
            allowed = head[0] == "methods" or name in ("tasks.task", "tasks.counter")
            assert allowed, name
            if f"closedloop.{name}" in entries:
                assert name == "methods." + Path(*rest).stem, f"a method imports {name}"
        else:
            assert f"closedloop.{name}" not in entries, f"bench names one entry: {name}"


def test_every_folder_of_code_is_packaged() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    found = {".".join(("closedloop", *path.relative_to(ROOT).parent.parts)) for path in FILES}
    assert listed == found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_a_name_of_the_standard_library_s(path: Path) -> None:
    """A script run from its folder would import it in the other's place (`copy`, `queue`, …)."""
    assert path.stem not in sys.stdlib_module_names


def test_presets_are_packaged() -> None:
    import importlib.resources

    shipped = {
        path.name for path in importlib.resources.files("closedloop.bench.presets").iterdir()
    }
    assert {path.name for path in (ROOT / "bench/presets").glob("*.toml")} <= shipped


@pytest.mark.parametrize("name", METHODS)
def test_a_method_states_what_it_is(name: str) -> None:
    method = Registry().method(name)
    assert method.family and method.source and method.__doc__
    assert method.iterates in ("nothing", "hidden", "weights", "answer")


def test_no_file_is_tracked_that_a_tool_makes() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    command = ["git", "-C", str(ROOT), "ls-files"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert tracked and not [
        name for name in tracked if "__pycache__" in name or ".egg-info" in name
    ]
