"""When the requests of an open loop are due. Randomness is handed in; nothing waits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy

from controlplane.core import load_plan


def times(loop: load_plan.OpenLoop, ramp_seconds: float, rng: numpy.random.Generator) -> Iterator[float]:
    """Seconds from the block's start, rising, without end. In the ramp the rate grows evenly from nothing to the whole.

    A Poisson process with a changing rate is one of rate 1 read through the inverse of the expected count
    (Cinlar, Introduction to Stochastic Processes, 1975, section 4.7); an even stream goes the same way.
    """
    expected = 0.0
    while True:
        expected += float(rng.exponential()) if loop.arrivals is load_plan.Arrivals.POISSON else 1.0
        yield _time_of(expected / loop.requests_per_second, ramp_seconds)


def _time_of(whole_seconds: float, ramp_seconds: float) -> float:
    """When as many requests are expected as in `whole_seconds` under the whole load."""
    if whole_seconds < ramp_seconds / 2:
        return math.sqrt(2 * ramp_seconds * whole_seconds)
    return whole_seconds + ramp_seconds / 2
