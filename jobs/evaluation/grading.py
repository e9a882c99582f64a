"""Grades many answers at once with one judge. It writes nothing and knows no rule of a gate."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from controlplane import ports
from controlplane.core import errors, judging, refusals
from jobs.evaluation import answers


def grade_all(
    judge: ports.Judge, answered: Sequence[answers.Answered], max_concurrent: int, on_done: Callable[[int], None] = lambda _: None
) -> list[judging.GradedRow]:
    """Graded rows in the order of the answers; an answer that never came is unscored without asking.

    The threads are daemons: a request to a slow judge must not keep a stopped job alive.

    Raises:
        GatewrightError: the judge's first fault that is not about one question; the rest is left ungraded.
    """
    waiting: queue.SimpleQueue[tuple[int, answers.Answered] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, judging.GradedRow] | errors.GatewrightError] = queue.SimpleQueue()
    for item in enumerate(answered):
        waiting.put(item)
    threads = min(max_concurrent, len(answered))
    for _ in range(threads):
        waiting.put(None)
        threading.Thread(target=_work, args=(judge, waiting, done), daemon=True).start()
    rows: dict[int, judging.GradedRow] = {}
    while len(rows) < len(answered):
        result = done.get()
        if isinstance(result, errors.GatewrightError):
            raise result
        index, row = result
        rows[index] = row
        on_done(len(rows))
    return [rows[index] for index in range(len(answered))]


def _work(
    judge: ports.Judge,
    waiting: queue.SimpleQueue[tuple[int, answers.Answered] | None],
    done: queue.SimpleQueue[tuple[int, judging.GradedRow] | errors.GatewrightError],
) -> None:
    while (item := waiting.get()) is not None:
        index, one = item
        try:
            done.put((index, _graded(one, _grade(judge, one))))
        except errors.GatewrightError as fault:
            done.put(fault)
            return


def _grade(judge: ports.Judge, one: answers.Answered) -> judging.Grade:
    return judging.Grade("", f"No answer: {one.error}") if one.error else judge.grade(one.row, one.answer)


def _graded(one: answers.Answered, grade: judging.Grade) -> judging.GradedRow:
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
    )
