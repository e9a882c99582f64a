"""How many independent values a series is worth: against processes whose autocorrelation is known."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import effective_size


def autoregressive(count: int, share: float, seed: int) -> numpy.ndarray:
    """Of first order: each value keeps `share` of the one before."""
    steps = numpy.random.default_rng(seed).standard_normal(count) * numpy.sqrt(1 - share**2)
    values = numpy.zeros(count)
    for at, step in enumerate(steps):
        values[at] = share * values[at - 1] + step if at else step / numpy.sqrt(1 - share**2)
    return values


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_an_autoregressive_series_is_worth_what_theory_says(share: float) -> None:
    blocks = [autoregressive(20_000, share, seed) for seed in (1, 2)]
    assert effective_size.of_mean(blocks) == pytest.approx(40_000 * (1 - share) / (1 + share), rel=0.1)


def test_series_that_go_up_and_down_are_worth_no_more_than_their_number() -> None:
    assert effective_size.of_mean([numpy.tile([0.0, 1.0], 50)]) == 100


def test_values_that_never_differ_count_each() -> None:
    assert effective_size.of_mean([numpy.ones(40), numpy.ones(2)]) == 42


def test_blocks_that_differ_as_a_whole_are_worth_few() -> None:
    noise = numpy.random.default_rng(3).standard_normal((4, 250))
    same, apart = list(noise), [row + 3 * (number % 2) for number, row in enumerate(noise)]
    assert effective_size.of_mean(same) > 700
    assert effective_size.of_mean(apart) < 20


def test_bunches_in_the_tail_are_seen_though_the_rest_is_independent() -> None:
    values = numpy.random.default_rng(5).random(1000)
    bunched = values.copy()
    bunched[300:325] += 5
    bunched[700:725] += 5
    assert effective_size.of_percentile([values], 95) > 600
    assert effective_size.of_percentile([bunched], 95) < 100


@given(st.lists(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40), min_size=1, max_size=4))
def test_it_lies_between_one_and_the_number(drawn: list[list[float]]) -> None:
    blocks = [numpy.array(one) for one in drawn]
    count = sum(len(one) for one in blocks)
    assert 1 <= effective_size.of_mean(blocks) <= count
    assert 1 <= effective_size.of_percentile(blocks, 95) <= count
