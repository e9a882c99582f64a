"""Confidence intervals against published values, their symmetries, and how many rows decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from controlplane.core import evidence, intervals


def shown(interval: evidence.Interval | None) -> tuple[float, float]:
    assert interval is not None
    return round(interval.low, 3), round(interval.high, 3)


@pytest.mark.parametrize(
    ("gained", "lost", "rows", "expected"),
    [
        # Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850, airway data.
        (1, 7, 21, (-0.517, -0.026)),
        (0, 0, 100, (-0.037, 0.037)),
        (5, 5, 5_000_000, (0.0, 0.0)),
    ],
)
def test_paired_difference(gained: int, lost: int, rows: int, expected: tuple[float, float]) -> None:
    assert shown(intervals.paired_difference(gained, lost, rows)) == expected


@pytest.mark.parametrize(("part", "whole"), [(0, 1), (1, 1), (8, 10), (34, 34), (0, 500), (123, 500)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_rate_is_scipys_wilson_interval(part: int, whole: int, level: float) -> None:
    theirs = stats.binomtest(part, whole).proportion_ci(level, method="wilson")
    ours = intervals.rate(part, whole, level)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_nothing_measured_has_no_interval() -> None:
    assert intervals.rate(0, 0) is None
    assert intervals.paired_difference(0, 0, 0) is None
    assert intervals.rows_to_decide(0, 0, 0, -0.02) is None


counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))


@given(counts)
def test_it_holds_the_difference_and_turns_over_with_the_roles(drawn: tuple[int, int, int]) -> None:
    gained, lost, same = drawn
    rows = gained + lost + same
    if rows == 0:
        return
    one, other = intervals.paired_difference(gained, lost, rows), intervals.paired_difference(lost, gained, rows)
    assert one is not None
    assert other is not None
    assert -1 <= one.low <= (gained - lost) / rows <= one.high <= 1
    assert one.low < one.high
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


@pytest.mark.parametrize(
    ("gained", "lost", "rows", "limit"),
    [(0, 0, 100, -0.02), (3, 9, 100, -0.02), (2, 3, 100, 0.02)],
)
def test_as_many_rows_as_said_decide_and_one_less_do_not(gained: int, lost: int, rows: int, limit: float) -> None:
    needed = intervals.rows_to_decide(gained, lost, rows, limit)
    assert needed is not None

    def is_open(count: float) -> bool:
        interval = intervals.paired_difference(gained * count / rows, lost * count / rows, count)
        assert interval is not None
        return interval.low < limit <= interval.high

    assert not is_open(needed)
    assert is_open(needed - 2)


def test_a_rate_on_its_limit_is_never_decided() -> None:
    assert intervals.rows_to_decide(1, 3, 100, -0.02) is None
    assert intervals.rows_to_decide_rate(90, 100, 0.9) is None
    assert intervals.rows_to_decide_rate(34, 34, 0.9) == 35
