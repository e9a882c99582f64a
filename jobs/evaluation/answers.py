"""The rows that inference hands to the judge, and how to follow them while they are written. It asks and grades nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from controlplane.core import datasets
from jobs import records

# The files are read in turn, so that the answers of two roles to one question come close together.
_AT_A_TIME = 16


@dataclass(frozen=True)
class Answered:
    """`error` says why there is no answer; empty when there is one. `root` is the directory that the slot answered from."""

    id: str
    role: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    latency_seconds: float | None
    first_token_seconds: float | None
    tokens: int
    finish_reason: str
    error: str = ""
    root: str = ""

    @property
    def row(self) -> datasets.Row:
        return datasets.Row(self.id, self.question, self.context, self.reference, self.answerable)


def follow(files: Sequence[Path], pause: Callable[[], None] = lambda: time.sleep(0.1)) -> Iterator[Answered]:
    """The rows of files that other steps are writing now, as they come; over when each file is whole.

    It waits for ever: whoever runs the steps stops it when one of the others fails.
    """
    with ExitStack() as opened:
        growing = [_Growing(file, opened) for file in files]
        while growing:
            found = 0
            for one in growing:
                for row in itertools.islice(one.rows(), _AT_A_TIME):
                    found += 1
                    yield row
            growing = [one for one in growing if not one.is_over]
            if growing and not found:
                pause()


class _Growing:
    """A file that is not whole yet, or has just become so."""

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self._path, self._opened = path, opened
        self._file: TextIO | None = None
        self._begun, self._number = "", 0
        self.is_over = False

    def rows(self) -> Iterator[Answered]:
        """The rows that were added since the last call."""
        was_whole = self._path.exists()
        if self._file is None:
            self._file = self._open(self._path if was_whole else records.partial(self._path))
        while self._file is not None and (piece := self._file.readline()):
            self._begun += piece
            if self._begun.endswith("\n"):
                self._number += 1
                line, self._begun = self._begun, ""
                yield records.parse(line, f"{self._path} line {self._number}", Answered)
        self.is_over = was_whole and self._file is not None

    def _open(self, path: Path) -> TextIO | None:
        try:
            return self._opened.enter_context(path.open(encoding="utf-8", newline="\n"))
        except FileNotFoundError:
            return None
