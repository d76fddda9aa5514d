"""Pointer chasing: paths, strata and levels, against a plain walk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.pointer_chase import PointerChase
from closedloop.tasks.sampling import doubling_name
from closedloop.tasks.task import scored_share


def plain(row: list[int], nodes: int) -> tuple[list[int], list[int]]:
    """The nodes that the hops reach, and the edges between those read, by a walk over a dict."""
    edges = dict(zip(row[: 2 * nodes : 2], row[1 : 2 * nodes : 2], strict=True))
    places = {source: place for place, source in enumerate(row[: 2 * nodes : 2])}
    at, read, reached, apart = row[2 * nodes + 1], nodes, [], []
    for _ in row[2 * nodes + 2 :]:
        apart.append(abs(places[at] - read))
        read, at = places[at], edges[at]
        reached.append(at)
    return reached, apart


@st.composite
def sizes(draw) -> tuple[int, int]:
    nodes = draw(st.integers(2, 60))
    return nodes, 2 * nodes + 2 + draw(st.integers(1, nodes - 1))


@settings(deadline=None, max_examples=40)
@given(
    size=sizes(),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    supervision=st.sampled_from(["dense", "final"]),
)
def test_rows_and_answers_are_those_of_a_plain_walk(size, seed, split, supervision) -> None:
    nodes, length = size
    task = PointerChase(nodes=nodes, supervision=supervision)
    batch, hops = task.sample(5, length, seed, split), length - 2 * nodes - 2
    for place, row in enumerate(batch.inputs.tolist()):
        assert sorted(row[: 2 * nodes : 2]) == list(range(nodes))
        assert row[2 * nodes] == nodes and row[2 * nodes + 2 :] == [nodes + 1] * hops
        reached, apart = plain(row, nodes)
        assert len({row[2 * nodes + 1], *reached}) == hops + 1, "the path returns"
        assert batch.targets[place].tolist() == [0] * (length - hops) + reached
        assert batch.strata["hop"][place].tolist() == [0] * (length - hops) + [*range(1, hops + 1)]
        names = [doubling_name(s) for s in batch.strata["distance"][place].tolist()[-hops:]]
        assert names == [doubling_name(value.bit_length()) for value in apart]
    scored = batch.mask.sum(1).unique().tolist()
    assert scored == [hops if supervision == "dense" else 1]
    assert bool(batch.mask[:, -1].all()) and not bool(batch.mask[:, :-hops].any())


@settings(deadline=None, max_examples=25)
@given(nodes=st.integers(2, 12), hops=st.integers(1, 30), data=st.data())
def test_labels_hold_for_functions_with_short_cycles_and_more_hops(nodes, hops, data) -> None:
    """Rows that the generator does not make: any function, edges in any order."""
    order = data.draw(st.permutations(range(nodes)))
    node = st.integers(0, nodes - 1)
    targets = data.draw(st.lists(node, min_size=nodes, max_size=nodes))
    edges = [end for pair in zip(order, targets, strict=True) for end in pair]
    row = [*edges, nodes, data.draw(node), *[nodes + 1] * hops]
    answers = PointerChase(nodes=nodes).label(torch.tensor([row]))[0].tolist()
    assert answers[-hops:] == plain(row, nodes)[0]


@pytest.mark.parametrize("length", [1, 3, 4, 10, 17, 18, 19, 40])
def test_labels_of_broken_rows_are_classes_and_do_not_raise(length: int) -> None:
    task = PointerChase()
    rows = torch.randint(task.vocab, (50, length), generator=torch.Generator().manual_seed(length))
    for ids in (rows, rows.to(torch.uint8)):
        answers = task.label(ids)
        assert answers.shape == rows.shape and answers.dtype == ids.dtype
        assert 0 <= int(answers.min()) and int(answers.max()) < task.classes


def test_paths_targets_and_edges_are_uniform() -> None:
    """Every node is as often the start, the end and the first edge; 8,000 rows of 8 nodes."""
    batch = PointerChase().sample(8000, 24, 1, "train").to("cpu")
    for column in (batch.inputs[:, 17], batch.inputs[:, 0], batch.targets[:, -1]):
        counts = column.bincount(minlength=8)
        assert int((counts - 1000).abs().max()) < 150  # a standard error of 30
    sources, targets = batch.inputs[:, :16:2], batch.inputs[:, 1:16:2]
    last = targets[sources == batch.targets[:, -1:]]  # the end of the path points anywhere
    assert int((last.bincount(minlength=8) - 1000).abs().max()) < 150
    returns = (last == batch.inputs[:, 17]).double().mean()
    assert float(returns) == pytest.approx(1 / 8, abs=0.015)  # a standard error of 0.004
    away = (sources == batch.inputs[:, 17:18]).long().argmax(1)  # where the start's edge lies
    assert int((away.bincount(minlength=8) - 1000).abs().max()) < 150


def test_every_hop_is_asked_once_in_every_row() -> None:
    batch = PointerChase().sample(100, 22, 0, "test")
    assert batch.strata["hop"][batch.mask].bincount().tolist() == [0, 100, 100, 100, 100]


@pytest.mark.parametrize("nodes", [8, 9, 32])
@pytest.mark.parametrize("supervision", ["dense", "final"])
def test_levels_are_what_their_rules_score(nodes: int, supervision: str) -> None:
    task = PointerChase(nodes=nodes, supervision=supervision)
    for hops in (1, 2, 5, nodes - 1):
        length = 2 * nodes + 2 + hops
        batch = task.sample(4000, length, 5, "test").to("cpu")
        scores = {n: scored_share(task, batch, r(batch.inputs)) for n, r in task.rules().items()}
        random_edge = (2 * nodes - hops) / nodes**2
        # 4,000 rows at a share of at most 1/4 have a standard error of at most 0.007
        assert scores["random edge"] == pytest.approx(random_edge, abs=0.025)
        assert scores["first edge"] == pytest.approx(random_edge, abs=0.025)
        assert scores["commonest target"] > random_edge - 0.02
        first = 1 / hops if supervision == "dense" or hops == 1 else 0
        assert first <= scores["one look-up"] + 1e-9
        assert task.shortcut(length) == pytest.approx(max(scores.values()), abs=0.04)
        assert task.chance(length) == 1 / nodes


def test_a_length_without_hops_or_past_the_path_is_told_in_one_line() -> None:
    for length in (18, 26):
        with pytest.raises(
            ValueError, match=f"expected a length from 19 to 25 for 8 nodes, got {length}$"
        ):
            PointerChase().sample(4, length, 0, "test")


def test_unknown_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="Known: dense, final"):
        PointerChase(supervision="sparse")
    for nodes in (1, 255):
        with pytest.raises(ValueError, match=f"from 2 to 254, got {nodes}$"):
            PointerChase(nodes=nodes)


def test_the_greatest_number_of_nodes_fits_a_byte() -> None:
    task = PointerChase(nodes=254)
    batch = task.sample(3, 2 * 254 + 2 + 253, 0, "test")
    assert int(batch.inputs.max()) == 255
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target[-253:] == plain(row, 254)[0]


def test_a_row_shows_its_edges_its_start_and_its_hops() -> None:
    task = PointerChase(nodes=3, supervision="final")
    row = torch.tensor([[2, 0, 0, 1, 1, 1, 3, 2, 4, 4]])
    shown = task.show(task.batch(row), 0).split()
    assert shown == ["edges", "2→0", "0→1", "1→1", "start", "2", "hops", ".", "1"]


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(PointerChase().sample(256, 24, 0, "test")) == FROZEN


FROZEN = "24205bb1910f40409c11543a7573243bbdf275b56176120e5dbc01f1ec31f195"
