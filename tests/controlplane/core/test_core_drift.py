"""A slow change of the server is told apart from what separates two roles, and its uncertainty is kept."""

from __future__ import annotations

import math

import numpy
import pytest

from controlplane.core import drift, estimates

FINE = estimates.Estimate(1.0, 0.9, 1.2, 100, 100)


def blocks(order: str, role: str, per_second: float, spread: float = 0.0, each: int = 50) -> list[drift.Times]:
    """Of one role in a test of one block a minute: log times rise by so much a second, about 1 for role `l` and about 2 for role `c`."""
    generator = numpy.random.default_rng(ord(role))
    found = []
    for number, one in enumerate(order):
        due = 60 * number + numpy.linspace(0, 59, each)
        log = math.log(2 if role == "c" else 1) + per_second * due + spread * generator.standard_normal(each)
        if one == role:
            found.append(drift.Times(due, numpy.exp(log)))
    return found


@pytest.mark.parametrize(("order", "lag_seconds"), [("clcl", -60), ("lclc", 60), ("cllc", 0), ("clclclcl", -60)])
def test_the_slope_is_found_and_the_lag_of_the_order(order: str, lag_seconds: float) -> None:
    found = drift.find(blocks(order, "c", 0.001), blocks(order, "l", 0.001))
    assert (found.slope, found.error) == (pytest.approx(0.001), pytest.approx(0.0, abs=1e-9))
    assert found.lag_seconds == pytest.approx(lag_seconds)
    assert found.share == pytest.approx(math.expm1(0.001 * lag_seconds))
    assert found.is_seen is (lag_seconds != 0)


def test_a_ratio_without_it_is_the_true_one() -> None:
    """The server slows down by 0.1% a second, the candidate comes first by a minute: it looks 6% quicker than it is."""
    found = drift.find(blocks("clcl", "c", 0.001), blocks("clcl", "l", 0.001))
    cleaned = drift.without(FINE, found, 0.95)
    assert (cleaned.value, cleaned.low, cleaned.high) == pytest.approx([one * math.exp(0.06) for one in (1.0, 0.9, 1.2)])


def test_what_is_not_well_known_widens_the_bounds() -> None:
    found = drift.find(blocks("clcl", "c", 0.0, spread=0.5), blocks("clcl", "l", 0.0, spread=0.5))
    assert not found.is_seen
    cleaned = drift.without(FINE, found, 0.95)
    assert cleaned.high / cleaned.value > 1.2
    assert cleaned.low / cleaned.value < 0.9


def test_its_error_is_as_large_as_it_says() -> None:
    generator = numpy.random.default_rng(8)

    def slope() -> tuple[float, float]:
        due = [60.0 * number + numpy.arange(60) for number in range(4)]
        times = [drift.Times(one, generator.lognormal(0, 0.3, 60)) for one in due]
        found = drift.find(times[::2], times[1::2])
        return found.slope, found.error

    slopes, errors = numpy.array([slope() for _ in range(400)]).T
    assert numpy.std(slopes) == pytest.approx(numpy.mean(errors), rel=0.2)
    assert numpy.mean(numpy.abs(slopes) <= 1.96 * errors) > 0.93


def test_failures_tell_nothing_and_one_block_a_role_is_no_trend() -> None:
    failed = [drift.Times(one.due, numpy.full(len(one.due), math.inf)) for one in blocks("clcl", "c", 0.001)]
    assert drift.find(failed, blocks("clcl", "l", 0.001)) == drift.NONE
    assert drift.find(blocks("cl", "c", 0.001), blocks("cl", "l", 0.001)) == drift.NONE
    kept = drift.without(FINE, drift.NONE, 0.95)
    assert (kept.value, kept.low, kept.high) == pytest.approx((FINE.value, FINE.low, FINE.high))
