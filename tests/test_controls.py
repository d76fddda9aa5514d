"""Controls: even pairs, copy and bucket sort, against plain Python."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.bucket_sort import BucketSort, order_shares
from closedloop.tasks.copying import Copy
from closedloop.tasks.even_pairs import EvenPairs
from closedloop.tasks.task import Task, scored_share

SPLITS = ["train", "validation", "test"]


# ---- even pairs ------------------------------------------------------------------------------


def odd_changes(row: list[int]) -> int:
    """How many neighbours differ, modulo two."""
    return sum(a != b for a, b in itertools.pairwise(row)) % 2


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(2, 300),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(SPLITS),
    sampler=st.sampled_from(["natural", "stratified"]),
)
def test_even_pairs_counts_changes(length, seed, split, sampler) -> None:
    batch = EvenPairs(sampler=sampler).sample(5, length, seed, split)
    assert batch.mask.nonzero()[:, 1].tolist() == [length - 1] * 5
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == [0] * (length - 1) + [odd_changes(row)]


@given(row=st.lists(st.integers(0, 1), min_size=2, max_size=40))
def test_even_pairs_are_labelled_on_rows_from_elsewhere(row) -> None:
    assert int(EvenPairs().label(torch.tensor([row]))[0, -1]) == odd_changes(row)


def test_even_pairs_has_the_classes_of_its_source() -> None:
    """001110 has one change up and one down: class 0. 0101001 has five in all: class 1."""
    for word, answer in (("001110", 0), ("0101001", 1)):
        row = torch.tensor([[int(bit) for bit in word]])
        assert int(EvenPairs().label(row)[0, -1]) == answer


@pytest.mark.parametrize("length", [17, 18, 40])
def test_strata_of_even_pairs_are_equal_and_balanced(length: int) -> None:
    for split in SPLITS:
        batch = EvenPairs().sample(4000, length, 0, split)
        assert batch.strata["changes"].bincount().tolist() == [500] * 8
        changes = (batch.inputs[:, 1:] != batch.inputs[:, :-1]).sum(1)
        top = 0
        for stratum in range(8):
            inside = batch.strata["changes"] == stratum
            assert int(changes[inside].min()) > top
            top = int(changes[inside].max())
            odd = float(batch.targets[inside, -1].double().mean())
            assert abs(odd - 0.5) < 0.1  # 500 rows: standard error 0.022
        assert abs(float(batch.inputs.double().mean()) - 0.5) < 0.05


@pytest.mark.parametrize("length", [2, 3, 17, 33])
def test_levels_of_even_pairs_are_what_is_measured(length: int) -> None:
    for task in (EvenPairs(), EvenPairs(sampler="natural")):
        batch = task.sample(20_000, length, 0, "test").to("cpu")
        share = scored_share(task, batch, task.last_pair(batch.inputs))
        assert task.shortcut(length) == pytest.approx(share, abs=0.015)  # four standard errors
        own = scored_share(task, batch, batch.inputs)
        assert task.chance(length) == pytest.approx(own, abs=0.015)


def test_one_bit_has_no_pair() -> None:
    with pytest.raises(ValueError, match="expected a length of at least 2, got 1"):
        EvenPairs().sample(4, 1, 0, "train")
    with pytest.raises(ValueError, match="no sampler 'fair'"):
        EvenPairs(sampler="fair")


# ---- copy and bucket sort --------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    kind=st.sampled_from([Copy, BucketSort]),
    symbols=st.sampled_from([2, 5, 16, 250]),
    length=st.integers(1, 80),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(SPLITS),
)
def test_copied_and_sorted_symbols_stand_on_the_slots(kind, symbols, length, seed, split) -> None:
    batch = kind(symbols=symbols).sample(4, length, seed, split)
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        asked = row[:length]
        assert row[length:] == [symbols] + [symbols + 1] * length
        assert all(symbol < symbols for symbol in asked)
        expected = asked if kind is Copy else sorted(asked)
        assert target == [0] * (length + 1) + expected
    assert bool((batch.mask == (torch.arange(2 * length + 1) > length)).all())


@given(row=st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_slots_are_labelled_on_rows_from_elsewhere(row) -> None:
    inputs = torch.tensor([[*row, 5, *[6] * len(row)]])
    assert Copy(symbols=5).label(inputs)[0, len(row) + 1 :].tolist() == row
    assert BucketSort().label(inputs)[0, len(row) + 1 :].tolist() == sorted(row)


@pytest.mark.parametrize("task", [Copy(), BucketSort()], ids=str)
def test_ill_formed_rows_get_valid_classes(task: Task) -> None:
    rows = torch.randint(task.vocab, (50, 13), generator=torch.Generator().manual_seed(0))
    answers = [task.label(rows), *(rule(rows) for rule in task.rules().values())]
    for found in answers:
        assert found.shape == rows.shape and 0 <= int(found.min())
        assert int(found.max()) < task.classes


def test_bands_are_quarters_of_the_answer() -> None:
    for task in (Copy(), BucketSort()):
        band = task.sample(1, 8, 0, "test").strata["band"][0]
        assert band.tolist() == [0] * 9 + [0, 0, 1, 1, 2, 2, 3, 3]
        assert task.stratum_name("band", 1) == "band 2/4"


def test_symbols_are_uniform() -> None:
    for task in (Copy(), BucketSort()):
        drawn = task.sample(5000, 10, 0, "train").inputs[:, :10]
        shares = drawn.flatten().bincount() / 50_000
        error = (1 / task.classes / 50_000) ** 0.5
        assert bool(((shares - 1 / task.classes).abs() < 6 * error).all())


@pytest.mark.parametrize(("length", "symbols"), [(1, 2), (1, 3), (4, 3), (6, 2)])
def test_levels_of_bucket_sort_are_what_its_rule_scores_on_all_rows(length, symbols) -> None:
    rows = torch.tensor(list(itertools.product(range(symbols), repeat=length)))
    ordered = rows.sort(1).values
    shares = torch.stack([(ordered == v).double().mean(0) for v in range(symbols)])
    torch.testing.assert_close(order_shares(length, symbols), shares)
    task = BucketSort(symbols=symbols)
    assert task.chance(length) == pytest.approx(float(shares.max(0).values.mean()))


@pytest.mark.parametrize("task", [Copy(), BucketSort()], ids=str)
def test_rules_of_slots_score_no_more_than_stated(task: Task) -> None:
    """Five standard errors of the two measurements, by rows, whose answers go together."""
    for length in (1, 3, 20):
        batch = task.sample(4000, length, 1, "test").to("cpu")
        shares = [scored_share(task, batch, rule(batch.inputs)) for rule in task.rules().values()]
        assert max(shares) == pytest.approx(task.shortcut(length), abs=0.05)
        assert task.chance(length) <= task.shortcut(length) <= 1


def test_the_last_symbol_is_the_rule_s_answer() -> None:
    row = torch.tensor([[1, 2, 2, 0, 5, 6, 6, 6, 6]])
    assert Copy(symbols=5).last(row).unique().tolist() == [0]
    assert Copy(symbols=5).commonest(row).unique().tolist() == [2]
    assert BucketSort().commonest(row).unique().tolist() == [2]


def test_numbers_of_symbols_are_refused_in_one_line() -> None:
    for kind in (Copy, BucketSort):
        for symbols in (1, 251):
            with pytest.raises(ValueError, match=f"expected 2 to 250 symbols, got {symbols}"):
                kind(symbols=symbols)


# ---- all -------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [EvenPairs(), Copy(), BucketSort()], ids=str)
def test_test_rows_are_frozen(task: Task) -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(task.sample(256, task.lengths[1], 0, "test")) == FROZEN[task.name]


FROZEN = {
    "even_pairs": "e46370c1c0817ab27894a6c7bac13a6a5f0324773c591035e5751d899012afde",
    "copy": "af5ab900b4c507ee53f529097f703213f170b19a9c25b0210fe13ec8fbaa1693",
    "bucket_sort": "a19a72d853aa0aeadcb4021f984b2cf2a9b665f4e3543f31077b61b803bca6ab",
}
