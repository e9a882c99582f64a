"""What a judge's reply states: in JSON, in JSON in a code fence, or in prose. Pure; it guesses nothing and calls no judge.

The last statement binds, since models correct themselves. One that is none of the allowed values makes the reply unreadable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

LONGEST_REASON = 500


@dataclass(frozen=True)
class Stated:
    """`value` is empty when the reply cannot be read; then `reason` says so."""

    value: str
    reason: str


def last_stated(reply: str, key: str, allowed: Collection[str], pattern: re.Pattern[str]) -> Stated:
    """The value of the reply's last JSON field `key`, or of the last prose match after it.

    Args:
        allowed: the values in upper case.
        pattern: of `prose`.
    """
    spans, broken_at = list(_json_values(reply, key)), _broken_at(reply)
    stated = [(end, value, reason) for _, end, value, reason in spans]
    if broken_at < len(reply):
        stated.append((broken_at, "", ""))
    for match in pattern.finditer(reply, 0, broken_at):
        if not any(start <= match.start() < end for start, end, _, _ in spans):
            stated.append((match.end(), (match["stated"] or match["alone"] or "").upper(), reply))
    if not stated:
        return Stated("", f"The judge's reply states no {key}: {shorten(reply)}")
    _, value, reason = max(stated)
    if value not in allowed:
        return Stated("", f"The judge's last {key} is none of {', '.join(allowed)}: {shorten(reply)}")
    return Stated(value, shorten(reason))


def prose(name: str, value: str) -> re.Pattern[str]:
    """Finds `<name>: <value>`, `<name> is <value>` and a value alone on its line, but no list of choices such as `A or B`."""
    return re.compile(
        rf"\b{name}\b[\s\W]{{0,6}}(?:(?:is|of|would be|a|an)\s+)*[\s\W]{{0,4}}"
        rf"\b(?P<stated>{value})\b(?![+\-\w'])(?!\s*(?:/|,|\bor\b)\s*{value}\b)"
        rf"|^\W*(?P<alone>{value})\W*$",
        re.MULTILINE,
    )


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"


_OBJECT_START = re.compile(r"\{\s*\"")


def _json_values(reply: str, key: str) -> Iterator[tuple[int, int, str, str]]:
    """(start, end, value in upper case, reason) of every JSON object in the reply that has the key."""
    decoder, start = json.JSONDecoder(), reply.find("{")
    while start != -1:
        try:
            value, end = decoder.raw_decode(reply, start)
        except (json.JSONDecodeError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, dict) and key in value:
                yield start, end, str(value[key]).strip().upper(), str(value.get("reason", ""))
        start = reply.find("{", end)


def _broken_at(reply: str) -> int:
    """Where a JSON object begins that was cut off: what stands inside it is half a thought, no statement. Else the reply's length."""
    for match in _OBJECT_START.finditer(reply):
        try:
            json.JSONDecoder().raw_decode(reply, match.start())
        except (json.JSONDecodeError, RecursionError):
            return match.start()
    return len(reply)
