"""What a gate decided, check by check."""

from __future__ import annotations

from controlplane.wire.body import Body


class Interval(Body):
    low: float
    high: float
    level: float


class Check(Body):
    """`unit` `%` means that value and limit are fractions of one. `margin` is positive on the passing side."""

    name: str
    value: float | None
    comparison: str
    limit: float
    unit: str
    outcome: str
    against: str
    margin: float | None = None
    interval: Interval | None = None


class Verdict(Body):
    gate: str
    rules: str
    outcome: str
    reason: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


class OtherVerdict(Body):
    """What another reading (Gate 1) or rule set would have said."""

    reading: str
    rules: str
    outcome: str
    reason: str
    checks: tuple[Check, ...] = ()
