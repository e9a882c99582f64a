"""What a watcher is told: percentiles of counted answers only, and nothing made up where there is nothing."""

from __future__ import annotations

import pytest

from controlplane.core import latency, load_progress


def test_nothing_is_known_of_a_slot_that_was_not_asked() -> None:
    look = load_progress.Tally("live").look(0.0)
    assert look == load_progress.SlotProgress("live", 0, {}, None, None, None, None, None)


def test_counted_answers_make_the_percentiles_and_failures_are_told() -> None:
    tally = load_progress.Tally("candidate")
    for total in (5.0, 1.0, 3.0, 2.0, 4.0):
        tally.add(latency.Sample(0.0, total / 10, total, 5))
    tally.add(latency.Sample(0.0, None, 90.0, 0, error="timeout"))
    tally.add(latency.Sample(0.0, 50.0, 90.0, 5, is_counted=False))
    look = tally.look(2.0)
    assert (look.requests, look.errors, look.throughput) == (6, {"timeout": 1}, 2.5)
    assert (look.p50_latency_seconds, look.p50_ttft_seconds) == (3.0, 0.3)
    assert look.p95_latency_seconds == pytest.approx(4.8)
    assert look.p95_ttft_seconds == pytest.approx(0.48)
