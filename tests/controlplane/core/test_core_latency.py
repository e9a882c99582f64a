"""Summaries of load tests from raw samples, and the plain statistics below them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import latency, statistics

FINITE = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(st.lists(FINITE, min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_percentile_agrees_with_numpy(values: list[float], percent: float) -> None:
    assert statistics.percentile(values, percent) == pytest.approx(float(numpy.percentile(values, percent)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("failures", "expected"), [(0, 95.05), (4, 95.05), (5, numpy.inf), (99, numpy.inf)])
def test_infinity_is_a_value_like_any_other(failures: int, expected: float) -> None:
    values = [float(number) if number <= 100 - failures else numpy.inf for number in range(1, 101)]
    assert statistics.percentile(values, 95) == pytest.approx(expected)


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


def test_warm_up_counts_in_no_percentile_and_no_rate() -> None:
    warm = replace(sample(50.0, error="timeout"), is_counted=False)
    assert latency.summarize([warm, sample(1.0)], 2.0) == latency.summarize([sample(1.0)], 2.0)


def test_the_gaps_between_pieces_of_text_are_taken_together() -> None:
    summary = latency.summarize([replace(sample(1.0), token_gaps_seconds=gaps) for gaps in ((0.1, 0.3), (), (0.2,))], 1.0)
    assert (summary.p50_token_gap_seconds, summary.p99_token_gap_seconds) == (pytest.approx(0.2), pytest.approx(0.298))


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_role_is_summarized_over_its_own_steady_windows() -> None:
    samples = (
        replace(sample(2.0), at_seconds=-1.0, is_counted=False),
        replace(sample(1.0), at_seconds=1.0),
        replace(sample(3.0), at_seconds=3.0),
        replace(sample(9.0), at_seconds=7.0, role=latency.LIVE, block=1),
        replace(sample(1.0), at_seconds=20.0, block=2),
        replace(sample(1.0, error="http 500"), at_seconds=21.0, block=2),
    )
    blocks = (
        latency.Block(0, latency.CANDIDATE, 0.0, 5.0, 6.0),
        latency.Block(1, latency.LIVE, 6.0, 20.0, 20.0),
        latency.Block(2, latency.CANDIDATE, 20.0, 25.0, 25.0),
    )
    test = latency.LoadTest(samples, blocks, NOW, NOW, "count")
    found = latency.summarize_role(test, latency.CANDIDATE)
    assert (found.requests, found.succeeded, found.duration_seconds) == (4, 3, 10.0)
    # Within the windows end the warm-up's request and two of the others; the slow one ends after its window.
    assert (found.throughput, found.tokens_per_second) == (pytest.approx(0.3), pytest.approx(3.0))
    assert latency.summarize_role(test, latency.LIVE).p50_latency_seconds == 9.0
    assert latency.summarize_role(replace(test, samples=(), blocks=()), latency.LIVE).throughput is None


def test_a_block_that_was_never_whole_tells_no_throughput() -> None:
    """As many requests as clients: all begin at once, and none is answered before the last began."""
    samples = tuple(latency.Sample(n / 1000, 0.5, 1.0, 8) for n in range(4))
    test = latency.LoadTest(
        samples,
        (latency.Block(0, "candidate", 0.0, 0.003, 1.003),),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        "count",
    )
    found = latency.summarize_role(test, "candidate")
    assert (found.succeeded, found.p95_latency_seconds, found.throughput, found.tokens_per_second) == (4, 1.0, None, None)
