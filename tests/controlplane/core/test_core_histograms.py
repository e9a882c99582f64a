"""Quantiles of histograms: the interpolation is Prometheus', the edges hold for the raw values."""

from __future__ import annotations

import math

import hypothesis
import pytest
from hypothesis import strategies

from controlplane.core import counters, histograms, series, statistics, witness

WINDOW = counters.Window(0.0, 1.0)
BOUNDS = (0.5, 1.0, 2.5, 5.0, math.inf)
# The default bounds of vLLM 0.32 around the floor of 8 s, and two tests whose P95 is 3.16 s and 3.76 s.
COARSE = (1.0, 1.5, 2.0, 2.5, 5.0, 10.0, math.inf)


def counted(values: list[float], bounds: tuple[float, ...] = BOUNDS) -> dict[float, float]:
    return {bound: float(sum(value <= bound for value in values)) for bound in bounds}


def buckets(found: dict[float, float], **labels: str) -> list[series.Series]:
    name = {"__name__": "w_bucket", **labels}
    return [series.Series({**name, "le": "+Inf" if math.isinf(bound) else str(bound)}, ((0, 7), (1, 7 + n))) for bound, n in found.items()]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([0.1] * 19 + [0.7], 0.5, witness.Quantile(0.0, 0.5, 0.5 * 10 / 19)),
        ([0.1] * 10 + [0.7] * 10, 0.95, witness.Quantile(0.5, 1.0, 0.95)),
        ([0.1] * 19 + [0.7], 0.95, witness.Quantile(0.0, 1.0, 0.5)),
        ([0.1, 9.0], 0.95, witness.Quantile(0.0, math.inf, 5.0)),
        ([9.0], 0.5, witness.Quantile(5.0, math.inf, 5.0)),
    ],
    ids=["within one bucket", "in the second", "between two values in two buckets", "up to beyond the last bound", "beyond the last bound"],
)
def test_the_quantile_and_its_bounds(values: list[float], share: float, expected: witness.Quantile) -> None:
    found = histograms.quantile(counted(values), share)
    assert found is not None
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.interpolated == pytest.approx(expected.interpolated)


@hypothesis.given(strategies.lists(strategies.floats(0.001, 20), min_size=1, max_size=60), strategies.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_exact_quantile_lies_within_the_bounds(values: list[float], share: float) -> None:
    found, exact = histograms.quantile(counted(values), share), statistics.percentile(values, share * 100)
    assert found is not None
    assert exact is not None
    assert found.low <= exact <= found.high
    assert found.low <= found.interpolated <= found.high


def test_a_slowdown_that_interpolation_hides_is_within_the_bounds() -> None:
    fast, slow = [1.2] * 94 + [3.16] * 6, [1.2] * 94 + [3.76] * 6
    first, second = (histograms.quantile(counted(values, COARSE), 0.95) for values in (fast, slow))
    assert first == second
    assert first is not None
    assert (first.low, first.high) == (2.5, 5.0)


@pytest.mark.parametrize("found", [{}, counted([]), {1.0: 3.0}], ids=["no buckets", "no observations", "no last bucket"])
def test_of_nothing_there_is_no_quantile(found: dict[float, float]) -> None:
    assert histograms.quantile(found, 0.95) is None


def test_servers_with_other_bounds_are_added_where_both_have_one() -> None:
    found = [
        *buckets({0.5: 1, 1.0: 4, math.inf: 5}, instance="a"),
        *buckets({1.0: 2, 2.0: 3, math.inf: 3}, instance="b"),
    ]
    assert histograms.counts(counters.growth(found, WINDOW), "w") == {1.0: 6.0, math.inf: 8.0}


def test_a_bound_that_is_no_number_is_left_out() -> None:
    found = [*buckets({1.0: 4, math.inf: 5}), series.Series({"__name__": "w_bucket", "le": "x"}, ((0, 0), (1, 9)))]
    assert histograms.counts(counters.growth(found, WINDOW), "w") == {1.0: 4.0, math.inf: 5.0}


def test_the_mean_is_exact_and_absent_without_observations() -> None:
    def parts(total: float, count: float) -> counters.Growth:
        pairs = (("w_sum", total), ("w_count", count))
        return counters.growth([series.Series({"__name__": name}, ((0, 1), (1, 1 + value))) for name, value in pairs], WINDOW)

    assert histograms.mean(parts(6, 4), "w") == 1.5
    assert histograms.mean(parts(0, 0), "w") is None
    assert histograms.mean(parts(6, 4), "other") is None
