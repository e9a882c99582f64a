"""Reading counters and histograms of two /metrics texts."""

from __future__ import annotations

import pytest

from controlplane.core import exposition

BEFORE = """# HELP done_total requests
# TYPE done_total counter
done_total{engine="0",reason="stop"} 5.0
done_total{engine="0",reason="length"} 1.0
wait_seconds_bucket{le="0.5"} 10.0
wait_seconds_bucket{le="1.0"} 10.0
wait_seconds_bucket{le="+Inf"} 10.0
"""
AFTER = """done_total{engine="0",reason="stop"} 15.0
done_total{engine="0",reason="length"} 2.0
wait_seconds_bucket{le="0.5"} 12.0
wait_seconds_bucket{le="1.0"} 20.0
wait_seconds_bucket{le="+Inf"} 20.0
"""


def test_counter_is_summed_over_labels_and_grows() -> None:
    assert exposition.total(BEFORE, "done_total") == 6.0
    assert exposition.growth(BEFORE, AFTER, "done_total") == 11.0


@pytest.mark.parametrize(("before", "after"), [(BEFORE, ""), (AFTER, BEFORE)])
def test_missing_or_restarted_counter_is_unknown(before: str, after: str) -> None:
    assert exposition.growth(before, after, "done_total") is None


def test_quantile_counts_only_what_came_between_the_readings() -> None:
    assert exposition.quantile(BEFORE, AFTER, "wait_seconds", 0.2) == pytest.approx(0.5)
    assert exposition.quantile(BEFORE, AFTER, "wait_seconds", 0.6) == pytest.approx(0.75)


def test_quantile_of_nothing_is_unknown_and_beyond_the_last_bound_is_that_bound() -> None:
    assert exposition.quantile(BEFORE, BEFORE, "wait_seconds", 0.95) is None
    assert exposition.quantile("", 'w_bucket{le="2"} 0\nw_bucket{le="+Inf"} 4', "w", 0.95) == 2.0
