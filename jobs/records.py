"""JSONL files of frozen dataclasses, as steps hand them on. It knows no step's fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from controlplane.core import errors
from jobs import job

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")


def write(path: Path, rows: Iterable[DataclassInstance]) -> Path:
    """All rows or, when the process is killed, what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    job.write_atomically(path, "".join(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in rows))
    return path


def read(path: Path, kind: type[Record]) -> list[Record]:
    """The file's rows; fields that `kind` does not have are left out.

    Raises:
        InvalidInput: the file is missing, or a line is not such a row; file, line and field are named.
    """
    return [_record(line, f"{path} line {number}", kind) for number, line in enumerate(_lines(path), start=1) if line.strip()]


def read_text(path: Path) -> str:
    """Raises InvalidInput when there is no such readable text file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise errors.InvalidInput(f"{path} does not exist.", hint="Give the path of a file that an earlier step wrote.") from error
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{path} is not UTF-8 text: {error.reason}.", hint="Save it as UTF-8.") from error


def _lines(path: Path) -> Iterator[str]:
    # Not splitlines(): an answer may hold characters such as U+2028, which JSON leaves as they are.
    yield from read_text(path).split("\n")


def _record(line: str, place: str, kind: type[Record]) -> Record:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise errors.InvalidInput(f"{place} is not JSON: {error.msg}.", hint="Run the step that wrote it again.") from error
    if not isinstance(value, dict):
        raise errors.InvalidInput(f"{place} is not a JSON object.", hint="Run the step that wrote it again.")
    fields = dataclasses.fields(kind)
    for field in fields:
        if field.name not in value and field.default is dataclasses.MISSING:
            raise errors.InvalidInput(f"{place} lacks the field {field.name!r}.", hint="Run the step that wrote it again.")
    return kind(**{field.name: value[field.name] for field in fields if field.name in value})
