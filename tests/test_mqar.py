"""Associative recall: rows, strata and levels, against plain Python and over all sizes."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.counter import bits32
from closedloop.tasks.mqar import FILLER, MQAR, dealt, power_law, weighted
from closedloop.tasks.task import scored_share


def plain(row: list[int], pairs: int, size: int) -> list[int]:
    """The latest pair's value for every key after the pairs, 0 elsewhere and for no value."""
    context = row[: 2 * pairs]
    book = dict(zip(context[0::2], context[1::2], strict=False))
    found = []
    for t, token in enumerate(row):
        value = book.get(token, 0) if t >= 2 * pairs and 0 < token < size // 2 else 0
        found.append(value if value < size else 0)
    return found


@st.composite
def posed(draw) -> tuple[MQAR, int]:
    """A task under any options, and a length that it can fill."""
    half = draw(st.one_of(st.integers(2, 40), st.sampled_from([96, 97, 2048, 4096])))
    pairs = draw(st.integers(1, min(half - 1, 20)))
    task = MQAR(
        vocab_size=2 * half,
        pairs=pairs,
        sampler=draw(st.sampled_from(["natural", "stratified"])),
        supervision=draw(st.sampled_from(["dense", "final"])),
    )
    return task, 4 * pairs + 2 * draw(st.integers(0, 60))


@settings(deadline=None, max_examples=60)
@given(
    posed=posed(),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
)
def test_rows_are_well_formed_and_answered_at_any_size(posed, seed, split) -> None:
    task, length = posed
    size, pairs = task.vocab_size, task.pairs
    batch = task.sample(5, length, seed, split)
    assert torch.equal(task.label(batch.inputs) * batch.mask, batch.targets)
    for i, row in enumerate(batch.inputs.tolist()):
        keys, values, slots = row[0 : 2 * pairs : 2], row[1 : 2 * pairs : 2], row[2 * pairs :]
        assert len({*keys}) == len({*values}) == pairs
        assert 1 <= min(keys) and max(keys) < size // 2
        assert size // 2 <= min(values) and max(values) < size
        queries = [t for t in range(2 * pairs, length) if row[t] < size]
        assert sorted(row[t] for t in queries) == sorted(keys)
        assert all(t % 2 == 0 for t in queries)
        assert all(size <= token < size + FILLER for token in slots if token not in keys)
        scored = queries if task.supervision == "dense" else queries[-1:]
        assert batch.mask[i].nonzero().flatten().tolist() == scored
        truth = plain(row, pairs, size)
        assert [int(batch.targets[i, t]) for t in scored] == [truth[t] for t in scored]
        gaps = batch.strata["distance"][i].tolist()
        expected = {t: (t - 2 * keys.index(row[t])).bit_length() for t in queries}
        assert gaps == [expected.get(t, 0) for t in range(length)]
        assert batch.strata["zone"][i] == plain_zone(queries, pairs, length)


def plain_zone(queries: list[int], pairs: int, length: int) -> int:
    if 6 * pairs > length:
        return 0
    slots = [(t - 2 * pairs) // 2 for t in queries]
    middle = (length // 2 - pairs) // 2
    return 1 if max(slots) < middle else 2 if min(slots) >= middle else 0


@pytest.mark.parametrize("width", [3, 8, 9, 30])
def test_labels_hold_on_rows_that_no_generator_made(width: int) -> None:
    """Keys that stand twice, values that are filler, rows shorter than the pairs."""
    task = MQAR(vocab_size=12, pairs=4)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(task.vocab, (400, width), generator=generator)
    inputs[::2] %= 12
    assert task.label(inputs).tolist() == [plain(row, 4, 12) for row in inputs.tolist()]


@pytest.mark.parametrize("length", [24, 26, 32, 64])
def test_both_halves_of_the_slots_hold_as_many_rows(length: int) -> None:
    """Length 24 = 6n is the shortest with two halves; at 26 the middle slot is far."""
    for split in ("train", "test"):
        batch = MQAR().sample(2001, length, 0, split)
        assert batch.strata["zone"].bincount().tolist() == [0, 1001, 1000]
    far = batch.mask[batch.strata["zone"] == 2].nonzero()[:, 1]
    assert int(far.max()) == length - 2
    assert int(far.min()) == 8 + 2 * ((length // 2 - 4) // 2)


def test_where_a_half_is_too_short_there_is_one_stratum() -> None:
    batch = MQAR().sample(2000, 22, 0, "test")
    assert batch.strata["zone"].unique().tolist() == [0]
    held = batch.mask[:, 8::2].double().mean(0)  # 4 of 7 slots, uniform
    assert bool(((held - 4 / 7).abs() < 4.5 * 0.5 / 2000**0.5).all())


def test_filler_is_never_a_key_and_is_left_alone_by_the_global_generator() -> None:
    task = MQAR(vocab_size=4096, pairs=16)
    torch.manual_seed(0)
    first = task.sample(300, 128, 0, "test")
    torch.manual_seed(1)
    torch.rand(7)
    assert batch_hash(task.sample(300, 128, 0, "test")) == batch_hash(first)
    filler = first.inputs[:, 32:][~first.mask[:, 32:]]
    assert int(filler.min()) >= 4096
    assert len(filler.unique()) == FILLER


def test_ids_are_as_short_as_the_vocabulary_allows() -> None:
    for size, kind in ((64, torch.uint8), (192, torch.uint8), (194, torch.int16)):
        batch = MQAR(vocab_size=size).sample(4, 32, 0, "train")
        assert batch.inputs.dtype == batch.targets.dtype == kind
    task = MQAR(vocab_size=2**15 - FILLER)
    assert 0 <= int(task.sample(50, 32, 0, "train").inputs.min()) and task.vocab == 2**15


def test_cards_are_dealt_uniformly() -> None:
    """All twelve ordered pairs of four cards, and keys over their whole range."""
    cards = dealt(bits32(1, torch.arange(24_000), 2), 4)
    counts = (cards[:, 0] * 4 + cards[:, 1]).bincount(minlength=16)
    assert counts[[0, 5, 10, 15]].sum() == 0
    assert bool(((counts[counts > 0] - 2000).abs() < 4.5 * 2000**0.5).all())
    whole = dealt(bits32(2, torch.arange(50), 100), 100)
    assert bool((whole.sort(1).values == torch.arange(100)).all())


def test_natural_slots_are_drawn_in_turn_by_the_power_law() -> None:
    """Two of three slots: P(i, j) = p_i · p_j / (1 − p_i), slot i with p ∝ i^−0.99."""
    law = [i**-0.99 for i in (1, 2, 3)]
    assert power_law(3).tolist() == pytest.approx([w * 2**26 for w in law], abs=1)
    chances = [w / sum(law) for w in law]
    drawn = weighted(bits32(3, torch.arange(30_000), 2), power_law(3))
    counts = (drawn[:, 0] * 3 + drawn[:, 1]).bincount(minlength=9) / 30_000
    for i, j in itertools.product(range(3), repeat=2):
        share = 0 if i == j else chances[i] * chances[j] / (1 - chances[i])
        assert float(counts[3 * i + j]) == pytest.approx(share, abs=0.012)  # 4.5 standard errors
    batch = MQAR(pairs=2, sampler="natural").sample(30_000, 10, 0, "test")
    first = float((batch.inputs[:, 4] == batch.inputs[:, 0]).double().mean())
    assert first == pytest.approx(chances[0], abs=0.013)


def test_a_power_law_over_as_many_slots_as_queries_is_a_permutation() -> None:
    drawn = weighted(bits32(3, torch.arange(200), 64), power_law(64))
    assert bool((drawn.sort(1).values == torch.arange(64)).all())
    assert int(power_law(2000).sum()) < 2**31  # the bound of `below`


@pytest.mark.parametrize("pairs", [1, 3, 5])
def test_any_value_of_the_row_scores_one_in_n(pairs: int) -> None:
    """Exactly, for one value; on average, for values in turn."""
    task = MQAR(pairs=pairs)
    batch = task.sample(4000, 32, 0, "test").to("cpu")
    scores = {n: scored_share(task, batch, r(batch.inputs)) for n, r in task.rules().items()}
    assert scores["first value"] == scores["last value"] == pytest.approx(1 / pairs)
    assert scores["values in turn"] == pytest.approx(1 / pairs, abs=0.02)
    assert task.shortcut(32) == 1 / pairs
    assert task.chance(32) == 2 / 64


def test_natural_rows_can_be_read_in_turn() -> None:
    """The first slots are likelier, and drawn for the first keys."""
    task = MQAR(sampler="natural")
    assert task.shortcut(32) > 1 / task.pairs + 0.03


def test_both_kinds_of_supervision_see_the_same_rows() -> None:
    dense, final = (MQAR(supervision=s).sample(99, 32, 5, "test") for s in ("dense", "final"))
    assert torch.equal(dense.inputs, final.inputs) and bool((final.mask.sum(1) == 1).all())
    assert torch.equal(dense.targets[final.mask], final.targets[final.mask])


def test_the_value_does_not_follow_its_query() -> None:
    """So that a method which reads ahead is asked the same."""
    task = MQAR()
    batch = task.sample(500, 32, 0, "test")
    assert task.form(causal=False) == task == task.form(causal=True)
    after = batch.inputs[:, 1:][batch.mask[:, :-1]]
    assert int(after.min()) >= task.vocab_size


@pytest.mark.parametrize("length", [-1, 0, 14, 17, 31])
def test_impossible_lengths_are_told_in_one_line(length: int) -> None:
    with pytest.raises(ValueError, match=f"even length of at least 4·pairs = 16, got {length}$"):
        MQAR().sample(4, length, 0, "train")


def test_options_are_refused_in_one_line() -> None:
    for size in (2, 63, 2**15):
        with pytest.raises(ValueError, match=f"even vocab_size, 4 to 32704, got {size}$"):
            MQAR(vocab_size=size)
    for pairs in (0, 32):
        with pytest.raises(ValueError, match=f"pairs from 1 to the 31 keys, got {pairs}$"):
            MQAR(pairs=pairs)
    with pytest.raises(ValueError, match="no sampler 'far'"):
        MQAR(sampler="far")


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(MQAR().sample(256, 32, 0, "test")) == FROZEN


FROZEN = "b8e0b58234be6a8e9094100a63baec2be5ac1c3899cca7152b1d961ec4136ac8"
