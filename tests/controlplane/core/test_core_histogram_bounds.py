"""The bounds we give vLLM's histograms lie on the floors of the gate and show the slowdown it refuses."""

from __future__ import annotations

import itertools
import math

import pytest

from controlplane.core import gates, histogram_bounds, histograms

FAMILIES = {"request_latency": 8.0, "time_to_first_token": 2.0}


@pytest.mark.parametrize(("family", "floor"), FAMILIES.items(), ids=FAMILIES)
def test_the_floor_is_a_bound_and_every_step_around_it_shows_a_rise_of_15_percent(family: str, floor: float) -> None:
    bounds = histogram_bounds.for_gate(gates.LoadThresholds())[family]
    assert floor in bounds
    fine = [bound for bound in bounds if floor / 32 <= bound <= floor * 2]
    assert all(later / earlier < 1.15 for earlier, later in itertools.pairwise(fine))
    assert fine[0] < floor / 31
    assert fine[-1] > floor * 1.7


@pytest.mark.parametrize("floor", [0.001, 0.3, 2.0, 8.0, 100.0, 1e6])
@pytest.mark.parametrize("factor", [1.0, 1.15, 1.5, 10.0])
def test_vllm_takes_them_whatever_the_floors_are(floor: float, factor: float) -> None:
    """It asks for positive, finite, strictly increasing bounds; each costs a time series in every histogram of the family."""
    thresholds = gates.LoadThresholds(max_p95_latency_seconds=floor, max_p95_ttft_seconds=floor, latency_regression_factor=factor)
    for bounds in histogram_bounds.for_gate(thresholds).values():
        assert floor in bounds
        assert bounds[0] > 0
        assert math.isfinite(bounds[-1])
        assert all(earlier < later for earlier, later in itertools.pairwise(bounds))
        assert len(bounds) < 120


def test_a_slowdown_that_the_default_bounds_hide_is_seen() -> None:
    bounds = [*histogram_bounds.for_gate(gates.LoadThresholds())["request_latency"], math.inf]
    fast, slow = [1.2] * 94 + [3.16] * 6, [1.2] * 94 + [3.76] * 6
    before, after = (
        histograms.quantile({bound: float(sum(value <= bound for value in values)) for bound in bounds}, 0.95) for values in (fast, slow)
    )
    assert before is not None
    assert after is not None
    assert before.high <= after.low
