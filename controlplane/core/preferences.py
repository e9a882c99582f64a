"""What people's blind votes on the rows of an evaluation say: whose answer stands left, which vote counts, who is preferred. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from controlplane.core import evidence, intervals, raters

ROLES = ("candidate", "live")
TIE, BOTH_BAD = "tie", "both-bad"
CHOICES = (*ROLES, TIE, BOTH_BAD)
# Takes back an earlier vote of the same person on the same row.
WITHDRAWN = "withdrawn"
MARGIN = 0.02

_T = TypeVar("_T")


@dataclass(frozen=True)
class Preference:
    """Rows by what most of their voters chose. `interval` is that of the net preference, candidate minus live, as fractions of one."""

    rows: int
    candidate: int
    live: int
    tie: int
    both_bad: int
    interval: evidence.Interval | None

    @property
    def net(self) -> float | None:
        return (self.candidate - self.live) / self.rows if self.rows else None


def left_role(model: str, version: int, row: str, actor: str) -> str:
    """Whose answer stands left: the same each time for one person and row, and about evenly either role."""
    return ROLES[_digest("left", model, version, row, actor)[0] % 2]


def shuffled(model: str, version: int, rows: Iterable[str], actor: str) -> list[str]:
    """The rows in an order of this person's own, so that what comes late for one does not come late for all."""
    return sorted(rows, key=lambda row: _digest("order", model, version, row, actor))


def following(order: Sequence[str], after: str, done: Collection[str]) -> str | None:
    """The next row that is not done, beginning behind `after` and going round; None when all others are done."""
    start = order.index(after) + 1 if after in order else 0
    return next((row for row in (*order[start:], *order[:start]) if row not in done and row != after), None)


def latest(items: Iterable[_T], key: Callable[[_T], Hashable]) -> list[_T]:
    """Of the items with equal keys the last one: a vote that was changed counts as it stands now. Items come oldest first."""
    return list({key(item): item for item in items}.values())


def majority(choices: Sequence[str]) -> str:
    """What more than half of a row's voters chose; without such a majority nobody is preferred, so it is a tie."""
    return next((choice for choice in CHOICES if 2 * choices.count(choice) > len(choices)), TIE)


def preference(choices_by_row: Mapping[str, Sequence[str]]) -> Preference:
    """Each row counts once, however many voted on it."""
    chosen = [majority(choices) for choices in choices_by_row.values() if choices]
    counts = {choice: chosen.count(choice) for choice in CHOICES}
    interval = intervals.paired_difference(counts["candidate"], counts["live"], len(chosen))
    return Preference(len(chosen), counts["candidate"], counts["live"], counts[TIE], counts[BOTH_BAD], interval)


def implied(candidate_grade: str, live_grade: str) -> str:
    """The choice that two grades A, B or C amount to; empty when one of them is missing."""
    if not {candidate_grade, live_grade} <= {"A", "B", "C"}:
        return ""
    if candidate_grade == live_grade:
        return BOTH_BAD if candidate_grade == "C" else TIE
    return "candidate" if candidate_grade < live_grade else "live"


def outcome(found: Preference, margin: float = MARGIN) -> evidence.Outcome:
    """Pass when the whole interval of the net preference lies above minus the margin, fail when it lies below."""
    if found.interval is None or found.interval.low < -margin <= found.interval.high:
        return evidence.Outcome.INCONCLUSIVE
    return evidence.Outcome.PASS if found.interval.low >= -margin else evidence.Outcome.FAIL


def sentence(reviewers: int, found: Preference, people: raters.Agreement) -> str:
    """For a reader in a hurry: `3 reviewers, 41 rows: candidate preferred 18, live 9, tie 12, both bad 2; agreement 0.71.`"""
    who = f"{reviewers} reviewer{'' if reviewers == 1 else 's'}, {found.rows} row{'' if found.rows == 1 else 's'}"
    counts = f"candidate preferred {found.candidate}, live {found.live}, tie {found.tie}, both bad {found.both_bad}"
    if people.alpha is None:
        return f"{who}: {counts}."
    return f"{who}: {counts}; agreement {people.alpha:.2f}."


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode()).digest()
