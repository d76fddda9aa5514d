"""Parity: rows, strata and levels, against plain Python and over all sizes."""

import hashlib
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.counter import mix, words
from closedloop.tasks.parity import Parity
from closedloop.tasks.sampling import BINS, count_edges, count_ends
from closedloop.tasks.task import SAMPLERS, Batch


def plain(row: list[int], modulus: int = 2) -> list[int]:
    total, running = 0, []
    for number in row:
        total += number
        running.append(total % modulus)
    return running


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 700),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    sampler=st.sampled_from(SAMPLERS),
    modulus=st.sampled_from([2, 3, 5, 255]),
)
def test_targets_are_running_sums_at_any_length(length, seed, split, sampler, modulus) -> None:
    batch = Parity(sampler=sampler, modulus=modulus).sample(5, length, seed, split)
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert max(row) < modulus
        assert target == plain(row, modulus)


def test_labels_hold_past_the_range_of_a_byte() -> None:
    ones = torch.ones(1, 5000, dtype=torch.int64)
    assert Parity().label(ones)[0].tolist() == plain([1] * 5000)
    most = torch.full((1, 5000), 254, dtype=torch.uint8)
    assert Parity(modulus=255).label(most)[0].tolist() == plain([254] * 5000, 255)


@pytest.mark.parametrize("length", [16, 17, 40, 64, 255, 256])
def test_strata_hold_as_many_even_as_odd_counts(length: int) -> None:
    """So that a stratum does not give its last label away."""
    edges = [0, *count_edges(length).tolist()]
    edges[-1] -= length % 2
    for low, high in itertools.pairwise(edges):
        counts = range(low + 1, high + 1)
        assert sum(c % 2 for c in counts) * 2 == len(counts)
    lows, highs = (end.tolist() for end in count_ends(length))
    assert list(zip(lows, highs, strict=True)) == [(a + 1, b) for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("modulus", [2, 5])
@pytest.mark.parametrize("length", [16, 17, 40, 255])
def test_strata_of_test_rows_are_exactly_equal(length: int, modulus: int) -> None:
    for split in ("validation", "test"):
        batch = Parity(sampler="stratified", modulus=modulus).sample(800, length, 0, split)
        assert batch.strata["density"].bincount().tolist() == [800 // BINS] * BINS
        counts = (batch.inputs > 0).sum(1)
        edges = [0, *count_edges(length).tolist()]
        for stratum, low in enumerate(edges[:-1]):
            inside = counts[batch.strata["density"] == stratum]
            assert low < int(inside.min()) and int(inside.max()) <= edges[stratum + 1]
    few = Parity(sampler="stratified", modulus=modulus).sample(800, 15, 0, "test")
    assert few.strata["density"].unique().tolist() == [0]


def test_training_densities_are_uniform() -> None:
    """Every tenth of the share of ones holds a tenth of the rows, to six standard errors."""
    batch = Parity(sampler="stratified").sample(4000, 400, 0, "train")
    tenths = (batch.inputs.double().mean(1) * 10).long().clamp_max(9).bincount(minlength=10)
    assert bool(((tenths - 400).abs() < 6 * (4000 * 0.09) ** 0.5).all())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_numbers_are_uniform_where_they_are_not_zero(sampler: str) -> None:
    numbers = Parity(sampler=sampler, modulus=5).sample(2000, 50, 0, "test").inputs.flatten()
    shares = numbers[numbers > 0].bincount(minlength=5)[1:] / int((numbers > 0).sum())
    assert bool(((shares - 1 / 4).abs() < 0.015).all())  # 45,000 numbers: standard error 0.002
    natural = float((numbers == 0).double().mean())
    assert abs(natural - (1 / 5 if sampler == "natural" else 1 / 2)) < 0.02


def test_both_supervisions_ask_the_same_rows() -> None:
    for sampler in SAMPLERS:
        dense = Parity(sampler=sampler).sample(20, 24, 1, "train")
        final = Parity(sampler=sampler, supervision="final").sample(20, 24, 1, "train")
        assert torch.equal(dense.inputs, final.inputs)
        assert torch.equal(dense.targets, final.targets)
        assert bool(dense.mask.all()) and final.mask.nonzero()[:, 1].tolist() == [23] * 20


def test_later_options_are_told_only_where_they_are_not_the_default() -> None:
    """So that a trial planned before they existed keeps its id."""
    assert Parity().options() == {"sampler": "natural"}
    assert Parity(supervision="final").options() == {"sampler": "natural", "supervision": "final"}
    assert Parity(modulus=3).options() == {"sampler": "natural", "modulus": 3}
    assert Parity().version == 1 and Parity(sampler="stratified").version == 2


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
FROZEN_STRATIFIED = "12af8f343373eb6cc0bcf4da7d2bd870d3fdfc09adf46536bcaf68d8aec9e47a"


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


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("modulus", [2, 3])
def test_chance_is_the_best_answer_by_its_own_number(length: int, modulus: int) -> None:
    """Over every natural row, by position and number; of all positions, or of the last one."""
    rows = torch.tensor(list(itertools.product(range(modulus), repeat=length)))
    targets, known = Parity(modulus=modulus).label(rows), []
    for t in range(length):
        own = [targets[rows[:, t] == x, t].bincount().max() for x in range(modulus)]
        known.append(float(torch.stack(own).sum() / len(rows)))
    dense, final = (Parity(modulus=modulus, supervision=s) for s in ("dense", "final"))
    assert dense.chance(length) == pytest.approx(sum(known) / length)
    assert final.chance(length) == pytest.approx(known[-1])


def test_the_rule_answers_the_latest_number() -> None:
    (rule,) = Parity(modulus=5).rules().values()
    assert rule(torch.tensor([[0, 3, 0, 4, 0]])).tolist() == [[0, 3, 3, 4, 4]]
    rows = Parity().sample(50, 20, 0, "test").inputs
    (rule,) = Parity().rules().values()
    assert torch.equal(rule(rows), (rows.cumsum(1) > 0).to(rows.dtype))


def test_transitions_tell_a_slip_from_guessing() -> None:
    """One wrong step inverts all that follows, and costs one transition."""
    batch = Parity().sample(1, 20, 0, "test").to("cpu")
    answers = batch.targets.clone()
    answers[:, 7:] ^= 1
    correct, scored = Parity().checks(batch, answers)["transition"]
    assert int(scored.sum()) == 19 and int((correct & scored).sum()) == 18


def test_transitions_hold_modulo_m() -> None:
    """A slip by two moves every later sum by two, past the modulus as well."""
    task = Parity(modulus=5)
    batch = task.sample(8, 20, 0, "test").to("cpu")
    answers = batch.targets.clone()
    answers[:, 7:] = (answers[:, 7:] + 2) % 5
    for told in (answers, answers.to(torch.uint8)):
        correct, scored = task.checks(batch, told)["transition"]
        assert (correct & scored).sum(1).tolist() == [18] * 8
        assert scored.sum(1).tolist() == [19] * 8
    assert Parity(supervision="final").checks(batch, answers) == {}


def test_unknown_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="no sampler 'fair'"):
        Parity(sampler="fair")
    with pytest.raises(ValueError, match="no supervision 'all'"):
        Parity(supervision="all")
    for modulus in (1, 256):
        with pytest.raises(ValueError, match=f"a modulus from 2 to 255, got {modulus}"):
            Parity(modulus=modulus)


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
