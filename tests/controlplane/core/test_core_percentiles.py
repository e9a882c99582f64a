"""Percentiles with bounds: the ranks that are published, scipy's own, and what failures and too few values come to."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from controlplane.core import effective_size, estimates, percentiles


def shuffled(count: int, percent: float = 95) -> numpy.ndarray:
    """1 to count, in an order in which each counts by itself."""
    drawn = (numpy.random.default_rng(seed).permutation(count) + 1.0 for seed in range(1000))
    return next(values for values in drawn if int(effective_size.of_percentile([values], percent)) == count)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(1000, 936, 964), (100, 90, 100), (72, 64, 72), (71, 63, math.inf), (50, 44, math.inf), (1, 0, math.inf)]
)
def test_the_bounds_of_a_p95_are_these_values(count: int, low: float, high: float) -> None:
    found = percentiles.estimate([shuffled(count)], 95)
    assert found is not None
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("percent", [50, 95, 99])
def test_they_are_scipys(percent: int, level: float) -> None:
    values = shuffled(400, percent)
    theirs = stats.quantile_test(values, p=percent / 100).confidence_interval(level)
    ours = percentiles.estimate([values], percent, level)
    assert ours is not None
    assert (ours.low, ours.high) == (theirs.low, math.inf if math.isnan(theirs.high) else theirs.high)


def test_values_that_tie_are_bounds_too() -> None:
    assert percentiles.estimate([numpy.full(100, 2.0)], 95) == estimates.Estimate(2.0, 2.0, 2.0, 100, 100, 72)


@pytest.mark.parametrize(("percent", "level", "least"), [(95, 0.95, 72), (99, 0.95, 368), (50, 0.95, 6), (95, 0.99, 104)])
def test_so_many_values_have_bounds_on_both_sides(percent: float, level: float, least: int) -> None:
    assert percentiles.least_values(percent, level) == least
    for count, is_bounded in ((least, True), (least - 1, False)):
        theirs = stats.quantile_test(numpy.arange(count), p=percent / 100).confidence_interval(level)
        assert (math.isnan(theirs.high) or math.isnan(theirs.low)) is not is_bounded


def test_nothing_has_no_percentile() -> None:
    assert percentiles.estimate([], 95) is None
    assert percentiles.estimate([numpy.zeros(0)], 95) is None


@pytest.mark.parametrize(("failures", "value", "low"), [(0, 95.05, 90), (4, 95.05, 90), (5, math.inf, 90), (11, math.inf, math.inf)])
def test_failures_are_slower_than_anything(failures: int, value: float, low: float) -> None:
    values = shuffled(100)
    values[values > 100 - failures] = math.inf
    found = percentiles.estimate([values], 95)
    assert found is not None
    assert (found.value, found.low) == (pytest.approx(value), low)
    assert found.high == (math.inf if failures else 100)


positive = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=150)


@given(positive, st.sampled_from([50.0, 95.0, 99.0]), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_bounds_hold_the_value_and_widen_with_the_level(values: list[float], percent: float, level: float) -> None:
    found = percentiles.estimate([numpy.array(values)], percent, level)
    wider = percentiles.estimate([numpy.array(values)], percent, (1 + level) / 2)
    assert found is not None
    assert wider is not None
    assert wider.low <= found.low <= found.value <= found.high <= wider.high


def test_more_values_narrow_them_on_average() -> None:
    generator = numpy.random.default_rng(1)

    def width(count: int) -> float:
        found = [percentiles.estimate([generator.lognormal(size=count)], 95) for _ in range(30)]
        return float(numpy.median([math.log(one.high / one.low) for one in found if one]))

    assert width(100) > width(400) > width(1600)


def test_correlated_values_have_wider_bounds_than_the_same_values_mixed() -> None:
    generator = numpy.random.default_rng(2)
    slow = numpy.repeat(generator.lognormal(size=50), 20)
    bunched = slow * generator.lognormal(sigma=0.1, size=1000)
    one, mixed = percentiles.estimate([bunched], 95), percentiles.estimate([generator.permutation(bunched)], 95)
    assert one is not None
    assert mixed is not None
    assert one.independent < 150 < 600 < mixed.independent
    assert one.low < mixed.low < one.value == mixed.value
