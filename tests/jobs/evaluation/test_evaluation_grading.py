"""How grading goes through many answers: what it pairs, and how little of them it holds at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from controlplane import testing
from controlplane.core import datasets, errors, judging, pairwise
from jobs.evaluation import answers, grading

AT_ONCE = 4


def answered(row_id: str, role: str, text: str = "22", error: str = "") -> answers.Answered:
    return answers.Answered(row_id, role, "Which port?", "ssh has port 22.", "22", True, text, None, None, 1, "stop", error)


@dataclass
class Work:
    """Tasks without end that say their number; `read` of them were taken out."""

    read: int = 0

    def __iter__(self) -> Iterator[Callable[[], int]]:
        for number in itertools.count():
            self.read += 1
            yield lambda number=number: number


def test_what_nobody_takes_is_not_worked_out() -> None:
    work = Work()
    for taken, _ in enumerate(itertools.islice(grading.carry_out(work, AT_ONCE), 500), start=1):
        # Gives every other thread its turn; what is not bounded runs thousands of tasks ahead.
        time.sleep(0)
        assert work.read <= taken + 3 * AT_ONCE + 1


def test_each_task_is_carried_out_once() -> None:
    tasks = [lambda number=number: number for number in range(1000)]
    assert sorted(grading.carry_out(tasks, AT_ONCE)) == list(range(1000))


def test_a_fault_ends_it_though_results_wait_to_be_taken() -> None:
    def work() -> Iterator[Callable[[], int]]:
        yield from (lambda: 1 for _ in range(10))
        raise errors.InvalidInput("The file is broken.")

    with pytest.raises(errors.InvalidInput):
        list(grading.carry_out(work(), AT_ONCE))


@dataclass
class Noting:
    """Grades as the fake does, and notes what it was asked to compare."""

    name: str = "noting"
    compared: list[tuple[str, str]] = field(default_factory=list)

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        return testing.FakeJudge().grade(row, answer)

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        self.compared.append((first, second))
        return testing.FakeJudge().prefer(row, first, second)


BOTH_ORDERS = [("a", "b"), ("b", "a")]
PAIRINGS = {
    "both answered": ([answered("1", "candidate", "a"), answered("1", "live", "b")], BOTH_ORDERS),
    "live came first": ([answered("1", "live", "b"), answered("1", "candidate", "a")], BOTH_ORDERS),
    "far apart": ([*(answered(str(number), "live", "b") for number in range(9)), answered("4", "candidate", "a")], BOTH_ORDERS),
    "live never came": ([answered("1", "candidate"), answered("2", "candidate")], []),
    "the candidate failed": ([answered("1", "candidate", "", "it was busy"), answered("1", "live", "b")], []),
    "live failed first": ([answered("1", "live", "", "it was busy"), answered("1", "candidate", "a")], []),
    "base is not compared": ([answered("1", "candidate", "a"), answered("1", "base", "b")], []),
}


@pytest.mark.parametrize(("rows", "compared"), PAIRINGS.values(), ids=PAIRINGS)
def test_what_the_judge_compares(rows: list[answers.Answered], compared: list[tuple[str, str]]) -> None:
    judge = Noting()
    found = [task() for task in grading.tasks(judge, rows, compares=True)]
    assert judge.compared == compared
    assert [one.id for one in found if isinstance(one, judging.GradedRow)] == [row.id for row in rows]
