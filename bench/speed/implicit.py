"""Gradients through 32 iterations, or through the equilibrium alone: memory and time.

Memory is told by child processes: how far one update of each raises the peak of its process above
where it stood, model and rows being made. On a GPU, by torch's own count.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from ..errors import Misuse
from .line import Line, Side, Where
from .models import DEPTH, WIDTH, model_of, own_training, rows_of

GRADIENTS = ("implicit", "unrolled")
ROWS, LENGTH, ITERATIONS = 16, 64, 32
SIZES = f"K = {ITERATIONS}, d {WIDTH}, {DEPTH} blocks, L {LENGTH}, {ROWS} rows"


def time_sides(where: Where) -> Sequence[Side]:
    """An update of the same EqT with either gradient."""
    rows = rows_of(ROWS, LENGTH, where)
    return [
        Side(
            gradient,
            own_training(
                model_of("eqt", LENGTH, where, gradient=gradient, iterations=ITERATIONS), rows
            ),
        )
        for gradient in GRADIENTS
    ]


def memory_sides(where: Where) -> Sequence[Side]:
    """The same in children of their own."""
    return [Side(gradient, partial(child, gradient, where)) for gradient in GRADIENTS]


def child(gradient: str, where: Where) -> float:
    """MiB that an update takes in a fresh process.

    Raises:
        Misuse: the child failed.
    """
    words = [sys.executable, "-m", __name__, gradient, str(where.device), str(where.threads)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise Misuse(f"an update with {gradient} gradients failed: {done.stderr.strip()[-200:]}")
    return float(done.stdout)


def raised(gradient: str, where: Where) -> float:
    """MiB by which an update's peak lies above what stood before it."""
    torch.set_num_threads(where.threads)
    rows = rows_of(ROWS, LENGTH, where)
    model = model_of("eqt", LENGTH, where, gradient=gradient, iterations=ITERATIONS)
    update = own_training(model, rows)
    before = standing(where)
    update()
    return peak(where) - before


STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def standing(where: Where) -> float:
    """What is held now, MiB; the peak counts from here.

    Raises:
        Misuse: the system cannot start a peak anew.
    """
    if where.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where.device)
        return torch.cuda.memory_allocated(where.device) / 2**20
    try:
        RESET.write_text("5")
    except OSError as error:
        raise Misuse("expected Linux, where a process can start its peak of memory anew") from error
    return field("VmRSS")


def peak(where: Where) -> float:
    """The peak since `standing`, MiB."""
    if where.device.type == "cuda":
        return torch.cuda.max_memory_allocated(where.device) / 2**20
    return field("VmHWM")


def field(name: str) -> float:
    """A field of this process's status, MiB."""
    lines = STATUS.read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(f"{name}:"))
    return float(line.split()[1]) / 1024


TIME = Line(
    name="implicit-time",
    measured="EqT's training step with implicit gradients against unrolled ones",
    sizes=SIZES,
    bound=1.5,
    prepare=time_sides,
    rounds=7,
)
MEMORY = Line(
    name="implicit-memory",
    measured="peak memory of EqT's training step, implicit gradients against unrolled",
    sizes=SIZES,
    bound=0.5,
    prepare=memory_sides,
    apart=True,
    unit="MiB",
    rounds=3,
    warm=0,
)

if __name__ == "__main__":
    chosen, device, threads = sys.argv[1:]
    print(raised(chosen, Where(torch.device(device), int(threads))))
