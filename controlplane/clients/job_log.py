"""Reads a growing job log: JSON lines as the job wrote them, anything else as text. It remembers where lines begin and never writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from controlplane import ports

LONGEST_LINE_BYTES = 8 * 1024
LONGEST_JSON_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024
MARK_EVERY_LINES = 200

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class JobLog:
    """One growing file. `_marks` holds the byte where line 1, 201, 401 ... begins, as far as anybody has read."""

    path: Path
    step: str
    _marks: list[int] = field(default_factory=lambda: [0])

    def read(self, after: int, *, has_ended: bool) -> list[ports.LogLine]:
        """The lines after number `after`. A last line without its end counts only when nobody will write on."""
        mark = min(max(after, 0) // MARK_EVERY_LINES, len(self._marks) - 1)
        number = mark * MARK_EVERY_LINES
        result = []
        try:
            with self.path.open("rb") as file:
                file.seek(self._marks[mark])
                for raw, end in _whole_lines(file, has_ended):
                    number += 1
                    if number % MARK_EVERY_LINES == 0 and number // MARK_EVERY_LINES == len(self._marks):
                        self._marks.append(end)
                    if number > after:
                        result.append(parse(raw, number, self.step))
        except FileNotFoundError:
            return []
        return result

    def last_words(self) -> str:
        """The last error the job logged, else the last line it wrote; of a stack trace that is the line that names the error."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - TAIL_BYTES))
                lines = [parse(raw, 0, self.step) for raw, _ in _whole_lines(file, True)]
        except FileNotFoundError:
            return ""
        written = [line for line in lines if line.message.strip()]
        logged_errors = [line for line in written if line.level == "ERROR"]
        chosen = (logged_errors or written)[-1:]
        return chosen[0].message.strip() if chosen else ""


def parse(raw: bytes, number: int, step: str) -> ports.LogLine:
    """One line of a log, whatever it holds."""
    text = raw.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        return ports.LogLine(number, "", "INFO", step, _cut(_last_state(text)))
    fields = value.get("fields")
    return ports.LogLine(
        number,
        str(value.get("time", "")),
        str(value.get("level", "INFO")),
        str(value.get("step", step)),
        _cut(value["message"]),
        fields if isinstance(fields, dict) and len(text) <= LONGEST_LINE_BYTES else {},
    )


def _whole_lines(file: BinaryIO, has_ended: bool) -> Iterator[tuple[bytes, int]]:
    """Each line without its end, and the byte after it. Of an endless line only a part is kept, and only that part is in memory."""
    while raw := file.readline(LONGEST_JSON_BYTES):
        rest = raw
        while not rest.endswith(b"\n") and (more := file.readline(LONGEST_JSON_BYTES)):
            rest = more
            # A progress bar redraws itself behind carriage returns: its end is what it says now.
            raw = (raw + more)[-LONGEST_LINE_BYTES:] if b"\r" in raw else raw
        if rest.endswith(b"\n") or has_ended:
            yield raw.rstrip(b"\n"), file.tell()


def _last_state(text: str) -> str:
    drawn = [part for part in text.split("\r") if part.strip()]
    return _COLOURS.sub("", drawn[-1]).rstrip() if drawn else ""


def _cut(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= LONGEST_LINE_BYTES else encoded[: LONGEST_LINE_BYTES - 3].decode(errors="ignore") + "…"
