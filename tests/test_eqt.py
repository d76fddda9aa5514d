"""EqT as a whole: what it is at zero iterations, schedules, halting, warm start."""

import pytest
import torch
from safetensors.torch import save_file

from closedloop.methods.eqt import EqT
from closedloop.methods.eqt_config import EqTConfig
from closedloop.methods.method import Method, Progress, Sizes, build
from closedloop.methods.transformer import Transformer
from closedloop.tasks.parity import Parity

SIZES, SMALL = Sizes(2, 2, 12), {"width": 16, "depth": 2, "heads": 2}
NO_TERMS = {"reverse": 0.0, "masked": 0.0, "confidence": 0.0}


@pytest.fixture
def transformer() -> Method:
    return build(Transformer, Transformer.Config(**SMALL), SIZES, 3).eval()


@pytest.fixture
def inputs() -> torch.Tensor:
    return Parity().sample(5, 12, 0, "test").to("cpu").inputs


def warmed(transformer: Method, **options) -> EqT:
    model = build(EqT, EqTConfig(**SMALL, **options), SIZES, 4).eval()
    model.warm_start(transformer.state_dict())
    return model


@pytest.mark.parametrize("placement", ["last", "shared", "each"])
def test_zero_iterations_are_the_transformer_bit_for_bit(transformer, inputs, placement) -> None:
    """Both end in the one final LayerNorm, so nothing has to be said about it."""
    with torch.no_grad():
        expected = transformer.answer(inputs, 0).logits
        found = warmed(transformer, placement=placement).answer(inputs, 0).logits
    assert torch.equal(found, expected)


@pytest.mark.parametrize("placement", ["last", "shared", "each"])
def test_no_energy_is_the_transformer_bit_for_bit(transformer, inputs, placement) -> None:
    with torch.no_grad():
        model = warmed(transformer, placement=placement, **NO_TERMS)
        assert torch.equal(model.answer(inputs, 8).logits, transformer.answer(inputs, 0).logits)


def test_refinement_lowers_the_energy_and_moves_the_state(transformer, inputs) -> None:
    with torch.no_grad():
        steps = list(warmed(transformer).deliberate(inputs, 8))
    means = [float(step.energy.mean()) for step in steps]
    assert means == sorted(means, reverse=True) and means[-1] < means[0]
    assert not torch.equal(steps[-1].logits, steps[0].logits)


def test_entropy_gives_uncertain_positions_more_iterations(transformer, inputs) -> None:
    options = {"entropy_threshold": 0.55, "confident_iterations": 2}
    with torch.no_grad():
        steps = list(warmed(transformer, **options).deliberate(inputs, 6))
    logs = steps[0].logits.log_softmax(-1)
    sure = -(logs.exp() * logs).sum(-1) < 0.55
    used = sum(step.active.long() for step in steps)
    assert bool(sure.any()) and bool((~sure).any())
    assert torch.equal(used, torch.where(sure, 2, 6))


def test_schedules_run_from_start_to_end() -> None:
    config = EqTConfig(
        **SMALL, gamma_start=10.0, gamma_anneal=0.5, iterations=4, iterations_start=2
    )
    model = build(EqT, config, SIZES, 0)
    plan = [model.scheduled(Progress(step, 101, 0)) for step in (0, 25, 49, 50, 100)]
    assert plan[0] == (10.0, 2)
    assert plan[1][0] == pytest.approx(10**0.5)
    assert plan[2][1] == 2 and plan[3] == (1.0, 4) and plan[4] == (1.0, 4)


def test_warm_start_reads_a_file_of_weights(transformer, inputs, tmp_path) -> None:
    path = tmp_path / "transformer.safetensors"
    save_file(transformer.state_dict(), path)
    model = build(EqT, EqTConfig(**SMALL, warm_start=str(path)), SIZES, 9).eval()
    with torch.no_grad():
        assert torch.equal(model.answer(inputs, 0).logits, transformer.answer(inputs, 0).logits)


def test_warm_start_refuses_other_sizes(transformer) -> None:
    model = build(EqT, EqTConfig(width=32, depth=2, heads=2), SIZES, 4)
    with pytest.raises(ValueError, match="of this size"):
        model.warm_start(transformer.state_dict())


def test_masks_differ_between_updates_and_not_between_answers(inputs) -> None:
    model = build(EqT, EqTConfig(**SMALL, masked_share=0.5), SIZES, 4)
    batch = Parity().sample(5, 12, 0, "train").to("cpu")
    losses = [model.loss(batch, Progress(step, 10, 0)).total.item() for step in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    "options, known",
    [
        ({"placement": "first"}, "last, shared, each"),
        ({"gradient": "none"}, "unrolled, implicit"),
        ({"reverse_model": "rnn"}, "head, transformer"),
        ({"iterations": -1}, "≥ 0"),
        ({"iterations": 0, "energy_weight": 0.0}, "≥ 1"),
    ],
)
def test_bad_options_are_told_in_one_line(options, known) -> None:
    with pytest.raises(ValueError, match=known):
        EqTConfig(**options)
