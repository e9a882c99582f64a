"""Values as people read them: numbers with units, times, durations, ids, counted nouns. Pure; reads no clock (`now` is handed in)."""

from __future__ import annotations

import re
from datetime import datetime

NOTHING = "–"


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits and the unit; `%` takes a fraction of one, `x` is a factor; whole numbers stay whole."""
    if value is None or value != value:
        return NOTHING
    if unit == "x":
        return f"{value:.2f}×" if abs(value) < 10 else f"{value:.0f}×"
    if unit == "%":
        return f"{value * 100:.1f} %"
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".strip()


def signed(value: float | None, unit: str = "") -> str:
    """A difference with its sign; a share's difference is in percentage points."""
    if value is None or value != value:
        return NOTHING
    text = f"{abs(value) * 100:.1f} pp" if unit == "%" else number(round(abs(value), 3), unit)
    sign = "±" if text.split()[0] in ("0", "0.0") else "+" if value > 0 else "−"
    return f"{sign}{text}"


def seconds(value: float | None) -> str:
    """A duration: `340 ms`, `2.4 s`, `3 min 20 s`, `1 h 5 min`."""
    if value is None or value != value:
        return NOTHING
    if value < 1:
        return f"{value * 1000:.0f} ms" if value >= 0.001 else "< 1 ms"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in the coarsest unit that fits."""
    if at is None:
        return NOTHING
    passed = (now - at).total_seconds()
    if passed < 0:
        return f"in {seconds(-passed)}"
    for size, unit in ((86400 * 2, "days"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{int(passed // (86400 if unit == 'days' else size))} {unit} ago"
    return "just now" if passed < 5 else f"{int(passed)} s ago"


def exact(at: datetime | None) -> str:
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S} {at.tzname() or ''}".strip()


def short(identifier: str, length: int = 8) -> str:
    """The head of a long id; a readable one stays whole."""
    is_readable = "-" in identifier and len(identifier) <= 24
    return identifier if is_readable or len(identifier) <= length + 4 else identifier[:length]


def size(count_bytes: int) -> str:
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def count(value: int, noun: str, plural: str = "") -> str:
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def sentence(reason: str) -> str:
    """A verdict's reason with its comparisons as they are printed."""
    return reason.replace(">=", "≥").replace("<=", "≤")


def characters(excess: float | None) -> str:
    """A mean difference of lengths: `4.1 characters longer`."""
    if excess is None:
        return NOTHING
    return f"{abs(excess):.1f} characters {'longer' if excess >= 0 else 'shorter'}"


def sentences(reason: str) -> list[str]:
    """A verdict's reason, one sentence each, as they are printed. Numbers keep their points."""
    return [sentence(one) for one in re.split(r"(?<=\.) ", reason) if one]


def iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _two(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first} {first_unit}" + (f" {second} {second_unit}" if second else "")
