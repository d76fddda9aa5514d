"""Flip-flop: rows, strata and rules, against plain Python and over all sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.flipflop import ANSWER, IGNORE, READ, WRITE, FlipFlop
from closedloop.tasks.task import scored_share


def plain(row: list[int], asks: int) -> list[int]:
    """The latest written bit wherever `asks` stands, 0 elsewhere."""
    held, found = 0, []
    for before, token in zip([None, *row], row, strict=False):
        if before == WRITE and token < 2:
            held = token
        found.append(held if token == asks else 0)
    return found


def plain_gaps(row: list[int], asks: int) -> list[int]:
    """Pairs back to the latest write wherever `asks` stands, as numbers of doubling bins."""
    write, found = 0, []
    for t, token in enumerate(row):
        write = t // 2 if token == WRITE and t % 2 == 0 else write
        found.append((t // 2 - write).bit_length() if token == asks else 0)
    return found


@settings(deadline=None, max_examples=60)
@given(
    pairs=st.integers(2, 200),
    ignore=st.floats(0, 1),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    sampler=st.sampled_from(["natural", "stratified"]),
    variant=st.sampled_from(["removed", "nexttoken"]),
    supervision=st.sampled_from(["dense", "final"]),
)
def test_rows_are_well_formed_and_answered_at_any_size(
    pairs, ignore, seed, split, sampler, variant, supervision
) -> None:
    task = FlipFlop(ignore=ignore, sampler=sampler, variant=variant, supervision=supervision)
    asks = ANSWER if variant == "removed" else READ
    batch = task.sample(6, 2 * pairs, seed, split)
    assert torch.equal(task.label(batch.inputs) * batch.mask, batch.targets)
    for i, row in enumerate(batch.inputs.tolist()):
        kinds, bits = row[0::2], row[1::2]
        assert kinds[0] == WRITE and kinds[-1] == READ and set(kinds) <= {WRITE, READ, IGNORE}
        places = [t for t, token in enumerate(row) if token == asks]
        places = places[-1:] if supervision == "final" else places
        assert batch.mask[i].nonzero().flatten().tolist() == places
        truth = plain(row, asks)
        assert [batch.targets[i, t] for t in places] == [truth[t] for t in places]
        assert batch.strata["gap"][i].tolist() == plain_gaps(row, asks)
        assert batch.strata["distance"][i] == max(plain_gaps(row, asks)[-2:])
        for kind, bit in zip(kinds, bits, strict=True):
            assert (bit == ANSWER) == (kind == READ and variant == "removed")


@pytest.mark.parametrize("variant", ["removed", "nexttoken"])
def test_labels_hold_on_rows_that_no_generator_made(variant: str) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(6, (300, 41), generator=generator)
    task = FlipFlop(variant=variant)
    asks = ANSWER if variant == "removed" else READ
    assert task.label(inputs).tolist() == [plain(row, asks) for row in inputs.tolist()]


@pytest.mark.parametrize("length", [4, 6, 10, 34, 64, 100])
def test_distances_fill_their_bins_equally_and_reach_the_first_pair(length: int) -> None:
    """L/2 − 1 = 16 leaves one distance in its last bin; at length 4 there is one bin."""
    task = FlipFlop(ignore=0.5)
    for split in ("train", "test"):
        batch = task.sample(3000, length, 3, split)
        held = batch.strata["distance"].bincount()[1:]
        assert len(held) == (length // 2 - 1).bit_length()
        assert int(held.max() - held.min()) <= 1
    kinds = batch.inputs[:, 0::2]
    back = (kinds == WRITE).flip(1).int().argmax(1)
    assert int(back.max()) == length // 2 - 1 and int(back.min()) == 1
    assert task.stratum_name("distance", 3) == "distance 4-7"


def test_distances_are_uniform_within_a_bin_and_say_nothing_of_the_answer() -> None:
    batch = FlipFlop().sample(20_000, 64, 0, "test")
    back = (batch.inputs[:, 0::2] == WRITE).flip(1).int().argmax(1)
    inside = back[batch.strata["distance"] == 5]  # 4,000 rows over 16 distances
    counts = inside.bincount()[16:]
    assert len(counts) == 16
    assert bool(((counts - 250).abs() < 4.5 * 250**0.5).all())
    for stratum in range(1, 6):
        last = batch.targets[batch.strata["distance"] == stratum, -1]
        assert abs(float(last.double().mean()) - 0.5) < 4 * 0.5 / len(last) ** 0.5


@pytest.mark.parametrize("ignore", [0.0, 0.1, 0.8, 0.98, 1.0])
def test_instructions_come_in_their_proportions(ignore: float) -> None:
    """On natural rows, and after the planted write among those that do not write."""
    kinds = FlipFlop(ignore=ignore, sampler="natural").sample(4000, 60, 0, "train").inputs[:, 0::2]
    shares = kinds[:, 1:-1].flatten().bincount(minlength=5) / (4000 * 28)
    rest = (1 - ignore) / 2
    assert shares.tolist()[2:] == pytest.approx([rest, rest, ignore], abs=0.007)  # 4.5 errors
    kinds = FlipFlop(ignore=ignore).sample(4000, 60, 0, "train").inputs[:, 0::2]
    writes = (kinds == WRITE).int()
    after = (writes.flip(1).cumsum(1).flip(1) == 0)[:, :-1]
    share = float((kinds[:, :-1][after] == IGNORE).double().mean())
    assert share == pytest.approx(ignore / (ignore + rest), abs=0.015)  # 4.5 errors of 24,000
    before = writes.flip(1).cumsum(1).flip(1)[:, 1:-1] > 1
    share = float((kinds[:, 1:-1][before & (writes[:, 1:-1] == 0)] == IGNORE).double().mean())
    assert ignore == 1 or share == pytest.approx(ignore / (ignore + rest), abs=0.015)


def test_bits_are_fair_whatever_the_instruction() -> None:
    inputs = FlipFlop(sampler="natural", ignore=0.6).sample(8000, 64, 0, "train").inputs
    kinds, bits = inputs[:, 0::2], inputs[:, 1::2]
    for kind in (WRITE, IGNORE):
        found = bits[kinds == kind].double()
        assert abs(float(found.mean()) - 0.5) < 4.5 * 0.5 / len(found) ** 0.5


def test_a_method_that_reads_ahead_is_given_the_same_rows_without_answers() -> None:
    shown = FlipFlop(variant="nexttoken")
    hidden = shown.form(causal=False)
    assert shown.reveals and not hidden.reveals and shown.form(causal=True) == shown
    one, other = (task.sample(500, 40, 5, "test") for task in (shown, hidden))
    reads = other.inputs == ANSWER
    assert torch.equal(one.inputs[~reads], other.inputs[~reads])
    assert torch.equal(one.inputs[reads], other.targets[reads])
    assert torch.equal(one.targets[:, 0::2], other.targets[:, 1::2])
    assert torch.equal(one.mask[:, 0::2], other.mask[:, 1::2])
    assert torch.equal(one.strata["distance"], other.strata["distance"])
    assert torch.equal(one.strata["gap"][:, 0::2], other.strata["gap"][:, 1::2])


def test_both_kinds_of_supervision_see_the_same_rows() -> None:
    dense, final = (FlipFlop(supervision=s).sample(99, 40, 5, "test") for s in ("dense", "final"))
    assert torch.equal(dense.inputs, final.inputs) and bool((final.mask.sum(1) == 1).all())
    assert torch.equal(dense.targets[final.mask], final.targets[final.mask])


def test_a_probability_of_one_is_the_same_task_as_an_integer() -> None:
    one, other = FlipFlop(ignore=1), FlipFlop(ignore=1.0)
    assert one.options() == other.options() and repr(one) == repr(other)
    assert batch_hash(one.sample(9, 20, 0, "test")) == batch_hash(other.sample(9, 20, 0, "test"))


@pytest.mark.parametrize("ignore", [0.0, 0.3, 0.8])
def test_the_latest_bit_scores_what_natural_rows_imply(ignore: float) -> None:
    """It is the written one if no ignored pair came since, and else a coin's.

    Of the pairs that show a bit, back from the last read, the latest is a write with probability
    w/(w + i); all are reads, back to the first pair, with w^(P−2).
    """
    task, pairs = FlipFlop(ignore=ignore, sampler="natural", supervision="final"), 8
    write = (1 - ignore) / 2
    reads = write ** (pairs - 2)
    known = reads + (1 - reads) * write / (write + ignore)
    batch = task.sample(20_000, 2 * pairs, 0, "test").to("cpu")
    share = scored_share(task, batch, task.rules()["latest bit"](batch.inputs))
    assert share == pytest.approx((1 + known) / 2, abs=0.015)  # 4.2 standard errors


def test_rules_are_what_they_say_and_bound_the_shortcut() -> None:
    row = torch.tensor([[2, 1, 4, 0, 4, 0, 3, 5, 2, 1, 4, 1, 3, 5]])
    rules = FlipFlop().rules()
    assert rules["latest bit"](row)[0, [7, 13]].tolist() == [0, 1]
    assert rules["majority of bits"](row)[0, [7, 9, 11, 13]].tolist() == [0, 0, 1, 1]
    task = FlipFlop()
    assert task.chance(64) == 0.5 < task.shortcut(64) < 0.75


def test_constant_answers_score_chance() -> None:
    task = FlipFlop(supervision="final")
    batch = task.sample(20_000, 32, 0, "test")
    share = scored_share(task, batch, torch.ones_like(batch.inputs))
    assert share == pytest.approx(task.chance(32), abs=0.015)


@pytest.mark.parametrize("length", [-1, 0, 1, 2, 3, 5, 41])
def test_impossible_lengths_are_told_in_one_line(length: int) -> None:
    with pytest.raises(ValueError, match=f"even length of at least 4, got {length}$"):
        FlipFlop().sample(4, length, 0, "train")


def test_options_are_refused_in_one_line() -> None:
    for ignore in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1, got"):
            FlipFlop(ignore=ignore)
    with pytest.raises(ValueError, match="Known: removed, nexttoken"):
        FlipFlop(variant="shown")
    with pytest.raises(ValueError, match="Known: natural, stratified|Known: stratified, natural"):
        FlipFlop(sampler="fair")
    with pytest.raises(ValueError, match="Known: dense, final"):
        FlipFlop(supervision="last")


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(FlipFlop().sample(256, 40, 0, "test")) == FROZEN


FROZEN = "f3149f99008674fcff652b61391044ffc0794a7c7f26d262f37388556b7f3569"
