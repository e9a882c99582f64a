"""JSONL files of frozen dataclasses, as steps hand them on. It knows no step's fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    job.write_atomically(path, "".join(_line(row) for row in rows))
    return path


@contextmanager
def appending(path: Path) -> Iterator[Callable[[DataclassInstance], None]]:
    """Writes row by row where another process may follow (`partial`); the file has its own name only when all rows are there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial(path).open("w", encoding="utf-8") as file:

        def add(row: DataclassInstance) -> None:
            file.write(_line(row))
            file.flush()

        yield add
    partial(path).replace(path)


def partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def read(path: Path, kind: type[Record]) -> list[Record]:
    """The file's rows; fields that `kind` does not have are left out.

    Raises:
        InvalidInput: the file is missing, or a line is not such a row; file, line and field are named.
    """
    return list(stream(path, kind))


def stream(path: Path, kind: type[Record]) -> Iterator[Record]:
    """As `read`, one row in memory at a time."""
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield parse(line, f"{path} line {number}", kind)


def read_text(path: Path) -> str:
    """Raises InvalidInput when there is no such readable text file."""
    with _readable(path):
        return path.read_text(encoding="utf-8")


def read_bytes(path: Path) -> bytes:
    """Raises InvalidInput when there is no such readable file."""
    with _readable(path):
        return path.read_bytes()


def _line(row: DataclassInstance) -> str:
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n"


def _lines(path: Path) -> Iterator[str]:
    """Ended by a line feed only: an answer may hold characters such as U+2028, which JSON leaves as they are."""
    with _readable(path), path.open(encoding="utf-8", newline="\n") as file:
        yield from file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise errors.InvalidInput(f"{path} does not exist.", hint="Give the path of a file that an earlier step wrote.") from error
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{path} is not UTF-8 text: {error.reason}.", hint="Save it as UTF-8.") from error


def parse(line: str, place: str, kind: type[Record]) -> Record:
    """One row; `place` names it in the InvalidInput that it may raise."""
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
