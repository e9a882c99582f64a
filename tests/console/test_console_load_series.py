"""Samples over time and by size: rolling percentiles, rates, histograms, curves, highest load within limits, what may be left out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import console_load_tests
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import load_series
from controlplane import wire

TOTAL = load_series.MEASURES["end-to-end"]


def _sample(at: float, total: float = 1.0, **fields: object) -> wire.Sample:
    body = {
        "at_seconds": at,
        "first_token_seconds": total / 4,
        "total_seconds": total,
        "answer_tokens": 5,
        "gap_seconds": total / 8,
        **fields,
    }
    return wire.Sample.model_validate(body)


@pytest.mark.parametrize(
    ("measure", "expected"), [("end-to-end", [1.0, 2.0]), ("first token", [0.25, 0.5]), ("between tokens", [0.125, 0.25])]
)
def test_failures_and_warm_ups_are_in_no_distribution(measure: str, expected: list[float]) -> None:
    samples = [_sample(0, 2.0), _sample(1, 1.0), _sample(2, 9.0, error="timeout"), _sample(3, 8.0, is_counted=False)]
    assert list(load_series.times(samples, load_series.MEASURES[measure])) == expected


@pytest.mark.parametrize(("count", "share", "expected"), [(100, 0.95, 95), (10, 0.95, 10), (20, 0.95, 19), (1, 0.5, 1), (4, 0.5, 2)])
def test_a_percentile_is_a_value_that_was_measured(count: int, share: float, expected: float) -> None:
    assert load_series.quantile(numpy.arange(1.0, count + 1), share) == expected


def test_nothing_has_no_percentile() -> None:
    assert load_series.quantile(load_series.NONE, 0.95) is None


@pytest.mark.parametrize(
    ("slowest", "is_wide"), [(5.0, False), (60.0, True)], ids=["a few times the quickest: linear", "sixty times the quickest: logarithmic"]
)
def test_the_axis_follows_the_spread(slowest: float, is_wide: bool) -> None:
    assert load_series.is_wide([numpy.array([1.0] * 99), numpy.array([slowest] * 3)]) is is_wide


@pytest.mark.parametrize("is_log", [False, True])
def test_every_value_has_a_bin(is_log: bool) -> None:
    sides = [numpy.array([0.01, 0.5, 3.0]), numpy.array([0.02, 40.0])]
    bounds = load_series.edges(sides, is_log)
    assert sum(numpy.histogram(values, bounds)[0].sum() for values in sides) == 5


def test_a_cumulative_curve_is_drawn_by_a_few_of_its_own_points() -> None:
    ordered = numpy.sort(numpy.random.default_rng(3).lognormal(size=20_000))
    taken, shares = load_series.cumulative(ordered, 500)
    assert len(taken) == 500
    assert shares[-1] == 1.0
    for value, share in zip(taken, shares, strict=True):
        assert share == pytest.approx((ordered <= value).mean())


def test_rolling_percentiles_follow_a_slow_spell() -> None:
    samples = [_sample(n * 0.1, 4.0 if 300 <= n < 400 else 1.0) for n in range(1000)]
    found = load_series.rolling(samples)
    by_time = dict(zip(found.at_seconds.round(1), zip(found.p50, found.p95, strict=True), strict=True))
    early, slow = (min(by_time, key=lambda at, middle=middle: abs(at - middle)) for middle in (10.0, 35.0))
    assert by_time[early] == (1.0, 1.0)
    assert by_time[slow] == (4.0, 4.0)


def test_no_window_reaches_into_another_block() -> None:
    samples = [_sample(n * 0.1, 1.0, block=0) for n in range(50)] + [_sample(60 + n * 0.1, 5.0, block=2) for n in range(50)]
    found = load_series.rolling(samples)
    gaps = numpy.flatnonzero(numpy.isnan(found.at_seconds))
    assert len(gaps) == 1
    assert set(found.p95[: gaps[0]]) == {1.0}
    assert set(found.p95[gaps[0] + 1 :]) == {5.0}


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_handful_of_requests_has_no_rolling_percentile(count: int) -> None:
    assert len(load_series.rolling([_sample(float(n)) for n in range(count)]).p95) == 0


def test_a_steady_server_has_a_steady_rate() -> None:
    found = load_series.rates([_sample(n * 0.25, 1.0) for n in range(400)])
    assert found.per_second == pytest.approx([4.0] * len(found.per_second), abs=0.5)
    assert found.slice_seconds == 2.0


def test_failures_are_no_throughput() -> None:
    samples = [_sample(n * 0.25, 1.0, error="timeout" if n % 2 else "") for n in range(400)]
    found = load_series.rates(samples)
    assert found.per_second == pytest.approx([2.0] * len(found.per_second), abs=0.3)


def test_a_block_of_a_single_slice_is_a_line_and_not_a_point() -> None:
    found = load_series.rates([_sample(n * 0.3, 1.0) for n in range(12)])
    assert len(found.at_seconds) >= 2
    assert found.at_seconds[-1] > found.at_seconds[0]
    assert found.per_second[-1] == found.per_second[-2]


@pytest.mark.parametrize("count", [0, 1])
def test_one_answer_is_no_rate(count: int) -> None:
    assert len(load_series.rates([_sample(0.0)] * count).per_second) == 0


@given(st.integers(0, 5000), st.integers(30, 1500))
def test_what_is_drawn_is_never_more_than_asked_and_has_the_slowest(count: int, most: int) -> None:
    samples = [_sample(float(n), 1.0 + (n * 7919) % 1000) for n in range(min(count, 400) if most < 400 else count // 10)]
    drawn = load_series.thinned(samples, most)
    assert len(drawn) <= max(most, 0) or len(samples) <= most
    assert [one.at_seconds for one in drawn] == sorted(one.at_seconds for one in drawn)
    if samples:
        assert max(one.total_seconds for one in drawn) == max(one.total_seconds for one in samples)


def test_failures_are_counted_by_class_the_most_frequent_first() -> None:
    samples = [_sample(0, error=name) for name in ("timeout", "http 503", "timeout", "")]
    assert load_series.failures(samples) == {"timeout": 2, "http 503": 1}


def _point(load: float, latency: float | None, ttft: float = 0.5, success: float = 1.0) -> wire.LoadPoint:
    return wire.LoadPoint(
        load=load, requests=50, throughput=load, p50_latency_seconds=1, p95_latency_seconds=latency, p95_ttft_seconds=ttft,
        success_rate=success, goodput=1.0,
    )  # fmt: skip


LIMITS = {"p95_latency_seconds": 8.0, "p95_ttft_seconds": 2.0, "success_rate": 0.99}


@pytest.mark.parametrize(
    ("points", "limits", "expected"),
    [
        ([_point(1, 2.0), _point(2, 4.0), _point(4, 9.0)], LIMITS, 2),
        ([_point(4, 9.0), _point(1, 2.0), _point(2, 4.0)], LIMITS, 2),
        ([_point(1, 2.0), _point(2, 9.0), _point(4, 4.0)], LIMITS, 1),
        ([_point(1, 2.0), _point(2, 4.0, ttft=2.0)], LIMITS, 1),
        ([_point(1, 2.0), _point(2, 4.0, success=0.98)], LIMITS, 1),
        ([_point(1, 8.0)], LIMITS, None),
        ([_point(1, None)], LIMITS, None),
        ([_point(1, 80.0)], {}, 1),
        ([], LIMITS, None),
    ],
    ids=[
        "the last within", "in any order", "not beyond a step that fails", "by first token", "by success", "a limit is no longer within",
        "nothing measured", "no limits", "no sweep",
    ],
)  # fmt: skip
def test_the_highest_load_within_the_limits(points: list[wire.LoadPoint], limits: Mapping[str, float], expected: float | None) -> None:
    found = load_series.highest_load(points, limits)
    assert (found.load if found else None) == expected


def test_blocks_begin_with_their_first_request() -> None:
    test = console_load_tests.passed()
    found = load_series.stretches(test)
    assert [one.role for one in found] == ["candidate", "live", "live", "candidate"]
    assert all(one.begin < one.steady_from < one.steady_until <= one.end for one in found)
    assert all(one.end <= after.begin for one, after in itertools.pairwise(found))


def test_an_older_test_has_no_blocks() -> None:
    assert load_series.stretches(console_load_tests.stored()) == []


def test_the_server_is_held_against_all_that_was_sent_from_when_it_left() -> None:
    test = console_load_tests.passed()
    late = test.model_copy(update={"samples": tuple(one.model_copy(update={"delay_seconds": 0.5}) for one in test.samples)})
    both = load_series.on_the_wire(test, TOTAL)
    assert len(both) == len(test.samples) + len(test.baseline_samples)
    assert math.fsum(both) - math.fsum(load_series.on_the_wire(late, TOTAL)) == pytest.approx(0.5 * len(test.samples))
    assert len(load_series.on_the_wire(console_load_tests.stored(), TOTAL)) == len(test.samples)


@pytest.mark.parametrize(
    ("side", "order", "expected"),
    [
        ("both sides", "as sent", [0, 1, 2]),
        ("live", "as sent", [1]),
        ("both sides", "slowest first", [1, 2, 0]),
        ("candidate", "failed only", [2]),
        ("live", "failed only", []),
    ],
)
def test_requests_are_listed_as_asked(side: str, order: str, expected: list[int]) -> None:
    sides = {"candidate": [_sample(0, 1.0), _sample(2, 2.0, error="timeout")], "live": [_sample(1, 3.0)]}
    assert [sample.at_seconds for _, sample in load_series.listed(sides, side, order)] == expected
