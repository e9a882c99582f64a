"""What a slow change of the server adds to the ratio of two roles' times in one test. Pure.

In A-B-A-B blocks one role comes later than the other by a block. While the server slows down by 20% over four blocks, an identical second
role looks 5% slower. Both roles show the change between their own blocks, so it can be told apart from what separates them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from controlplane.core import effective_size, estimates, intervals

WORTH_SAYING = 0.01


@dataclass(frozen=True)
class Times:
    """Of one role's requests in one block: when each was due and how long it took (infinity: it failed), both in seconds."""

    due: numpy.ndarray
    taken: numpy.ndarray


@dataclass(frozen=True)
class Drift:
    """`slope`: growth of log time a second, with its standard `error`; `lag_seconds`: how much later the candidate's requests were due."""

    slope: float
    error: float
    lag_seconds: float

    @property
    def share(self) -> float:
        """By how much it makes the candidate look slower than it is."""
        return math.expm1(self.slope * self.lag_seconds)

    @property
    def is_seen(self) -> bool:
        """It is more than chance makes of a steady server, and enough to be worth a reader's time."""
        return abs(self.slope) > 2 * self.error and abs(self.share) > WORTH_SAYING


NONE = Drift(0.0, 0.0, 0.0)


def find(candidate: Sequence[Times], live: Sequence[Times]) -> Drift:
    """The common slope of log time against time, each role about its own mean (analysis of covariance; Fisher 1932, Statistical Methods
    for Research Workers, chapter 8). Its standard error counts correlated requests for fewer (`effective_size`). None with a block each."""
    finite = [[_finite(block) for block in role] for role in (candidate, live)]
    roles = [[block for block in role if len(block.due)] for role in finite]
    if any(len(role) < 2 for role in roles):
        return NONE
    due = [numpy.concatenate([block.due for block in role]) for role in roles]
    logs = [numpy.log(numpy.concatenate([block.taken for block in role])) for role in roles]
    away = numpy.concatenate([one - one.mean() for one in due])
    rise = numpy.concatenate([one - one.mean() for one in logs])
    spread = float(away @ away)
    count = len(away)
    if spread <= 0 or count < 4:
        return NONE
    slope = float(away @ rise) / spread
    left = rise - slope * away
    effective = effective_size.of_mean(numpy.split(left, numpy.cumsum([len(block.due) for role in roles for block in role])[:-1]))
    error = math.sqrt(float(left @ left) / (count - 3) / spread * count / effective)
    return Drift(slope, error, float(due[0].mean() - due[1].mean()))


def without(ratio: estimates.Estimate, drift: Drift, level: float) -> estimates.Estimate:
    """The ratio candidate / live less what the drift gives it, its bounds wider by how well the drift is known."""
    shift = math.exp(-drift.slope * drift.lag_seconds)
    unsure = intervals.quantile(level) * drift.error * abs(drift.lag_seconds)
    return estimates.scaled(ratio, shift, unsure)


def _finite(block: Times) -> Times:
    is_known = numpy.isfinite(block.taken) & (block.taken > 0)
    return Times(block.due[is_known], block.taken[is_known])
