"""Energy terms: gradients against finite differences, causality, and what each one asks for."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from closedloop.methods.energies import hidden_units
from closedloop.methods.energies.confidence import Confidence, Prediction
from closedloop.methods.energies.consistency import Consistency
from closedloop.methods.energies.energy import (
    Context,
    Energy,
    Sloped,
    WeightedSum,
    past_mean,
    window_valid,
    windows,
)
from closedloop.methods.energies.masked import MaskedPrediction, hidden_positions, recent
from closedloop.methods.energies.memory import EpisodicMemory
from closedloop.methods.energies.reverse import ReverseHead, ReverseTransformer
from closedloop.methods.solvers.proximal import Proximal
from closedloop.methods.solvers.solver import slope

ROWS, LENGTH, WIDTH, VOCAB = 2, 9, 6, 3
TERMS = {
    "reverse head": lambda: ReverseHead(WIDTH, 4),
    "reverse transformer": lambda: ReverseTransformer(WIDTH, 4),
    "masked": lambda: MaskedPrediction(WIDTH, VOCAB, 0.4, 3),
    "masked, all": lambda: MaskedPrediction(WIDTH, VOCAB, 0.4, 0),
    "confidence": Confidence,
    "prediction": Prediction,
    "memory": lambda: EpisodicMemory(WIDTH, 8, 0.5, 3, 0.3),
    "consistency": lambda: Consistency(WIDTH),
}


@pytest.fixture(params=TERMS, ids=str)
def term(request: pytest.FixtureRequest) -> Energy:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return TERMS[request.param]().double()


def context(seed: int = 0) -> Context:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    table, positions, out, inner = draw(VOCAB, WIDTH), draw(LENGTH, WIDTH), draw(WIDTH, 4), None
    inner = draw(WIDTH, WIDTH)
    inputs = torch.randint(0, VOCAB, (ROWS, LENGTH), generator=generator)
    return Context(
        inputs,
        table[inputs] + positions,
        table,
        lambda state: F.layer_norm(state, (WIDTH,)) @ out,
        lambda state: state + torch.tanh(state @ inner),
    )


def states(seed: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ROWS, LENGTH, WIDTH, generator=generator, dtype=torch.float64)


def test_gradients_equal_finite_differences(term: Energy) -> None:
    potential, state = term.bind(context()), states()
    gradient, energy = slope(potential, state, create_graph=False)
    step = 1e-5  # central differences: error of order step² ≈ 1e-10 in float64
    for channel in range(WIDTH):
        shift = torch.zeros(WIDTH, dtype=torch.float64)
        shift[channel] = step
        with torch.no_grad():
            numeric = (potential(state + shift) - potential(state - shift)) / (2 * step)
        torch.testing.assert_close(gradient[..., channel], numeric, rtol=1e-6, atol=1e-8)
    assert energy.shape == (ROWS, LENGTH)


def test_second_derivatives_exist(term: Energy) -> None:
    state = states().requires_grad_()
    gradient, _ = slope(term.bind(context()), state, create_graph=True)
    gradient.square().sum().backward()
    assert state.grad is not None and bool(state.grad.isfinite().all())


CLOSED = ("reverse head", "masked", "masked, all", "confidence")


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_slope_is_the_one_that_autograd_takes(name: str) -> None:
    """To rounding, in the slope, in the energy, and in what both send back to every weight."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        term = TERMS[name]().double()
    state, along = states().requires_grad_(), states(8)
    leaves = [state, *term.parameters()]
    found = []
    for closed in (True, False):
        potential = term.bind(context())
        assert isinstance(potential, Sloped)
        gradient, energy = slope(potential if closed else potential.value, state, create_graph=True)
        total = (gradient * along).sum() + (energy * along[..., 0]).sum()
        backs = torch.autograd.grad(total, leaves, materialize_grads=True)
        found.append((gradient, energy, *backs))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_block_of_positions_at_a_time_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        term = TERMS["masked"]().double()
    state = states().requires_grad_()
    found = []
    for block in (hidden_units.BLOCK, 2 * WIDTH * 3):  # two positions of three questions
        monkeypatch.setattr(hidden_units, "BLOCK", block)
        gradient, _ = slope(term.bind(context()), state, create_graph=True)
        found.append((gradient, *torch.autograd.grad(gradient.square().sum(), state)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_an_energy_reads_its_own_state_only(term: Energy) -> None:
    potential, state = term.bind(context()), states()
    moved = state.clone()
    moved[:, 4] += 1.0
    with torch.no_grad():
        differs = potential(state) != potential(moved)
    assert not bool(differs[:, :4].any()) and not bool(differs[:, 5:].any())


def test_an_energy_does_not_read_later_inputs(term: Energy) -> None:
    here, state = context(), states()
    inputs = here.inputs.clone()
    inputs[:, 5:] = (inputs[:, 5:] + 1) % VOCAB
    embedded = here.embedded - here.table[here.inputs] + here.table[inputs]
    embedded[:, :5] = here.embedded[:, :5]
    later = replace(here, inputs=inputs, embedded=embedded)
    with torch.no_grad():
        before, after = term.bind(here)(state), term.bind(later)(state)
    assert torch.equal(before[:, :5], after[:, :5])


def test_nothing_but_a_proposal_means_no_descent() -> None:
    state = states()
    for iterate in Proximal(1.0, [0.1]).solve(WeightedSum([], []).bind(context()), state, 5):
        assert torch.equal(iterate.state, state)


def test_windows_hold_the_last_positions_oldest_first() -> None:
    values = torch.arange(1, 6).view(1, 5)
    assert windows(values, 3)[0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert window_valid(5, 3, values.device)[1].tolist() == [False, True, True]


def test_past_means_by_hand() -> None:
    values = torch.tensor([[[2.0], [4.0], [9.0]]])
    assert past_mean(values, inclusive=True).flatten().tolist() == [2.0, 3.0, 5.0]
    assert past_mean(values, inclusive=False).flatten().tolist() == [0.0, 2.0, 3.0]


def test_reverse_transformer_predicts_from_earlier_inputs_only() -> None:
    """Its energy at t uses x_t as a target, never as an input: no copy of the answer."""
    term, here = TERMS["reverse transformer"]().double(), context()
    with torch.no_grad():
        embedded = here.embedded.clone()
        embedded[:, -1] += 1.0  # the last input's embedding is a target's only
        changed = replace(here, embedded=embedded)
        assert torch.equal(term.bind(here)(states()), term.bind(changed)(states()))


def test_masks_are_fixed_by_the_row_and_hide_about_their_share() -> None:
    inputs = torch.randint(0, 2, (400, 50), generator=torch.Generator().manual_seed(1))
    hidden = hidden_positions(inputs, 0.15, salt=0)
    assert torch.equal(hidden, hidden_positions(inputs, 0.15, salt=0))
    assert torch.equal(hidden[7:8], hidden_positions(inputs[7:8], 0.15, salt=0))
    assert not torch.equal(hidden, hidden_positions(inputs, 0.15, salt=1))
    # 20,000 draws: the standard error of the share is 0.0025
    assert abs(float(hidden.float().mean()) - 0.15) < 0.01


def test_a_mask_does_not_tell_the_bit_it_hides() -> None:
    inputs = torch.randint(0, 2, (50, 20), generator=torch.Generator().manual_seed(1))
    flipped = inputs.clone()
    flipped[:, 12:] = 1 - flipped[:, 12:]
    before, after = (hidden_positions(rows, 0.5, 0) for rows in (inputs, flipped))
    assert torch.equal(before[:, :13], after[:, :13])
    assert not torch.equal(before[:, 13:], after[:, 13:])


def test_recent_hidden_positions_by_hand() -> None:
    hidden = torch.tensor([[False, True, False, True, True]])
    asked, valid = recent(hidden, 2)
    found = [
        [int(i) for i, ok in zip(row, known, strict=True) if ok]
        for row, known in zip(asked[0], valid[0], strict=True)
    ]
    assert found == [[], [1], [1], [3, 1], [4, 3]]


def test_confidence_is_zero_when_sure_and_by_hand_on_a_coin() -> None:
    here = replace(context(), read=lambda state: state)
    sure = torch.tensor([[[50.0, 0.0]]], dtype=torch.float64)
    coin = torch.zeros(1, 1, 2, dtype=torch.float64)
    potential = Confidence().bind(here)
    assert float(potential(sure)) < 1e-12
    assert float(potential(coin)) == pytest.approx(2 * 0.6931471805599453)  # H + log 2


def test_confidence_alone_flips_no_argmax() -> None:
    """Erratum 7: descending L_conf sharpens the answer there is."""
    here, state = context(), states()
    solver = Proximal(1.0, [0.1])
    *_, last = solver.solve(Confidence().bind(here), state, 32)
    assert torch.equal(here.read(last.state).argmax(-1), here.read(state).argmax(-1))
    assert not torch.equal(last.state, state)


def test_memory_moves_the_prototype_a_state_lands_on() -> None:
    memory = EpisodicMemory(2, 3, 0.1, 3, decay=0.3)
    memory.prototypes.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    memory.remember(torch.tensor([[[3.0, 1.0], [5.0, 1.0]]]))
    # both land on the first: 0.3 · [1, 0] + 0.7 · [4, 1]
    expected = torch.tensor([[3.1, 0.7], [0.0, 1.0], [-1.0, 0.0]])
    torch.testing.assert_close(memory.prototypes, expected)


def test_memory_energy_by_hand() -> None:
    """One relevant prototype: −cos/τ."""
    memory = EpisodicMemory(WIDTH, 1, 0.5, 1, 0.3).double()
    state = states()
    with torch.no_grad():
        energy = memory.bind(context())(state)
    cosine = F.cosine_similarity(state, memory.prototypes[0].expand_as(state), dim=-1)
    torch.testing.assert_close(energy, -cosine / 0.5)
