"""Rows of a question-answering dataset and the checks on them. Reads text that is handed in; opens no file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from controlplane.core import errors

SPLITS = ("train", "validation", "eval")
FIELDS = {"id": str, "question": str, "context": str, "answer": str, "answerable": bool}


@dataclass(frozen=True)
class Row:
    """A question to be answered from its context alone; `answer` is the reference answer, or the refusal when not answerable."""

    id: str
    question: str
    context: str
    answer: str
    answerable: bool


def parse(text: str, file: str) -> list[Row]:
    """All rows of a JSONL text.

    Raises:
        InvalidInput: naming file, line and field of the first fault, or that there is no row.
    """
    # Not splitlines(): text may hold characters such as U+2028, which JSON leaves as they are.
    return list(rows(text.split("\n"), file))


def rows(lines: Iterable[str], file: str) -> Iterator[Row]:
    """The rows of JSONL lines one by one, as `parse`; a line is not read before its row is wanted."""
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"{file} line {number}")
        if row.id in seen:
            raise errors.InvalidInput(
                f"{file} line {number}: id {row.id!r} was used in line {seen[row.id]}.", hint="Give each row its own id."
            )
        seen[row.id] = number
        yield row
    if not seen:
        raise errors.InvalidInput(
            f"{file} has no rows.", hint="A dataset needs at least one row of {id, question, context, answer, answerable}."
        )


def to_jsonl(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def digest(text: str) -> str:
    """SHA-256 of the file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _row(line: str, place: str) -> Row:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise errors.InvalidInput(
            f"{place} is not JSON: {error.msg} at column {error.colno}.", hint="Each line is one JSON object."
        ) from None
    if not isinstance(value, dict):
        raise errors.InvalidInput(f"{place} is not a JSON object.", hint="Each line is one JSON object.")
    for field, kind in FIELDS.items():
        if field not in value:
            raise errors.InvalidInput(f"{place} lacks the field {field!r}.", hint=f"A row has the fields {', '.join(FIELDS)}.")
        if not isinstance(value[field], kind):
            raise errors.InvalidInput(f"{place}: field {field!r} must be {'true or false' if kind is bool else 'text'}.")
        if kind is str and field != "context" and not value[field].strip():
            raise errors.InvalidInput(f"{place}: field {field!r} is empty.", hint="Fill it in or drop the row.")
    return Row(**{field: value[field] for field in FIELDS})
