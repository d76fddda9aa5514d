"""Where a trial ran: versions, code, device. Kept in the record, never in its id."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch


def resolve_device(name: str) -> str:
    """`auto` is a CUDA device where there is one, else the CPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


@functools.cache
def versions() -> dict[str, str]:
    """Python and the packages that can move a result."""
    found = {"python": platform.python_version()}
    for package in ("closedloop", "torch", "numpy", "torchdeq", "diffusers"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


CODE = (":(top)", ":(top,exclude)results")
"""What makes a work tree dirty: results in the making are no code."""


@functools.cache
def code_version(file: Path = Path(__file__)) -> dict[str, Any]:
    """Git commit of the code that runs, and whether the work tree differs; {} outside a clone."""
    folder = file.parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", file.name) == "":
            return {}
        changed = bool(git("status", "--porcelain", "--", *CODE))
        return {"commit": git("rev-parse", "HEAD"), "dirty": changed}
    except (OSError, subprocess.CalledProcessError):
        return {}


def device_name(device: str) -> str:
    """The device in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return processor()


@functools.cache
def processor() -> str:
    """The CPU's model name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(device: str, threads: int, jobs: int) -> dict[str, Any]:
    """Everything about the machine and the code that a reader may ask for."""
    return {
        "versions": versions(),
        "code": code_version(),
        "platform": platform.system(),
        "device": device.partition(":")[0],
        "device_name": device_name(device),
        "threads": threads,
        "jobs": jobs,
    }
