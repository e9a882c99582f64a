"""Grades and compares many answers at once, as they come. It writes nothing and knows no rule of a gate."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from controlplane import ports
from controlplane.core import errors, judging, pairwise, refusals
from jobs.evaluation import answers

Finding = judging.GradedRow | pairwise.ComparedRow
Found = TypeVar("Found")


def tasks(judge: ports.Judge, answered: Iterable[answers.Answered], *, compares: bool) -> Iterator[Callable[[], Finding]]:
    """One grading an answer and, when it compares, one comparison for each row that candidate and live have both answered."""
    waiting: dict[str, answers.Answered] = {}
    for one in answered:
        yield functools.partial(graded, judge, one)
        if compares and not one.error and one.role in ("candidate", "live"):
            other = waiting.pop(one.id, None)
            if other is None:
                waiting[one.id] = one
            else:
                candidate, live = (one, other) if one.role == "candidate" else (other, one)
                yield functools.partial(compared, judge, candidate, live)


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


def compared(judge: ports.Judge, candidate: answers.Answered, live: answers.Answered) -> pairwise.ComparedRow:
    """In both orders; equal answers tie without asking."""
    if candidate.answer.strip() == live.answer.strip():
        return pairwise.same(candidate.id, candidate.answer)
    first = judge.prefer(candidate.row, candidate.answer, live.answer)
    second = judge.prefer(candidate.row, live.answer, candidate.answer)
    return pairwise.settle(candidate.id, candidate.answer, live.answer, first, second)


def carry_out(work: Iterable[Callable[[], Found]], max_concurrent: int) -> Iterator[Found]:
    """What each task found, as it comes; `work` is read only as far as a thread is free.

    The threads are daemons: a request to a slow judge must not keep a stopped job alive.

    Raises:
        GatewrightError: the judge's first fault that is not about one question; the rest is left undone.
    """
    waiting: queue.Queue[Callable[[], Found] | None] = queue.Queue(maxsize=max_concurrent)
    done: queue.SimpleQueue[Found | errors.GatewrightError | None] = queue.SimpleQueue()
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
    done: queue.SimpleQueue[Found | errors.GatewrightError | None],
    threads: int,
) -> None:
    try:
        for task in work:
            waiting.put(task)
    except errors.GatewrightError as fault:
        done.put(fault)
    for _ in range(threads):
        waiting.put(None)


def _work(waiting: queue.Queue[Callable[[], Found] | None], done: queue.SimpleQueue[Found | errors.GatewrightError | None]) -> None:
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
