"""Looks of Gate 1: their levels against published bounds and by simulation, the order of rows, and which look decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy
import pytest
from scipy import stats

from controlplane.core import errors, evidence, gates, interval_gate, judging, row_order, sequential

PASS, FAIL, INCONCLUSIVE, ERROR = evidence.Outcome.PASS, evidence.Outcome.FAIL, evidence.Outcome.INCONCLUSIVE, evidence.Outcome.ERROR
OWN = gates.AnswerThresholds()


@pytest.mark.parametrize(
    ("looks", "bounds"),
    [
        # O'Brien-Fleming-type spending at two-sided 5%, equal steps: R package ldbounds; Jennison and Turnbull 2000, chapter 7.
        (1, (1.960,)),
        (2, (2.963, 1.969)),
        (3, (3.710, 2.511, 1.993)),
        (4, (4.333, 2.963, 2.359, 2.014)),
        (5, (4.877, 3.357, 2.680, 2.290, 2.031)),
    ],
)
def test_bounds_are_the_published_ones(looks: int, bounds: tuple[float, ...]) -> None:
    found = [float(stats.norm.ppf(0.5 + level / 2)) for level in sequential.levels(looks, 0.95)]
    assert found == pytest.approx(bounds, abs=0.001)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_one_look_has_the_level_itself(level: float) -> None:
    assert sequential.levels(1, level) == pytest.approx((level,), abs=1e-12)


@pytest.mark.parametrize("looks", range(2, sequential.MOST_LOOKS + 1))
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_levels_fall_and_stay_above_the_one_promised(looks: int, level: float) -> None:
    found = sequential.levels(looks, level)
    assert len(found) == looks
    assert list(found) == sorted(found, reverse=True)
    assert level < found[-1] < found[-2] < 1


@pytest.mark.parametrize(("looks", "level"), [(2, 0.95), (3, 0.95), (5, 0.95), (10, 0.95), (3, 0.8)])
def test_simulated_looks_together_keep_the_level(looks: int, level: float) -> None:
    walks = numpy.random.default_rng(5).standard_normal((200_000, looks)).cumsum(axis=1) / numpy.sqrt(numpy.arange(1, looks + 1))
    bounds = stats.norm.ppf(0.5 + numpy.array(sequential.levels(looks, level)) / 2)
    crossed = (walks > bounds).any(axis=1).mean()
    assert crossed == pytest.approx((1 - level) / 2, rel=0.05)


@pytest.mark.parametrize(("looks", "most"), [(3, 0.0293), (5, 0.0363)])
def test_looks_at_other_times_than_planned_err_little_more(looks: int, most: float) -> None:
    assert sum((1 - level) / 2 for level in sequential.levels(looks, 0.95)) < most


def test_the_error_is_spent_late_and_wholly() -> None:
    found = [sequential.spent(fraction, 0.025) for fraction in (0.1, 0.5, 0.9, 1.0)]
    assert found == sorted(found)
    assert found[1] == pytest.approx(0.00153, abs=1e-5)
    assert found[3] == pytest.approx(0.025, abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "looks", "sizes"),
    [(300, 3, (100, 200, 300)), (100, 3, (34, 67, 100)), (7, 1, (7,)), (2, 3, (1, 2, 2)), (0, 2, (0, 0))],
)
def test_look_sizes(rows: int, looks: int, sizes: tuple[int, ...]) -> None:
    assert sequential.look_sizes(rows, looks) == sizes


@pytest.mark.parametrize("looks", [0, -1, sequential.MOST_LOOKS + 1])
def test_a_number_of_looks_out_of_range_is_refused(looks: int) -> None:
    with pytest.raises(errors.InvalidInput, match="Take between 1 and 10 looks"):
        sequential.look_sizes(100, looks)
    with pytest.raises(errors.InvalidInput):
        sequential.levels(looks, 0.95)


def row(role: str, row_id: str, letter: str, *, is_refusal: bool) -> judging.GradedRow:
    return judging.GradedRow(row_id, role, "q", "c", "r", not row_id.startswith("u"), "answer", letter, "why", is_refusal)


def answered(role: str, right: int, refused: int, rows: int = 600, unscored: int = 0) -> list[judging.GradedRow]:
    """`rows` answerable ones, the first `right` in the judge's order A, the rest C; 200 unanswerable ones, `refused` of them refused."""
    ids = row_order.order([f"a{number}" for number in range(rows)])
    grades = ["" if place < unscored else "A" if place < right else "C" for place in range(rows)]
    return [
        *(row(role, one, grade, is_refusal=False) for one, grade in zip(ids, grades, strict=True)),
        *(row(role, f"u{place}", "A" if place < refused else "C", is_refusal=place < refused) for place in range(200)),
    ]


def judged(rows: Sequence[judging.GradedRow], looks: int, number: int) -> list[judging.GradedRow]:
    """As they stand when the judge has done what look `number` needs."""
    first = set(row_order.order([one.id for one in rows])[: (0, *sequential.look_sizes(len(rows), looks))[number]])
    return [one if one.id in first else replace(one, grade="", reason=sequential.NOT_JUDGED) for one in rows]


@pytest.mark.parametrize(
    ("candidate", "live", "judged_looks", "number", "outcome"),
    [
        (answered("candidate", 600, 200), answered("live", 600, 200), 1, 1, INCONCLUSIVE),
        (answered("candidate", 600, 200), answered("live", 600, 200), 2, 2, PASS),
        (answered("candidate", 600, 200), answered("live", 600, 200), 3, 2, PASS),
        (answered("candidate", 0, 200), answered("live", 600, 200), 1, 1, FAIL),
        (answered("candidate", 0, 200), answered("live", 600, 200), 3, 1, FAIL),
        (answered("candidate", 580, 200), answered("live", 600, 200), 3, 2, PASS),
        (answered("candidate", 600, 185), answered("live", 600, 185), 3, 3, INCONCLUSIVE),
        (answered("candidate", 600, 100), answered("live", 600, 200), 0, 0, FAIL),
        (answered("candidate", 600, 100), answered("live", 600, 200), 3, 1, FAIL),
        (answered("candidate", 600, 200), answered("live", 600, 200), 0, 0, INCONCLUSIVE),
        (answered("candidate", 600, 200, unscored=100), answered("live", 600, 200), 1, 1, ERROR),
        (answered("candidate", 600, 200, unscored=40), answered("live", 600, 200), 3, 2, PASS),
        (answered("candidate", 540, 200), None, 1, 1, PASS),
        (answered("candidate", 100, 200), None, 3, 1, FAIL),
        ([], None, 3, 3, INCONCLUSIVE),
    ],
    ids=[
        "same, one look",
        "same, two looks",
        "same, all judged",
        "all wrong, one look",
        "all wrong, all judged",
        "mistakes after the look that decided",
        "refusals near the floor",
        "refuses half, nothing judged",
        "refuses half, all judged",
        "nothing judged",
        "unreadable early",
        "unreadable early only",
        "first deploy, good",
        "first deploy, bad",
        "nothing",
    ],
)
def test_which_look_decides(
    candidate: list[judging.GradedRow],
    live: list[judging.GradedRow] | None,
    judged_looks: int,
    number: int,
    outcome: evidence.Outcome,
) -> None:
    seen = judged(candidate, 3, judged_looks), live and judged(live, 3, judged_looks)
    look = sequential.decide(*seen, OWN, 3)
    assert (look.number, look.verdict.outcome) == (number, outcome), look.verdict.reason
    assert look.rows == (0, *sequential.look_sizes(len(candidate), 3))[number]
    assert look.is_decided is (outcome in (PASS, FAIL))
    assert look.is_last is (look.is_decided or number == 3)


def test_a_look_says_where_it_stands_and_at_which_level() -> None:
    verdict = sequential.decide(answered("candidate", 600, 200), answered("live", 600, 200), OWN, 3).verdict
    note = "Look 2 of 3: 534 of 800 rows judged; intervals of A and C at 98.7976%, so that all looks together keep 95%."
    assert verdict.notes == ("Margin 2.0%, level 95%.", note)
    assert [round(check.interval.level, 4) for check in verdict.checks if check.interval] == [0.9880, 0.9880, 0.95, 0.95]


def test_one_look_is_the_gate_as_it_was() -> None:
    candidate, live = answered("candidate", 560, 195), answered("live", 570, 200)
    ours, whole = sequential.decide(candidate, live, OWN, 1).verdict, interval_gate.evaluate(candidate, live, OWN)
    assert (ours.outcome, ours.notes) == (whole.outcome, whole.notes)
    for mine, other in zip(ours.checks, whole.checks, strict=True):
        assert mine.interval is not None
        assert other.interval is not None
        assert (mine.interval.low, mine.interval.high) == pytest.approx((other.interval.low, other.interval.high), abs=1e-9)


@pytest.mark.parametrize("live", [answered("live", 600, 200), None], ids=["against live", "first deploy"])
def test_grades_behind_a_look_change_nothing(live: list[judging.GradedRow] | None) -> None:
    candidate = answered("candidate", 600, 200)
    later = [one if one in judged(candidate, 3, 2) else replace(one, grade="C") for one in candidate]
    assert sequential.take(later, live, OWN, 3, 2) == sequential.take(candidate, live, OWN, 3, 2)
    assert sequential.take(later, live, OWN, 3, 3) != sequential.take(candidate, live, OWN, 3, 3)
