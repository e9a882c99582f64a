"""Grades and compares many answers at once, as they come. It writes nothing and knows no rule of a gate."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from controlplane import ports
from controlplane.core import datasets, errors, judging, pairwise, refusals
from jobs.evaluation import answers

Finding = judging.GradedRow | pairwise.ComparedRow
Found = TypeVar("Found")


def tasks(judge: ports.Judge, answered: Iterable[answers.Answered], *, compares: bool) -> Iterator[Callable[[], Finding]]:
    """One grading an answer and, when it compares, one comparison for each row that candidate and live have both answered."""
    # The text alone, as live may be far behind or never come; None where there is none.
    waiting: dict[str, str | None] = {}
    for one in answered:
        yield functools.partial(graded, judge, one)
        if not compares or one.role not in ("candidate", "live"):
            continue
        own = None if one.error else one.answer
        if one.id not in waiting:
            waiting[one.id] = own
        elif (other := waiting.pop(one.id)) is not None and own is not None:
            candidate, live = (own, other) if one.role == "candidate" else (other, own)
            yield functools.partial(compared, judge, one.row, candidate, live)


def graded(judge: ports.Judge, one: answers.Answered) -> judging.GradedRow:
    """An answer that never came is unscored without asking."""
    return row(one, judging.Grade("", f"No answer: {one.error}") if one.error else judge.grade(one.row, one.answer))


def row(one: answers.Answered, grade: judging.Grade) -> judging.GradedRow:
    return judging.GradedRow(
        id=one.id,
        role=one.role,
        question=one.question,
        context=one.context,
        reference=one.reference,
        answerable=one.answerable,
        answer=one.answer,
        grade=grade.letter,
        reason=grade.reason,
        is_refusal=not one.error and refusals.is_refusal(one.answer),
        latency_seconds=one.latency_seconds,
        error=one.error,
        votes=grade.votes,
    )


def compared(judge: ports.Judge, row: datasets.Row, candidate: str, live: str) -> pairwise.ComparedRow:
    """The answers to one row in both orders; equal ones tie without asking."""
    if candidate.strip() == live.strip():
        return pairwise.same(row.id, candidate)
    first = judge.prefer(row, candidate, live)
    second = judge.prefer(row, live, candidate)
    return pairwise.settle(row.id, candidate, live, first, second)


def carry_out(work: Iterable[Callable[[], Found]], max_concurrent: int) -> Iterator[Found]:
    """What each task found, as it comes.

    Of `work` it has read at most `3 * max_concurrent + 1` tasks more than it has yielded: those in hand, those that wait for a thread,
    those that wait to be taken, and one that finds no room. So memory stays the same, however slow the judge or the taker is.

    The threads are daemons: a request to a slow judge must not keep a stopped job alive.

    Raises:
        GatewrightError: the judge's first fault that is not about one question; the rest is left undone.
    """
    waiting: queue.Queue[Callable[[], Found] | None] = queue.Queue(maxsize=max_concurrent)
    done: queue.Queue[Found | errors.GatewrightError | None] = queue.Queue(maxsize=max_concurrent)
    threading.Thread(target=_feed, args=(work, waiting, done, max_concurrent), daemon=True).start()
    for _ in range(max_concurrent):
        threading.Thread(target=_work, args=(waiting, done), daemon=True).start()
    ended = 0
    while ended < max_concurrent:
        result = done.get()
        if isinstance(result, errors.GatewrightError):
            raise result
        if result is None:
            ended += 1
        else:
            yield result


def _feed(
    work: Iterable[Callable[[], Found]],
    waiting: queue.Queue[Callable[[], Found] | None],
    done: queue.Queue[Found | errors.GatewrightError | None],
    threads: int,
) -> None:
    try:
        for task in work:
            waiting.put(task)
    except errors.GatewrightError as fault:
        done.put(fault)
    for _ in range(threads):
        waiting.put(None)


def _work(waiting: queue.Queue[Callable[[], Found] | None], done: queue.Queue[Found | errors.GatewrightError | None]) -> None:
    while (task := waiting.get()) is not None:
        try:
            done.put(task())
        except errors.GatewrightError as fault:
            done.put(fault)
            return
    done.put(None)


def grade_all(
    judge: ports.Judge, answered: Sequence[answers.Answered], max_concurrent: int, on_done: Callable[[int], None] = lambda _: None
) -> list[judging.GradedRow]:
    """Graded rows in the order of the answers. Raises as `carry_out`."""

    def numbered(number: int) -> tuple[int, judging.GradedRow]:
        return number, graded(judge, answered[number])

    rows: dict[int, judging.GradedRow] = {}
    for number, found in carry_out((functools.partial(numbered, number) for number in range(len(answered))), max_concurrent):
        rows[number] = found
        on_done(len(rows))
    return [rows[number] for number in range(len(answered))]
