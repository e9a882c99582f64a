"""Which grades people agree on well enough to measure a judge by. Pure; it neither stores grades nor asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_WHO_SAY_BOTH_BAD = 2


@dataclass(frozen=True)
class Stated:
    """One person's grade (A, B or C) of one answer to one row."""

    row: str
    role: str
    answer: str
    actor: str
    grade: str


@dataclass(frozen=True)
class Agreed:
    """A grade that everybody who graded this answer gave."""

    row: str
    role: str
    answer: str
    grade: str
    actors: tuple[str, ...]


def golden(stated: Iterable[Stated], both_bad: Iterable[Stated]) -> list[Agreed]:
    """The answers whose right grade is beyond dispute, by row; two roles' equal answers to a row are one answer.

    Args:
        stated: grades that people gave.
        both_bad: grades that follow from votes; they count only where nobody stated a grade.
    """
    by_answer = {**_by_answer(both_bad), **_by_answer(stated)}
    return [_agreed(grades) for _, grades in sorted(by_answer.items()) if len({one.grade for one in grades}) == 1]


def is_agreed_bad(choices: Sequence[str]) -> bool:
    """Two or more voted on the row, and all of them said that both answers are bad."""
    return len(choices) >= LEAST_WHO_SAY_BOTH_BAD and set(choices) == {"both-bad"}


def _by_answer(stated: Iterable[Stated]) -> dict[tuple[str, str], list[Stated]]:
    found: dict[tuple[str, str], list[Stated]] = {}
    for one in stated:
        found.setdefault((one.row, one.answer.strip()), []).append(one)
    return found


def _agreed(grades: Sequence[Stated]) -> Agreed:
    first = min(grades, key=lambda one: one.role)
    return Agreed(first.row, first.role, first.answer, first.grade, tuple(sorted({one.actor for one in grades})))
