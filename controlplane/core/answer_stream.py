"""Reads a streamed answer, whole and stamped piece by piece, as OpenAI's servers send it. It knows no connection and no clock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# When it came from the wire (seconds of any clock), and its bytes; a piece may end anywhere.
Piece = tuple[float, bytes]


@dataclass
class Reading:
    """`text_at`: when each event that brought text was there. `done_at`: when the stream said that it was over.

    It is None of a stream that broke off, told of an error, or held something that is no answer: reading ends there.
    """

    text_at: list[float] = field(default_factory=list)
    answer_tokens: int | None = None
    prompt_tokens: int = 0
    finish_reason: str = ""
    done_at: float | None = None


def read(pieces: Sequence[Piece]) -> Reading:
    """An event counts as there when its line is whole. Events with no text in them (the role, the usage) start no clock."""
    reading = Reading()
    for at, line in _lines(pieces):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            reading.done_at = at
            return reading
        if not _take(reading, at, data):
            return reading
    return reading


def _lines(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Lines end with LF, CR or both; JSON holds neither."""
    rest, at = b"", 0.0
    for at, data in pieces:
        *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line:
                yield at, line
    if rest:
        yield at, rest


def _take(reading: Reading, at: float, data: bytes) -> bool:
    """False for what is no event of an answer."""
    try:
        event = json.loads(data)
    except ValueError:
        return False
    if not isinstance(event, dict) or "error" in event:
        return False
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            _take_choice(reading, at, choice)
    if isinstance(usage := event.get("usage"), dict):
        reading.answer_tokens = _count(usage.get("completion_tokens"))
        reading.prompt_tokens = _count(usage.get("prompt_tokens")) or 0
    return True


def _take_choice(reading: Reading, at: float, choice: Mapping[str, Any]) -> None:
    delta = choice.get("delta")
    if delta.get("content") if isinstance(delta, dict) else choice.get("text"):
        reading.text_at.append(at)
    if reason := choice.get("finish_reason"):
        reading.finish_reason = str(reason)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
