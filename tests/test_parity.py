"""Parity: rows, strata and levels, against plain Python and over all sizes."""

import hashlib
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.run import batch_hash
from closedloop.tasks.counter import mix, words
from closedloop.tasks.parity import BINS, Parity, count_edges
from closedloop.tasks.task import Batch

SAMPLERS = ("natural", "stratified")


def plain(row: list[int]) -> list[int]:
    total, running = 0, []
    for bit in row:
        total += bit
        running.append(total % 2)
    return running


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 700),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    sampler=st.sampled_from(SAMPLERS),
)
def test_targets_are_running_parities_at_any_length(length, seed, split, sampler) -> None:
    batch = Parity(sampler=sampler).sample(5, length, seed, split)
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == plain(row)


def test_labels_hold_past_the_range_of_a_byte() -> None:
    ones = torch.ones(1, 5000, dtype=torch.int64)
    assert Parity().label(ones)[0].tolist() == plain([1] * 5000)


@pytest.mark.parametrize("length", [16, 17, 40, 64, 255, 256])
def test_strata_hold_as_many_even_as_odd_counts(length: int) -> None:
    """So that a stratum does not give its last label away."""
    edges = [0, *count_edges(length).tolist()]
    edges[-1] -= length % 2
    for low, high in itertools.pairwise(edges):
        counts = range(low + 1, high + 1)
        assert sum(c % 2 for c in counts) * 2 == len(counts)
    batch = Parity(sampler="stratified").sample(4000, length, 0, "test")
    shares = batch.strata["density"].bincount(minlength=BINS) / 4000
    # a share of 1/8 over 4,000 rows has a standard error of 0.005
    assert bool(((shares - 1 / BINS).abs() < 0.025).all())


def test_natural_bits_are_fair_and_columns_independent() -> None:
    bits = Parity().sample(4000, 130, 1, "train").inputs.double()
    assert abs(float(bits.mean()) - 0.5) < 0.005  # 520,000 bits: standard error 0.0007
    correlation = torch.corrcoef(bits.T) - torch.eye(130)
    assert float(correlation.abs().max()) < 0.1  # 4,000 rows: standard error 0.016, 8,385 pairs


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    batch = Parity().sample(512, 32, 0, "test")
    assert batch_hash(batch) == FROZEN_NATURAL
    batch = Parity(sampler="stratified").sample(512, 32, 0, "test")
    assert batch_hash(batch) == FROZEN_STRATIFIED


FROZEN_NATURAL = "0e84c2419529569b0208da5262e4fb5f94de02a8abdd474d4f8261bbf462d721"
FROZEN_STRATIFIED = "bfec20a8094452a92d28198cc60ae225fb6ec02f0f10f476bae12e5c08128641"


def test_the_mixer_is_splitmix64() -> None:
    """First outputs of the reference generator from state 0."""
    golden = 0x9E3779B97F4A7C15
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    states = [(golden * (i + 1)) % 2**64 for i in range(3)]
    signed = [s - 2**64 if s >= 2**63 else s for s in states]
    assert [w % 2**64 for w in mix(torch.tensor(signed)).tolist()] == expected


def test_words_depend_on_key_row_and_column_alone() -> None:
    rows = torch.arange(10)
    assert torch.equal(words(5, rows, 4)[3:4, :2], words(5, rows[3:4], 2))
    drawn = torch.cat([words(5, torch.arange(1000), 8), words(6, torch.arange(1000), 8)])
    assert len(drawn.unique()) == 16_000


@pytest.mark.parametrize("length", [1, 2, 5, 10])
def test_levels_are_what_their_rules_score_on_all_rows(length: int) -> None:
    rows = torch.tensor(list(itertools.product((0, 1), repeat=length)))
    targets = Parity().label(rows)
    own_bit, running_or = rows, (rows.cumsum(1) > 0).long()
    first = (own_bit[:, :1] == targets[:, :1]).double().mean()
    coin = (float(first) + 0.5 * (length - 1)) / length
    assert Parity().chance(length) == pytest.approx(coin)
    scored = float((running_or == targets).double().mean())
    assert Parity().shortcut(length) == pytest.approx(scored)


def test_transitions_tell_a_slip_from_guessing() -> None:
    """One wrong step inverts all that follows, and costs one transition."""
    batch = Parity().sample(1, 20, 0, "test").to("cpu")
    answers = batch.targets.clone()
    answers[:, 7:] ^= 1
    correct, scored = Parity().checks(batch, answers)["transition"]
    assert int(scored.sum()) == 19 and int((correct & scored).sum()) == 18


def test_an_unknown_sampler_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="Known: natural, stratified"):
        Parity(sampler="fair")


def test_a_batch_refuses_shapes_that_break_the_contract() -> None:
    ids = torch.zeros(2, 3, dtype=torch.int64)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="targets of the inputs' shape"):
        Batch(ids, ids[:, :2], mask, {})
    with pytest.raises(ValueError, match="bool mask"):
        Batch(ids, ids, ids, {})
    with pytest.raises(ValueError, match="stratum 'x'"):
        Batch(ids, ids, mask, {"x": torch.zeros(3)})


def test_hashes_tell_every_field() -> None:
    batch = Parity().sample(3, 8, 0, "test")
    other = Batch(batch.inputs, batch.targets, ~batch.mask, batch.strata)
    assert batch_hash(batch) != batch_hash(other)
    assert len(batch_hash(batch)) == hashlib.sha256().digest_size * 2
