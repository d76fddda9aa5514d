"""The delta rule: its two forms, what its eigenvalues can do, and the exact solution of parity."""

import pytest
import torch

from closedloop.methods.layers.delta import CHUNK, Delta, delta_chunked, delta_recurrence
from closedloop.methods.layers.inner import scan, step_sizes
from closedloop.tasks.parity import Parity

BITS = 4096


def drawn(length: int, seed: int = 0) -> list[torch.Tensor]:
    """Queries, unit keys, values [2, 3, T, 8] and β in [0, 2], float64."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(2, 3, length, 8, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    beta = 2 * torch.rand(2, 3, length, generator=generator, dtype=torch.float64)
    return [query, key / key.norm(dim=-1, keepdim=True), value, beta]


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 5])
def test_the_triangular_system_is_the_recurrence(length) -> None:
    rows = drawn(length)
    # states of size 10 and a condition number near 10 leave 1e-12 of float64's 1e-16
    torch.testing.assert_close(
        delta_chunked(*rows), delta_recurrence(*rows), rtol=1e-11, atol=1e-12
    )


def test_the_chunk_s_length_is_no_matter() -> None:
    rows = drawn(40)
    one = delta_chunked(*rows, chunk=40)
    torch.testing.assert_close(delta_chunked(*rows, chunk=7), one, rtol=1e-11, atol=1e-12)


def test_a_value_written_at_full_rate_is_read_back() -> None:
    """β = 1 replaces what a key of length one held: the answer is the newest value."""
    _, key, value, beta = drawn(20)
    found = delta_chunked(key, key, value, torch.ones_like(beta))
    torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10)  # rounding of float64


# ---- parity ----------------------------------------------------------------------------------


def bits() -> tuple[torch.Tensor, torch.Tensor]:
    """4,096 random bits and their running parity, [1, T]."""
    batch = Parity().sample(1, BITS, 0, "test").to("cpu")
    return batch.inputs, batch.targets


def toggled(inputs: torch.Tensor) -> list[torch.Tensor]:
    """A head of width 1 that parity asks for: β = 2 at ones, k = 1, v = 1/2, hence s ↦ 1 − s."""
    one = torch.ones_like(inputs, dtype=torch.float64)[:, None, :, None]
    return [one, one, one / 2, 2.0 * inputs[:, None].double()]


def test_the_delta_rule_toggles_exactly_over_4096_bits() -> None:
    inputs, parity = bits()
    for form in (delta_recurrence, delta_chunked):
        state = form(*toggled(inputs)).flatten(1)
        assert torch.equal(state, parity.double())  # halves and ones are exact in binary


def mini_batched(inputs: torch.Tensor, size: int) -> torch.Tensor:
    """The same head with the inner gradients of `size` bits taken at one state, [1, T]."""
    query, key, value, beta = toggled(inputs)
    table = step_sizes(beta, torch.ones(size, dtype=torch.float64))
    first = (torch.zeros(1, 1, 1, 1, dtype=torch.float64),)
    found = scan(first, query, key, value, table, lambda z, goal: z - goal, 1)
    return found.after.flatten(1)


def test_a_mini_batch_of_one_is_the_delta_rule() -> None:
    inputs, parity = bits()
    assert torch.equal(mini_batched(inputs, 1), parity.double())


@pytest.mark.parametrize("size", [2, 4, 16])
def test_larger_mini_batches_blow_up_and_end_at_chance(size) -> None:
    """c ones in a mini-batch multiply the state by 1 − 2c, a sum where a product of −1s belongs."""
    inputs, parity = bits()
    state = mini_batched(inputs, size)
    assert float(state[:, :400].abs().max()) > 1e12  # within 400 bits
    answers = (state.nan_to_num(nan=0.0) > 0.5).long()
    accuracy = float((answers == parity).double().mean())
    assert accuracy == pytest.approx(0.5, abs=4 * 0.5 / BITS**0.5)  # four standard errors


def test_beta_stays_within_the_declared_reach() -> None:
    """Eigenvalues 1 − β of the state's transitions: down to −1, or not below 0."""
    generator = torch.Generator().manual_seed(0)
    for negative, lowest in ((True, -1.0), (False, 0.0)):
        layer = Delta(16, 2, negative)
        torch.nn.init.normal_(layer.rate.weight, std=10.0, generator=generator)
        state = torch.randn(8, 50, 16, generator=generator)
        eigenvalues = 1 - layer.beta(state).detach()
        assert lowest <= float(eigenvalues.min()) < lowest + 0.1
        assert float(eigenvalues.max()) <= 1
