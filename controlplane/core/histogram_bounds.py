"""Bounds for vLLM's latency histograms that a gate can be held against: one on each floor, and steps that show a slowdown. Pure."""

from __future__ import annotations

import math

from controlplane.core import gates

# vLLM's names of the two families of histograms, with its own default bounds (0.32) where the fine ones do not reach.
_COARSE = {
    "request_latency": (0.01, 0.05, 0.1, 0.2, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680),
    "time_to_first_token": (0.001, 0.005, 0.01, 0.02, 0.04, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560),
}
# From a thirty-second of the floor to twice as much: every latency that a gate has to tell from one 15% longer.
LOWEST, HIGHEST = 1 / 32, 2.0
# A factor of 1 would ask for steps without end.
SMALLEST_FACTOR = 1.05


def for_gate(thresholds: gates.LoadThresholds) -> dict[str, list[float]]:
    """Bounds in seconds by family, as vLLM's `--custom-histogram-buckets` takes them.

    Each bound in the fine stretch is less than `latency_regression_factor` times the one before, so a quantile that grew by that factor has
    left its bucket; with the default bounds a rise from 2.6 to 4.9 s stays in one.
    """
    floors = {
        "request_latency": thresholds.max_p95_latency_seconds,
        "time_to_first_token": thresholds.max_p95_ttft_seconds,
    }
    return {family: _bounds(floor, thresholds.latency_regression_factor, _COARSE[family]) for family, floor in floors.items()}


def _bounds(floor_seconds: float, factor: float, coarse: tuple[float, ...]) -> list[float]:
    # A little less than the factor, so that rounding never makes a step longer than it.
    step = 1 + (max(factor, SMALLEST_FACTOR) - 1) * 0.95
    below, above = math.ceil(math.log(1 / LOWEST, step)), math.ceil(math.log(HIGHEST, step))
    fine = [floor_seconds if number == 0 else _rounded(floor_seconds * step**number) for number in range(-below, above + 1)]
    return [*(bound for bound in coarse if bound < fine[0]), *fine, *(bound for bound in coarse if bound > fine[-1])]


def _rounded(seconds: float) -> float:
    """Four digits, which a person can still read in a query's answer."""
    return float(f"{seconds:.4g}")
