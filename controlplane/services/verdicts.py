"""Verdicts as the API's bodies. Decides nothing."""

from __future__ import annotations

from controlplane import wire
from controlplane.core import evidence


def shown(verdict: evidence.Verdict) -> wire.Verdict:
    return wire.Verdict(
        gate=verdict.gate,
        rules=verdict.rules,
        outcome=verdict.outcome,
        reason=verdict.reason,
        checks=tuple(shown_check(check) for check in verdict.checks),
        notes=verdict.notes,
    )


def others(verdict: evidence.Verdict) -> tuple[wire.OtherVerdict, ...]:
    return tuple(
        wire.OtherVerdict(
            reading=one.reading,
            rules=one.rules,
            outcome=one.outcome,
            reason=one.reason,
            checks=tuple(shown_check(check) for check in one.checks),
        )
        for one in verdict.others
    )


def shown_check(check: evidence.Check) -> wire.Check:
    return wire.Check(
        name=check.name,
        value=check.value,
        comparison=check.comparison,
        limit=check.limit,
        unit=check.unit,
        outcome=check.outcome,
        against=check.against,
        margin=check.margin,
        interval=shown_interval(check.interval),
    )


def shown_interval(interval: evidence.Interval | None) -> wire.Interval | None:
    return None if interval is None else wire.Interval(low=interval.low, high=interval.high, level=interval.level)
