"""What a judge has graded is not asked again, whatever asked it; what matters for a grade makes another question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from controlplane import ports
from controlplane.clients import grade_cache
from controlplane.core import datasets, errors, judging

ROW = datasets.Row("r1", "Which port does ssh use?", "The ssh service listens on port 22.", "22", True)


@dataclass
class Counting:
    """Grades A, or what it is told, and remembers what it was asked."""

    letter: str = "A"
    name: str = "counting"
    asked: list[str] = field(default_factory=list)

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        self.asked.append(f"{row.id} {answer}")
        return judging.Grade(self.letter, "because")


Open = Callable[..., grade_cache.CachedJudge]


@pytest.fixture
def open_cache(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def make(judge: ports.Judge, identity: str = "m1") -> grade_cache.CachedJudge:
        opened.append(grade_cache.CachedJudge(judge, identity, tmp_path / "cache" / "grades.db"))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


def test_a_grade_is_asked_for_once_and_outlives_the_process(open_cache: Open) -> None:
    judge = Counting()
    first, again = open_cache(judge), open_cache(judge)
    assert first.grade(ROW, "22") == again.grade(ROW, "22") == judging.Grade("A", "because")
    assert judge.asked == ["r1 22"]
    assert (first.hits, again.hits, again.name) == (0, 1, "counting")


@pytest.mark.parametrize(
    ("row", "answer", "identity"),
    [
        (ROW, "23", "m1"),
        (ROW, "22", "m2"),
        (replace(ROW, question="Which port has ssh?"), "22", "m1"),
        (replace(ROW, context="ssh: 22"), "22", "m1"),
        (replace(ROW, answer="port 22"), "22", "m1"),
        (replace(ROW, answerable=False), "22", "m1"),
    ],
)
def test_whatever_matters_for_a_grade_is_another_question(open_cache: Open, row: datasets.Row, answer: str, identity: str) -> None:
    judge = Counting()
    open_cache(judge).grade(ROW, "22")
    open_cache(judge, identity).grade(row, answer)
    assert len(judge.asked) == 2


def test_the_number_of_a_row_does_not_matter(open_cache: Open) -> None:
    judge = Counting()
    cache = open_cache(judge)
    cache.grade(ROW, "22")
    cache.grade(replace(ROW, id="r2"), "22")
    assert judge.asked == ["r1 22"]


def test_what_was_left_ungraded_is_asked_again(open_cache: Open) -> None:
    judge = Counting(letter="")
    cache = open_cache(judge)
    assert cache.grade(ROW, "22").letter == ""
    judge.letter = "B"
    assert cache.grade(ROW, "22").letter == "B"
    assert len(judge.asked) == 2


def test_many_threads_share_it(open_cache: Open) -> None:
    judge = Counting()
    cache = open_cache(judge)
    threads = [threading.Thread(target=cache.grade, args=(ROW, str(number % 10))) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = len(judge.asked)
    for number in range(10):
        cache.grade(ROW, str(number))
    assert len(judge.asked) == before


def test_a_file_that_is_no_cache_is_named(tmp_path: Path) -> None:
    file = tmp_path / "grades.db"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(errors.OutsideError, match=r"grades\.db"):
        grade_cache.CachedJudge(Counting(), "m1", file)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.NoSpace, match="file"):
        grade_cache.CachedJudge(Counting(), "m1", tmp_path / "file" / "grades.db")
