"""Summaries of load tests from raw samples, and the plain statistics below them."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import latency, statistics

FINITE = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(st.lists(FINITE, min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_percentile_agrees_with_numpy(values: list[float], percent: float) -> None:
    assert statistics.percentile(values, percent) == pytest.approx(float(numpy.percentile(values, percent)), rel=1e-9, abs=1e-9)


def test_nothing_has_no_percentile_no_rate_and_no_mean() -> None:
    assert (statistics.percentile([], 95), statistics.rate(0, 0), statistics.mean([])) == (None, None, None)


def sample(total: float, first: float | None = 0.1, tokens: int = 10, error: str = "") -> latency.Sample:
    return latency.Sample(0.0, first, total, tokens, "stop", error, "r")


def test_failed_requests_count_in_success_but_not_in_latency() -> None:
    summary = latency.summarize([sample(1.0), sample(3.0), sample(120.0, None, 0, "timeout")], 10.0)
    assert (summary.requests, summary.succeeded) == (3, 2)
    assert summary.success_rate == pytest.approx(2 / 3)
    assert summary.throughput == pytest.approx(0.2)
    assert summary.p50_latency_seconds == pytest.approx(2.0)
    assert summary.p95_latency_seconds == pytest.approx(2.9)
    assert (summary.mean_answer_tokens, summary.tokens_per_second) == (10, 2.0)


def test_nothing_sent_is_unknown_not_zero() -> None:
    summary = latency.summarize([], 0.0)
    assert (summary.throughput, summary.success_rate, summary.p95_latency_seconds) == (None, None, None)


def test_all_failed_has_a_success_rate_of_zero_and_no_latency() -> None:
    summary = latency.summarize([sample(1.0, None, 0, "connection")], 1.0)
    assert (summary.success_rate, summary.throughput, summary.p95_latency_seconds) == (0.0, 0.0, None)


@given(st.lists(FINITE, max_size=20), FINITE)
def test_metrics_keep_the_summary(totals: list[float], duration: float) -> None:
    summary = latency.summarize([sample(total) for total in totals], duration)
    assert latency.from_metrics(latency.to_metrics(summary)) == summary


def test_errors_are_counted_by_class_most_frequent_first() -> None:
    samples = [sample(1.0), *(sample(1.0, error=name) for name in ("timeout", "http 500", "http 500"))]
    assert list(latency.errors_by_class(samples).items()) == [("http 500", 2), ("timeout", 1)]
