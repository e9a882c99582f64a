"""Throughput over steady windows: what counts, what its bounds rest on, and when there are none."""

from __future__ import annotations

import heapq
import math

import numpy
import pytest

from controlplane.core import latency, throughput


def closed_loop(seconds: list[float], clients: int, block: int = 0, begins: float = 0.0) -> tuple[list[latency.Sample], latency.Block]:
    """So many clients, each asking again when it is answered; each one's first request does not count."""
    free, samples = [begins] * clients, []
    for number, taken in enumerate(seconds):
        at = heapq.heappop(free)
        samples.append(latency.Sample(at, taken / 4, taken, 8, "stop", block=block, is_counted=number >= clients))
        heapq.heappush(free, at + taken)
    return samples, latency.Block(block, latency.CANDIDATE, samples[clients].at_seconds, samples[-1].at_seconds, max(free))


def estimated(samples: list[latency.Sample], *blocks: latency.Block) -> throughput.estimates.Estimate:
    found = throughput.estimate(samples, blocks, 0.95, numpy.random.default_rng(1))
    assert found is not None
    return found


def test_what_ends_in_the_window_counts_whenever_it_was_sent() -> None:
    window = latency.Block(0, latency.CANDIDATE, 10.0, 20.0, 25.0)
    sent = [
        latency.Sample(8.0, 0.1, 3.0, 1, is_counted=False),
        latency.Sample(12.0, 0.1, 3.0, 1),
        latency.Sample(13.0, None, 3.0, 0, error="timeout"),
        latency.Sample(19.0, 0.1, 3.0, 1),
        latency.Sample(2.0, 0.1, 3.0, 1, is_counted=False),
    ]
    assert estimated(sent, window).value == pytest.approx(0.2)


def test_a_regular_server_has_narrow_bounds_but_never_none() -> None:
    samples, block = closed_loop([1.0] * 320, 8)
    found = estimated(samples, block)
    assert found.value == pytest.approx(8.0, rel=0.05)
    assert 0 < (found.high - found.low) / found.value < 0.05


def test_too_few_rounds_give_no_bounds_and_say_how_many_would() -> None:
    samples, block = closed_loop([1.0] * 80, 8)
    found = estimated(samples, block)
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.independent < found.least_independent <= 2 * found.independent


def test_a_server_with_slow_and_quick_stretches_has_wider_bounds_than_the_same_requests_mixed() -> None:
    generator = numpy.random.default_rng(4)
    stretches = numpy.repeat(generator.lognormal(0, 0.5, 10), 60)
    slow, mixed = (estimated(*closed_loop(list(one), 6)) for one in (stretches, generator.permutation(stretches)))
    assert (slow.high - slow.low) > 2 * (mixed.high - mixed.low)


def test_nothing_answered_or_no_window_is_no_rate() -> None:
    window = latency.Block(0, latency.CANDIDATE, 10.0, 20.0, 25.0)
    assert throughput.estimate([], (), 0.95, numpy.random.default_rng(1)) is None
    assert throughput.estimate([], (latency.Block(0, latency.CANDIDATE, 10.0, 10.0, 10.0),), 0.95, numpy.random.default_rng(1)) is None
    found = estimated([], window)
    assert (found.value, found.low, found.high) == (0.0, 0.0, math.inf)


def test_the_same_generator_gives_the_same_bounds() -> None:
    samples, block = closed_loop(list(numpy.random.default_rng(2).lognormal(0, 0.3, 300)), 6)
    assert estimated(samples, block) == estimated(samples, block)
