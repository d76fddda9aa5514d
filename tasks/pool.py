"""Rows of slow generators, made once and kept: blocks of a pool, each a file written whole.

A pool is the rows 0, 1, 2, … of one key; whoever wants more of them adds blocks. A block that is
not there is made and renamed into place, so that an interrupted run loses one block at most and two
runs at once end with the same files: they start at different blocks, and take over what the other
has finished. A block that does not read is made again. Files lie in `$CLOSEDLOOP_CACHE`, or in
`~/.cache/closedloop`; where that cannot be written, rows are made and not kept.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor

Columns = dict[str, Tensor]
Make = Callable[[Tensor], Columns]
"""Row numbers [R] -> columns [R, …], each row from its number alone."""
Tell = Callable[[str, int, int], None]
"""Called with (pool, rows ready, rows wanted) after every block; may raise to stop."""

BLOCK = 64
QUIET_SECONDS = 2.0


def to_terminal() -> Tell:
    """A teller that writes to standard error once a second, after QUIET_SECONDS of silence."""
    begun, told = time.monotonic(), [0.0]

    def tell(name: str, ready: int, wanted: int) -> None:
        now = time.monotonic()
        if now - begun > QUIET_SECONDS and now - told[0] > 1:
            told[0] = now
            print(f"making {name}: {ready} of {wanted} rows", file=sys.stderr, flush=True)

    return tell


LISTENER: ContextVar[Tell | None] = ContextVar("closedloop_pool_listener", default=None)


@contextlib.contextmanager
def heard_by(tell: Tell) -> Iterator[None]:
    """Tell `tell` of every block that is made in this context."""
    token = LISTENER.set(tell)
    try:
        yield
    finally:
        LISTENER.reset(token)


def cache_folder() -> Path:
    """Where pools are kept."""
    return Path(os.environ.get("CLOSEDLOOP_CACHE") or Path.home() / ".cache" / "closedloop")


def pooled(name: str, key: int, n: int, make: Make) -> Columns:
    """Rows 0 … n−1 of a pool, made where they are not yet kept.

    `name` is for people; `key` and the source of the generators tell the pool.
    """
    folder = cache_folder() / f"{name}-{key & (2**64 - 1):016x}-{source_hash(make)}"
    blocks = max(1, -(-n // BLOCK))
    found = {number: read(folder / f"{number:06d}.pt") for number in range(blocks)}
    missing = [number for number, columns in found.items() if columns is None]
    tell = LISTENER.get() or to_terminal()
    shift = os.getpid() % len(missing) if missing else 0
    for done, number in enumerate(missing[shift:] + missing[:shift], 1):
        path = folder / f"{number:06d}.pt"
        found[number] = read(path) or kept(path, make(block_rows(number)))
        tell(name, min(n, (blocks - len(missing) + done) * BLOCK), n)
    parts = [columns for columns in found.values() if columns is not None]
    return {column: torch.cat([part[column] for part in parts])[:n] for column in parts[0]}


def block_rows(number: int) -> Tensor:
    """Row numbers of a block."""
    return torch.arange(number * BLOCK, (number + 1) * BLOCK)


def read(path: Path) -> Columns | None:
    """The columns of a block, or None where there is none that reads."""
    try:
        columns = torch.load(path, weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # a torn or foreign file fails in many ways: it is made again
        return None
    whole = isinstance(columns, dict) and all(len(column) == BLOCK for column in columns.values())
    return columns if whole and columns else None


def kept(path: Path, columns: Columns) -> Columns:
    """Write a block into place, if it can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        warn_once(str(path.parent.parent), str(error))
        return columns
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(columns, file)
        os.chmod(temporary, 0o644)  # a cache may be shared
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        warn_once(str(path.parent.parent), str(error))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return columns


@functools.lru_cache(maxsize=8)
def warn_once(folder: str, reason: str) -> None:
    """Say that rows are not kept."""
    warnings.warn(
        f"cannot keep rows in {folder} ({reason}): they are made anew by every run. "
        "Set CLOSEDLOOP_CACHE to a folder that can be written",
        stacklevel=3,
    )


def source_hash(make: Make) -> str:
    """Eight hex digits of the generator's source: changed code makes a pool of its own."""
    paths = {Path(__file__)}
    with contextlib.suppress(TypeError, OSError):
        paths |= sources(Path(inspect.getfile(inspect.unwrap(getattr(make, "func", make)))))
    return sources_hash(tuple(sorted(paths)))


def sources(path: Path) -> set[Path]:
    """A module's file, with those that it imports from its folder or from `tasks`, and so on.

    So that a change to another task leaves a pool as it is.
    """
    found, pending = set(), [path]
    while pending:
        path = pending.pop()
        if path not in found and path.is_file():
            found.add(path)
            pending += imported(path)
    return found


@functools.lru_cache(maxsize=64)
def imported(path: Path) -> tuple[Path, ...]:
    """Where those modules would lie from which a file imports, by `.name` or `….tasks.name`."""
    found, prefix = [], f"{__package__}."
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [path.parent / f"{name}.py" for name in names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith(prefix):
                found.append(Path(__file__).parent / f"{node.module.removeprefix(prefix)}.py")
    return tuple(found)


@functools.lru_cache(maxsize=16)
def sources_hash(paths: tuple[Path, ...]) -> str:
    """SHA-256 of files, by their order, eight hex digits of it."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
