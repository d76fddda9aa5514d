"""Word problems of groups: tables, rows, strata and levels, against plain Python."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.group_word import GroupWord
from closedloop.tasks.groups import GROUPS, group
from closedloop.tasks.task import scored_share

NAMES = st.sampled_from(GROUPS)


def sign(p: tuple[int, ...]) -> int:
    """Inversions modulo two."""
    return sum(a > b for a, b in itertools.combinations(p, 2)) % 2


def elements(name: str) -> list:
    """The elements in the order of their ids: tuples, or a tuple with a number, or a number."""
    if name == "Z60":
        return list(range(60))
    if name == "A4xZ5":
        return [(p, z) for p in elements("A4") for z in range(5)]
    every = sorted(itertools.permutations(range(int(name[1]))))
    return [p for p in every if name[0] == "S" or sign(p) == 0]


def product(name: str, p, q):
    """(p ∘ q)[i] = p[q[i]], or sums."""
    if name == "Z60":
        return (p + q) % 60
    if name == "A4xZ5":
        return product("A4", p[0], q[0]), (p[1] + q[1]) % 5
    return tuple(p[i] for i in q)


def plain(name: str, row: list[int]) -> list[int]:
    """Running products, by the elements themselves."""
    known = elements(name)
    total, running = known[0], []
    for token in row:
        total = product(name, total, known[token])
        running.append(known.index(total))
    return running


@pytest.mark.parametrize("name", GROUPS)
def test_tables_are_groups_with_the_identity_first(name: str) -> None:
    """Every product of the table is the elements' own; rows and columns are permutations."""
    table, known = group(name), elements(name)
    numbers = {element: i for i, element in enumerate(known)}
    expected = [[numbers[product(name, p, q)] for q in known] for p in known]
    assert table.products.tolist() == expected
    every = torch.arange(len(known))
    assert torch.equal(table.products[0], every) and torch.equal(table.products[:, 0], every)
    assert bool((table.products.sort(0).values == every[:, None]).all())
    assert len(set(table.names)) == len(table) == len(known)


def test_permutations_are_written_with_ones_for_the_first_point() -> None:
    assert group("S5").names[0] == "12345" and group("S5").names[119] == "54321"
    assert group("S5").names[1] == "12354" and group("A5").names[1] == "12453"
    assert group("A4xZ5").names[:6] == ("1234+0", "1234+1", "1234+2", "1234+3", "1234+4", "1342+0")


@pytest.mark.parametrize("name", ["S3", "S5", "A5"])
def test_cayley_lengths_are_the_fewest_transpositions(name: str) -> None:
    """By a breadth-first search from the identity in the whole symmetric group."""
    whole = elements("S" + name[1])
    far, frontier = {whole[0]: 0}, [whole[0]]
    generators = [p for p in whole if sum(i != x for i, x in enumerate(p)) == 2]
    for p in frontier:
        for q in (product(name, p, s) for s in generators):
            if q not in far:
                far[q] = far[p] + 1
                frontier.append(q)
    lengths = group(name).cayley
    assert lengths is not None and lengths.tolist() == [far[p] for p in elements(name)]


@settings(deadline=None, max_examples=40)
@given(
    name=NAMES,
    length=st.integers(1, 90),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    sampler=st.sampled_from(["natural", "stratified"]),
    swaps=st.booleans(),
)
def test_targets_are_running_products(name, length, seed, split, sampler, swaps) -> None:
    task = GroupWord(group=name, sampler=sampler, swaps=swaps and name in ("S3", "S5"))
    batch = task.sample(3, length, seed, split)
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == plain(name, row)


@settings(deadline=None, max_examples=20)
@given(name=NAMES, data=st.data())
def test_labels_hold_on_rows_from_elsewhere(name, data) -> None:
    ids = st.integers(0, len(group(name)) - 1)
    row = data.draw(st.lists(ids, min_size=1, max_size=30))
    for kind in (torch.uint8, torch.int16, torch.int64):
        assert GroupWord(group=name).label(torch.tensor([row], dtype=kind))[0].tolist() == plain(
            name, row
        )


def test_labels_hold_on_long_rows() -> None:
    """A cycle of five points comes back after five steps, 4,000 of them too."""
    cycle = group("S5").names.index("23451")
    answers = GroupWord().label(torch.full((1, 4000), cycle, dtype=torch.uint8))[0]
    assert int(answers[-1]) == 0 and answers.tolist() == answers[:5].tolist() * 800


@pytest.mark.parametrize("swaps", [False, True])
@pytest.mark.parametrize("length", [16, 17, 40, 65])
def test_strata_are_filled_equally_and_with_both_parities(length: int, swaps: bool) -> None:
    """A stratum with one sign of the last answer would give it away."""
    for split in ("train", "validation", "test"):
        task = GroupWord(swaps=swaps)
        batch = task.sample(1600, length, 0, split)
        density = batch.strata["density"]
        assert density.bincount().tolist() == [200] * 8
        moved = (batch.inputs != 0).sum(1)
        for stratum in range(8):
            odd = float((moved[density == stratum] % 2).double().mean())
            assert abs(odd - 0.5) < 0.15  # 200 rows: standard error 0.035
            low, high = moved[density == stratum].aminmax()
            assert stratum == 0 or int(low) > int(moved[density == stratum - 1].max())
            assert int(low) < int(high)


def test_columns_of_strata_are_what_they_say() -> None:
    batch = GroupWord().sample(64, 40, 3, "test")
    lengths = group("S5").cayley
    assert lengths is not None
    rows, last = batch.inputs.tolist(), batch.targets[:, -1].tolist()
    for i, row in enumerate(rows):
        seen = list(itertools.accumulate(int(token != 0) for token in row))
        assert batch.strata["count"][i].tolist() == [count.bit_length() for count in seen]
    assert batch.strata["cayley"].tolist() == [int(lengths[answer]) for answer in last]
    assert "cayley" not in GroupWord(group="Z60").sample(2, 20, 0, "test").strata


def test_tokens_are_uniform_over_places_and_elements() -> None:
    """Natural tokens over the group; stratified ones, where they move, over all but the identity.

    Six standard errors of a share.
    """
    tokens = GroupWord(group="A5", sampler="natural").sample(4000, 20, 0, "train").inputs
    shares = tokens.flatten().bincount(minlength=60) / 80_000
    assert bool(((shares - 1 / 60).abs() < 6 * (1 / 60 / 80_000) ** 0.5).all())
    tokens = GroupWord(group="A5").sample(4000, 32, 0, "train").inputs
    moved = tokens[tokens > 0].bincount(minlength=60)[1:] / int((tokens > 0).sum())
    assert bool(((moved - 1 / 59).abs() < 6 * (1 / 59 / 60_000) ** 0.5).all())
    places = (tokens > 0).double().mean(0)
    assert bool(((places - places.mean()).abs() < 6 * (0.25 / 4000) ** 0.5).all())


@pytest.mark.parametrize(("name", "letters"), [("S3", 3), ("S5", 10)])
def test_swaps_are_transpositions_and_the_identity(name: str, letters: int) -> None:
    for sampler in ("natural", "stratified"):
        task = GroupWord(group=name, swaps=True, sampler=sampler)
        drawn = task.sample(500, 20, 0, "train").inputs.unique().tolist()
        moves = [sum(i != x for i, x in enumerate(elements(name)[token])) for token in drawn]
        assert moves == [0] + [2] * letters


def test_with_swaps_the_count_fixes_the_sign() -> None:
    batch = GroupWord(swaps=True).sample(200, 33, 0, "test")
    known = elements("S5")
    counts = (batch.inputs > 0).sum(1).tolist()
    last = batch.targets[:, -1].tolist()
    assert [sign(known[answer]) for answer in last] == [count % 2 for count in counts]


def test_both_supervisions_ask_the_same_rows() -> None:
    dense = GroupWord().sample(20, 24, 1, "train")
    final = GroupWord(supervision="final").sample(20, 24, 1, "train")
    assert torch.equal(dense.inputs, final.inputs) and torch.equal(dense.targets, final.targets)
    assert bool(dense.mask.all()) and final.mask.nonzero()[:, 1].tolist() == [23] * 20


@pytest.mark.parametrize("length", [1, 2, 3, 6])
@pytest.mark.parametrize("swaps", [False, True])
@pytest.mark.parametrize("supervision", ["dense", "final"])
def test_levels_are_what_their_rules_score_on_all_rows(length, swaps, supervision) -> None:
    """Over every row of S3: the best answer by x_t and t, and each of the rules."""
    task = GroupWord(group="S3", sampler="natural", swaps=swaps, supervision=supervision)
    ids = [0, *task.letters.tolist()]
    rows = torch.tensor(list(itertools.product(ids, repeat=length)))
    targets, known = task.label(rows), []
    for t in range(length):
        own = [targets[rows[:, t] == token, t].bincount().max() for token in ids]
        known.append(float(torch.stack(own).sum() / len(rows)))
    chance = known[-1] if supervision == "final" else sum(known) / length
    assert task.chance(length) == pytest.approx(chance)
    if not swaps and supervision == "dense":
        assert chance == pytest.approx((1 + (length - 1) / 6) / length)
    right = [rule(rows) == targets for rule in task.rules().values()]
    scored = slice(-1, None) if supervision == "final" else slice(None)
    best = max(float(r[:, scored].double().mean()) for r in right)
    assert task.shortcut(length) == pytest.approx(max(best, chance))


@pytest.mark.parametrize(
    "task",
    [
        GroupWord(),
        GroupWord(group="S3"),
        GroupWord(swaps=True),
        GroupWord(group="S3", swaps=True, supervision="final"),
    ],
    ids=str,
)
@pytest.mark.parametrize("length", [17, 32])
def test_levels_are_what_is_measured_on_stratified_rows(task: GroupWord, length: int) -> None:
    """The best answer by x_t and t is chosen on half of the rows and scored on the other."""
    batch = task.sample(20_000, length, 0, "test").to("cpu")
    halves = batch.rows(slice(0, 10_000)), batch.rows(slice(10_000, None))
    answers = torch.zeros_like(batch.inputs[:10_000])
    for t in range(length):
        votes = torch.zeros(task.vocab, task.classes)
        index = (halves[0].inputs[:, t], halves[0].targets[:, t])
        votes.index_put_(index, torch.ones(10_000), accumulate=True)
        answers[:, t] = votes.argmax(1)[halves[1].inputs[:, t]]
    chosen = scored_share(task, halves[1], answers)
    best = max(scored_share(task, batch, rule(batch.inputs)) for rule in task.rules().values())
    # 10,000 rows: a standard error is 0.005 at most; a choice among 120 is not always the best
    assert task.chance(length) - 0.03 < chosen < task.chance(length) + 0.015
    assert task.shortcut(length) == pytest.approx(max(best, task.chance(length)), abs=0.015)


def test_transitions_tell_a_slip_from_guessing() -> None:
    """One wrong step changes all that follows, and costs one transition."""
    task = GroupWord(group="A5")
    batch = task.sample(1, 20, 0, "test").to("cpu")
    answers = batch.targets.clone()
    answers[:, 7:] = group("A5").products[3, answers[:, 7:]]
    correct, scored = task.checks(batch, answers)["transition"]
    assert int(scored.sum()) == 19 and int((correct & scored).sum()) == 18
    assert not bool((answers[:, 7:] == batch.targets[:, 7:]).any())
    assert GroupWord(supervision="final").checks(batch, answers) == {}


def test_a_row_is_shown_with_words_and_ids() -> None:
    shown = GroupWord(supervision="final").show(GroupWord().sample(1, 3, 0, "test"), 0).split("\n")
    assert [line.split()[0] for line in shown] == ["inputs", "input", "answers", "answer"]
    words, ids = shown[0].split()[1:], shown[1].split()[2:]
    assert [group("S5").names[int(i)] for i in ids] == words and len(words) == 3


def test_options_are_refused_in_one_line() -> None:
    for options, message in (
        ({"group": "S4"}, "no group 'S4'. Known: S3, S5, A5, Z60, A4xZ5"),
        ({"sampler": "fair"}, "no sampler 'fair'"),
        ({"supervision": "all"}, "no supervision 'all'"),
        ({"group": "A5", "swaps": True}, "expected the group S3 or S5 with swaps, got 'A5'"),
        ({"swaps": "yes"}, "expected swaps true or false, got 'yes'"),
    ):
        with pytest.raises(ValueError, match=message):
            GroupWord(**options)


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(GroupWord().sample(256, 40, 0, "test")) == FROZEN
    natural = GroupWord(sampler="natural").sample(256, 40, 0, "test")
    assert batch_hash(natural) == FROZEN_NATURAL


FROZEN = "3ca699022a2482af744dae424e451a83bfa7c571095ee9f2f9197168cbaff28b"
FROZEN_NATURAL = "4a7e8fb33ec157b8d1625160f6c18aa4449fd87820572f96963ad414bdf1acd9"
