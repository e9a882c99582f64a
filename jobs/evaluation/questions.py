"""The rows of an eval file in the order in which they are asked, one in memory at a time. It asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from controlplane.core import datasets, errors, row_order


@dataclass(frozen=True)
class Questions:
    """Iterates over the rows by `row_order.order`, so that the first ones are a random sample for every role alike."""

    file: Path
    offsets: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[datasets.Row]:
        with self.file.open("rb") as lines:
            for offset in self.offsets:
                lines.seek(offset)
                yield from datasets.rows([lines.readline().decode()], str(self.file))


def read(file: Path) -> Questions:
    """Checks every row before the first is asked. Raises InvalidInput."""
    try:
        with file.open("rb") as lines:
            offsets = _offsets(lines, str(file))
    except FileNotFoundError as error:
        raise errors.InvalidInput(f"{file} does not exist.", hint="Give the path of an eval split.") from error
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{file} is not UTF-8 text: {error.reason}.", hint="Save it as UTF-8.") from error
    return Questions(file, tuple(offsets[row_id] for row_id in row_order.order(offsets)))


def _offsets(lines: BinaryIO, name: str) -> dict[str, int]:
    started = [0, 0]

    def texts() -> Iterator[str]:
        for line in lines:
            started[:] = started[1], started[1] + len(line)
            yield line.decode()

    return {row.id: started[0] for row in datasets.rows(texts(), name)}
