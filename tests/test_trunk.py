"""The trunk's options, which every method with blocks shares: refused in one line."""

import pytest

from closedloop.bench.registry import Registry
from closedloop.methods.layers.trunk import TrunkConfig

WITH_BLOCKS = [
    name for name in Registry().methods if issubclass(Registry().method(name).Config, TrunkConfig)
]


def test_most_methods_are_built_on_the_same_sizes() -> None:
    """The others are recurrent nets and convolutions, whose width the preset gives as well."""
    without = set(Registry().methods) - set(WITH_BLOCKS)
    assert without == {"gru", "lstm", "deep-thinking"}


@pytest.mark.parametrize("name", WITH_BLOCKS)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"depth": 0}, "expected depth ≥ 1, got 0"),
        ({"width": 10, "heads": 4}, "divisible by heads, got 10 and 4"),
        ({"feed_forward": "wide"}, "no feed-forward 'wide'. Known: gated, plain"),
        ({"positions": "rotary"}, "no positions 'rotary'. Known: sinusoidal, none"),
    ],
)
def test_sizes_and_names_that_cannot_be_are_refused(name, options, told) -> None:
    with pytest.raises(ValueError, match=told):
        Registry().method(name).Config(**options)
