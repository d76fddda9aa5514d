"""The transformer's training step against others', and against the machine's matrix rate.

The same map for all three: d 256, 6 blocks of 12 d² weights (a plain GELU map of hidden width 4d),
8 heads, pre-norm, causal, sinusoids added to the embedding outside, and one loss. Each library's
own defaults beyond that are kept where they cost nothing; dropout is off in all.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...methods.layers.positions import sinusoids
from ...tasks.task import Batch
from ..costs import count_flops
from ..errors import Misuse
from .line import Line, Side, Where
from .models import DEPTH, HEADS, WIDTH, model_of, own_training, rows_of, training

ROWS = 16


class Peer(nn.Module):
    """Embedding and sinusoids, a library's blocks, a final LayerNorm and the read-out."""

    def __init__(self, blocks: Callable[[Tensor], Tensor], module: nn.Module, length: int) -> None:
        super().__init__()
        self.embedding, self.module = nn.Embedding(2, WIDTH), module
        self.head, self.blocks = nn.Linear(WIDTH, 2), blocks
        self.register_buffer("places", sinusoids(length, WIDTH, torch.device("cpu")))

    def loss(self, rows: Batch) -> Tensor:
        """Mean cross-entropy of the scored positions."""
        state = self.blocks(self.embedding(rows.inputs) + self.places)
        return F.cross_entropy(self.head(state)[rows.mask], rows.targets[rows.mask])


def torch_encoder(length: int) -> Peer:
    """torch.nn.TransformerEncoder, causal."""
    layer = nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        4 * WIDTH,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    encoder = nn.TransformerEncoder(layer, DEPTH, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
    mask = nn.Transformer.generate_square_subsequent_mask(length)

    def blocks(state: Tensor) -> Tensor:
        return encoder(state, mask=mask.to(state.device), is_causal=True)

    return Peer(blocks, encoder, length)


def x_transformers(length: int) -> Peer:
    """x-transformers' Decoder with torch's fused attention.

    Raises:
        Misuse: the package is not there.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # it scripts functions when it is imported
            from x_transformers import Decoder  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        raise Misuse(
            'expected x-transformers to compare with; install it: pip install -e ".[speed]"'
        ) from error
    decoder = Decoder(
        dim=WIDTH, depth=DEPTH, heads=HEADS, attn_dim_head=WIDTH // HEADS, attn_flash=True
    )
    return Peer(decoder, decoder, length)


def sides(length: int, where: Where) -> list[Side]:
    """Ours, then the two peers."""
    rows = rows_of(ROWS, length, where)
    ours = model_of("transformer", length, where, feed_forward="plain")
    found = [Side("transformer", own_training(ours, rows))]
    makers: dict[str, Callable[[int], Peer]] = {
        "nn.TransformerEncoder": torch_encoder,
        "x-transformers": x_transformers,
    }
    for name, make in makers.items():
        peer = make(length).to(where.device)
        found.append(Side(name, training(peer, lambda peer=peer: peer.loss(rows))))  # type: ignore[misc]
    return found


def step_line(length: int) -> Line:
    """The training step at a length."""
    return Line(
        name=f"step-{length}",
        measured="training step of the transformer against the faster peer",
        sizes=f"d {WIDTH}, {DEPTH} blocks, L {length}, {ROWS} rows",
        bound=1.0,
        prepare=lambda where: sides(length, where),
        rounds=11,
    )


STEP_64, STEP_256 = step_line(64), step_line(256)


# ---- model FLOPs over the matrix rate ----------------------------------------------------------


def matrix_rate(size: int, where: Where) -> Callable[[], float]:
    """FLOP/s of a square product in float32."""
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(size, size, generator=generator).to(where.device) for _ in "ab")
    out = torch.empty_like(one)

    def rate() -> float:
        started = time.perf_counter()
        torch.mm(one, other, out=out)
        if where.device.type == "cuda":
            torch.cuda.synchronize(where.device)
        return 2 * size**3 / (time.perf_counter() - started)

    return rate


def flops_rate(update: Callable[[], Any], flops: int, where: Where) -> Callable[[], float]:
    """FLOP/s of an update that was counted."""

    def rate() -> float:
        started = time.perf_counter()
        update()
        if where.device.type == "cuda":
            torch.cuda.synchronize(where.device)
        return flops / (time.perf_counter() - started)

    return rate


def mfu_sides(where: Where) -> Sequence[Side]:
    """Our step's FLOP/s, and the best of three square products."""
    length = 256
    rows = rows_of(ROWS, length, where)
    model = model_of("transformer", length, where)
    update = own_training(model, rows)
    flops = count_flops(update)
    peers = [Side(f"product of {size}²", matrix_rate(size, where)) for size in (512, 1024, 2048)]
    return [Side("training step", flops_rate(update, flops, where)), *peers]


MFU = Line(
    name="mfu",
    measured="counted FLOPs of a training step over its seconds, against the matrix rate",
    sizes=f"d {WIDTH}, L 256, {ROWS} rows, float32; causal attention as the whole square",
    bound=0.6,
    prepare=mfu_sides,
    unit="FLOP/s",
    at_least=True,
    rounds=11,
)
