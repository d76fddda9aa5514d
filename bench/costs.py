"""What a method costs: parameters, FLOPs by torch's counter, seconds, bytes.

FLOPs are counted on the CPU with plain kernels on two rows and scaled by rows, so that they do not
depend on the device or on fused kernels that the counter misses (attention's, oneDNN's for an
LSTM). It counts matrix products, convolutions and attention, and triangular systems by a formula of
ours; element-wise work is not in it. Causal attention counts as the whole square that is computed.
"""

from __future__ import annotations

import contextlib
import copy
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..methods.method import Method, Progress
from ..tasks.task import Batch

COUNTED_ROWS = 2
COUNTED_STEPS = 8
COUNTED_LENGTHS = 4
TIMED_ROWS = 32
REPEATS = 3


def triangular_flops(system: Sequence[int], right: Sequence[int], **_: Any) -> int:
    """Substitution in systems [..., n, n] for right sides [..., n, m]: n² m each, by shapes."""
    return system[-1] * math.prod(right)


UNCOUNTED = {torch.ops.aten.linalg_solve_triangular: triangular_flops}
"""Operations that torch's counter passes over -> their FLOPs."""


def count_flops(work: Callable[[], Any]) -> int:
    """FLOPs of a call, as torch's counter sees them."""
    counter = FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
    with sdpa_kernel(SDPBackend.MATH), without_fused_recurrence(), counter:
        work()
    return counter.get_total_flops()


@contextlib.contextmanager
def without_fused_recurrence() -> Iterator[None]:
    """oneDNN off: its fused LSTM is one operation that torch's counter passes over."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def training_flops(model: Method, parts: Sequence[Batch]) -> float:
    """FLOPs of a training step, forward and backward, per row.

    The mean over COUNTED_STEPS updates spread over the training, since schedules and random loop
    counts make updates differ, and over COUNTED_LENGTHS of the parts, spread over their lengths.
    Where all updates of the first part cost the same, one of each further part is counted.
    """
    twin = copy.deepcopy(model).cpu().train()
    spread = parts if len(parts) <= COUNTED_LENGTHS else evenly(parts, COUNTED_LENGTHS)
    steps, means = COUNTED_STEPS, []
    for part in spread:
        flops = step_flops(twin, part, steps)
        means.append(statistics.fmean(flops))
        steps = 1 if len(set(flops)) == 1 else COUNTED_STEPS
    return statistics.fmean(means)


def step_flops(twin: Method, batch: Batch, steps: int) -> list[float]:
    """FLOPs of a training step per row of this batch, at the first of places of the schedules."""
    rows, flops = batch.rows(slice(COUNTED_ROWS)).to("cpu"), []
    for step in range(1, 2 * steps, 2):
        place = Progress(step, 2 * COUNTED_STEPS + 1, 0)
        total = count_flops(lambda place=place: twin.loss(rows, place).total.backward())  # type: ignore[misc]
        flops.append(total / len(rows))
    return flops


def evenly(parts: Sequence[Batch], count: int) -> list[Batch]:
    """The middle one of each of `count` equal stretches."""
    return [parts[(2 * i + 1) * len(parts) // (2 * count)] for i in range(count)]


def answering_flops(model: Method, batch: Batch, budgets: Sequence[int]) -> dict[str, float]:
    """FLOPs of an answer per token, by iteration budget."""
    twin = copy.deepcopy(model).cpu().eval()
    inputs = batch.rows(slice(COUNTED_ROWS)).to("cpu").inputs
    with torch.no_grad():
        return {
            str(k): count_flops(lambda k=k: twin.answer(inputs, k)) / inputs.numel()  # type: ignore[misc]
            for k in budgets
        }


def answering_seconds(
    model: Method, batch: Batch, budgets: Sequence[int], device: torch.device
) -> dict[str, float]:
    """Median seconds of an answer per token, by iteration budget, on TIMED_ROWS rows."""
    inputs = batch.rows(slice(TIMED_ROWS)).to(device).inputs
    with torch.no_grad():
        model.answer(inputs, 0)
        return {
            str(k): timed(lambda k=k: model.answer(inputs, k), device) / inputs.numel()  # type: ignore[misc]
            for k in budgets
        }


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Median seconds of REPEATS calls, the device's queue drained before and after."""
    seconds = []
    for _ in range(REPEATS):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def synchronize(device: torch.device) -> None:
    """Wait for the device's queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> dict[str, int]:
    """Peak resident memory of this process, and of the device where it has its own."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device.type == "cuda":
        peak["device"] = torch.cuda.max_memory_allocated(device)
    return peak
