"""How two estimates combine: published examples, statsmodels' Newcombe, and what bounds that are missing come to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import proportion

from controlplane.core import estimates

Estimate = estimates.Estimate


@pytest.mark.parametrize(("one", "other"), [((56, 70), (48, 80)), ((100, 100), (100, 100)), ((9, 10), (3, 10)), ((0, 20), (0, 20))])
def test_a_difference_of_shares_is_newcombes(one: tuple[int, int], other: tuple[int, int]) -> None:
    theirs = proportion.confint_proportions_2indep(*one, *other, compare="diff", method="newcomb")
    shares = [estimates.share(part / whole, whole, whole, 0.95) for part, whole in (one, other)]
    ours = estimates.difference(*shares)
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


def test_newcombes_own_example() -> None:
    """56 of 70 less 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, Stat. Med. 17:873, table II, method 10)."""
    ours = estimates.difference(estimates.share(56 / 70, 70, 70, 0.95), estimates.share(48 / 80, 80, 80, 0.95))
    assert (round(ours.low, 4), round(ours.high, 4)) == (0.0524, 0.3339)


def test_a_hundred_of_a_hundred_show_only_so_much() -> None:
    assert round(estimates.share(1.0, 100, 100, 0.95).low, 3) == 0.963


def test_a_ratio_adds_distances_as_legs_of_a_right_triangle() -> None:
    three, four = math.exp(0.3), math.exp(0.4)
    found = estimates.ratio(Estimate(2.0, 2 / three, 2 * three, 50, 40), Estimate(1.0, 1 / four, four, 60, 60))
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2 * math.exp(-0.5), 2 * math.exp(0.5)))
    assert (found.requests, found.independent) == (50, 40)


FINE = Estimate(2.0, 1.0, 4.0, 100, 100)


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (Estimate(2.0, 1.0, math.inf, 10, 10), FINE, (0.375, math.inf)),
        (FINE, Estimate(2.0, 0.0, 4.0, 10, 10), (0.375, math.inf)),
        (Estimate(math.inf, 8.0, math.inf, 10, 10), FINE, (2.0, math.inf)),
        (FINE, Estimate(math.inf, 8.0, math.inf, 10, 10), (0.0, 0.5)),
        (Estimate(math.inf, math.inf, math.inf, 10, 10), Estimate(math.inf, 8.0, math.inf, 10, 10), (0.0, math.inf)),
        (Estimate(0.0, 0.0, 0.0, 10, 10), FINE, (0.0, 0.0)),
    ],
    ids=["no upper bound", "no lower bound below", "above unknown", "below unknown", "both unknown", "nothing above"],
)
def test_a_missing_bound_leaves_the_ratio_open_on_that_side(above: Estimate, below: Estimate, expected: tuple[float, float]) -> None:
    found = estimates.ratio(above, below)
    assert (round(found.low, 3), round(found.high, 3)) == expected


logs = st.floats(-3, 3)


@given(logs, st.floats(0, 2), st.floats(0, 2), logs, st.floats(0, 2), st.floats(0, 2), st.floats(0.2, 5), st.floats(0, 1))
def test_a_ratio_holds_its_value_and_turns_over_with_the_roles(
    a: float, down: float, up: float, b: float, fall: float, rise: float, factor: float, unsure: float
) -> None:
    one = Estimate(math.exp(a), math.exp(a - down), math.exp(a + up), 9, 9)
    other = Estimate(math.exp(b), math.exp(b - fall), math.exp(b + rise), 9, 9)
    found, turned = estimates.ratio(one, other), estimates.ratio(other, one)
    assert found.low <= found.value * (1 + 1e-12)
    assert found.value <= found.high * (1 + 1e-12)
    assert (found.low, found.high) == pytest.approx((1 / turned.high, 1 / turned.low))
    scaled = estimates.scaled(found, factor, unsure)
    assert scaled.low <= found.low * factor * (1 + 1e-9)
    assert scaled.high >= found.high * factor * (1 - 1e-9)


def test_as_many_requests_as_said_decide_a_share_and_one_less_do_not() -> None:
    found = estimates.share(1.0, 100, 100, 0.95)
    needed = estimates.requests_to_decide_share(found, 0.99, 0.95)
    assert needed == 381
    assert estimates.share(1.0, needed, needed, 0.95).low >= 0.99 > estimates.share(1.0, needed - 1, needed - 1, 0.95).low


def test_correlated_requests_need_as_many_times_more() -> None:
    found = estimates.share(1.0, 100, 50, 0.95)
    assert estimates.requests_to_decide_share(found, 0.99, 0.95) == 762


def test_requests_that_decide_a_difference_of_two_perfect_shares() -> None:
    found = estimates.share(1.0, 100, 100, 0.95)
    needed = estimates.requests_to_decide_difference(found, found, -0.02, 0.95)
    assert needed == 189


@pytest.mark.parametrize(
    ("found", "limit", "needed"),
    [
        (Estimate(1.0, math.exp(-0.2), math.exp(0.2), 100, 100), math.exp(0.1), 400),
        (Estimate(1.0, math.exp(-0.3), math.exp(0.1), 100, 100), math.exp(-0.1), 900),
        (Estimate(1.0, 0.5, math.inf, 50, 25, 72), 1.15, 144),
        (Estimate(1.0, 0.5, 2.0, 100, 100), 1.0, None),
        (Estimate(math.inf, 0.5, math.inf, 100, 100), 1.0, None),
        (Estimate(1.0, 0.5, 2.0, 100_000, 100_000), 1.0001, None),
    ],
    ids=["above", "below", "too few for a bound", "on the limit", "unknown", "hardly any"],
)
def test_requests_to_decide(found: Estimate, limit: float, needed: int | None) -> None:
    assert estimates.requests_to_decide(found, limit) == needed
