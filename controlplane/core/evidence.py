"""What a gate answers: a verdict with one of four outcomes, its checks and its reason. Missing data never passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controlplane.core import errors


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Gate(StrEnum):
    QUALITY = "quality"
    EVALUATION = "evaluation"
    PERFORMANCE = "performance"


class RuleSet(StrEnum):
    """`point` compares the measured values, `interval` their confidence intervals."""

    POINT = "point"
    INTERVAL = "interval"


@dataclass(frozen=True)
class Interval:
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Check:
    """One comparison of a verdict.

    `comparison` is one of `<`, `<=`, `>`, `>=`; the check passes when `value comparison limit`. `unit` is a symbol like `s`, `req/s`, `%`
    (then value and limit are fractions of one) or empty. `margin` is the distance to the limit, positive on the passing side.
    `against` says where the limit comes from: `floor`, `live`, `baseline`.
    """

    name: str
    value: float | None
    comparison: str
    limit: float
    unit: str
    outcome: Outcome
    against: str = "floor"
    interval: Interval | None = None

    @property
    def margin(self) -> float | None:
        if self.value is None:
            return None
        return self.limit - self.value if self.comparison.startswith("<") else self.value - self.limit


@dataclass(frozen=True)
class Other:
    """What another set of rules, or (Gate 1) another reading of the same answers, would have said. It decides nothing."""

    rules: RuleSet
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...] = ()
    reading: str = ""


@dataclass(frozen=True)
class Verdict:
    """A gate's answer. `reason` is one sentence for a reader in a hurry; `notes` say what to bear in mind (a lowered floor, a label)."""

    gate: Gate
    rules: RuleSet
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    others: tuple[Other, ...] = ()


def check(name: str, value: float | None, comparison: str, limit: float, unit: str, against: str = "floor") -> Check:
    """A point comparison; a missing or non-finite value is inconclusive."""
    is_known = value is not None and abs(value) != float("inf") and value == value
    outcome = Outcome.INCONCLUSIVE
    if is_known and value is not None:
        outcome = Outcome.PASS if holds(value, comparison, limit) else Outcome.FAIL
    return Check(name, value if is_known else None, comparison, limit, unit, outcome, against)


def combine(gate: Gate, rules: RuleSet, checks: tuple[Check, ...], notes: tuple[str, ...] = ()) -> Verdict:
    """All checks must pass; one failed check fails; else one unknown makes it inconclusive. No checks at all is inconclusive."""
    failed = [c for c in checks if c.outcome is Outcome.FAIL]
    unknown = [c for c in checks if c.outcome is not Outcome.PASS]
    if failed:
        return Verdict(gate, rules, Outcome.FAIL, "; ".join(_sentence(c) for c in failed) + ".", checks, notes)
    if unknown or not checks:
        names = ", ".join(c.name for c in unknown) or "every check"
        return Verdict(gate, rules, Outcome.INCONCLUSIVE, f"No usable value for {names}.", checks, notes)
    return Verdict(gate, rules, Outcome.PASS, f"All {len(checks)} checks passed.", checks, notes)


def error(gate: Gate, rules: RuleSet, reason: str) -> Verdict:
    """The tool broke; nothing can be said about the adapter."""
    return Verdict(gate, rules, Outcome.ERROR, reason)


def other(verdict: Verdict, reading: str = "") -> Other:
    """A verdict that does not decide."""
    return Other(verdict.rules, verdict.outcome, verdict.reason, verdict.checks, reading)


def to_dict(verdict: Verdict) -> dict[str, object]:
    """The verdict as JSON values; `from_dict` reads it back to an equal verdict."""
    return asdict(verdict)


def from_dict(value: Mapping[str, Any]) -> Verdict:
    """The verdict that `to_dict` wrote, perhaps by an older version: unknown fields are left out.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        return Verdict(
            gate=Gate(value["gate"]),
            rules=RuleSet(value["rules"]),
            outcome=Outcome(value["outcome"]),
            reason=str(value["reason"]),
            checks=tuple(_check_from(item) for item in value.get("checks", ())),
            notes=tuple(str(note) for note in value.get("notes", ())),
            others=tuple(_other_from(item) for item in value.get("others", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise errors.InvalidInput(f"The stored verdict cannot be read: {fault!r}.", hint="Run the gate again.") from fault


def _other_from(item: Mapping[str, Any]) -> Other:
    return Other(
        rules=RuleSet(item["rules"]),
        outcome=Outcome(item["outcome"]),
        reason=str(item["reason"]),
        checks=tuple(_check_from(check) for check in item.get("checks", ())),
        reading=str(item.get("reading", "")),
    )


def _check_from(item: Mapping[str, Any]) -> Check:
    interval = item.get("interval")
    return Check(
        name=item["name"],
        value=item["value"],
        comparison=item["comparison"],
        limit=item["limit"],
        unit=item["unit"],
        outcome=Outcome(item["outcome"]),
        against=item.get("against", "floor"),
        interval=Interval(interval["low"], interval["high"], interval["level"]) if interval else None,
    )


def holds(value: float, comparison: str, limit: float) -> bool:
    """Whether `value comparison limit` is true."""
    match comparison:
        case "<":
            return value < limit
        case "<=":
            return value <= limit
        case ">":
            return value > limit
        case ">=":
            return value >= limit
        case _:
            raise ValueError(f"unknown comparison {comparison!r}")


def _sentence(c: Check) -> str:
    value, limit = (_shown(number, c.unit) for number in (c.value, c.limit))
    source = "" if c.against == "floor" else f" ({c.against})"
    return f"{c.name} is {value}, must be {c.comparison} {limit}{source}"


def _shown(number: float | None, unit: str) -> str:
    if number is None:
        return "beyond measure"
    return f"{number:.1%}" if unit == "%" else f"{number:.4g} {unit}".strip()
