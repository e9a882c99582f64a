"""Gate 1 by confidence intervals, as tables: pass, fail, inconclusive with the rows it would take; missing data never passes."""

from __future__ import annotations

import pytest

from controlplane.core import evidence, gates, interval_gate, judging

PASS, FAIL, INCONCLUSIVE, ERROR = evidence.Outcome.PASS, evidence.Outcome.FAIL, evidence.Outcome.INCONCLUSIVE, evidence.Outcome.ERROR
OWN = gates.AnswerThresholds()


def rows(role: str, letters: str, refused: str) -> list[judging.GradedRow]:
    """One answerable row a letter (`-`: unscored), one unanswerable row a sign of `refused` (`r`: refused, `x`: answered)."""
    return [
        *(graded(role, f"a{number}", letter.strip("-"), is_refusal=False) for number, letter in enumerate(letters)),
        *(graded(role, f"u{number}", "A" if sign == "r" else "C", is_refusal=sign == "r") for number, sign in enumerate(refused)),
    ]


def graded(role: str, row_id: str, letter: str, *, is_refusal: bool) -> judging.GradedRow:
    return judging.GradedRow(row_id, role, "q", "c", "r", row_id.startswith("a"), "answer", letter, "why", is_refusal)


REFUSED = "r" * 200
SAME = "A" * 180 + "C" * 20


@pytest.mark.parametrize(
    ("candidate", "live", "refused", "outcome"),
    [
        (SAME, SAME, REFUSED, PASS),
        ("A" * 200, SAME, REFUSED, PASS),
        ("A" * 130 + "C" * 70, SAME, REFUSED, FAIL),
        ("C" * 10 + "A" * 170 + "C" * 20, SAME, REFUSED, INCONCLUSIVE),
        (SAME, SAME, "r" * 100 + "x" * 100, FAIL),
        (SAME, SAME, "r" * 182 + "x" * 18, INCONCLUSIVE),
        ("-" * 60 + "A" * 140, SAME, REFUSED, ERROR),
        ("A" * 10, "A" * 10, "r" * 10, INCONCLUSIVE),
        (SAME, SAME, "", INCONCLUSIVE),
        ("", "", "", INCONCLUSIVE),
    ],
    ids=["same", "better", "worse", "a little worse", "refuses half", "near the floor", "unreadable", "few rows", "no refusals", "nothing"],
)
def test_against_live(candidate: str, live: str, refused: str, outcome: evidence.Outcome) -> None:
    verdict = interval_gate.evaluate(rows("candidate", candidate, refused), rows("live", live, refused), OWN)
    assert verdict.outcome is outcome, verdict.reason
    assert verdict.rules is evidence.RuleSet.INTERVAL
    assert verdict.reason


@pytest.mark.parametrize(
    ("letters", "refused", "outcome"),
    [
        ("A" * 190 + "C" * 10, REFUSED, PASS),
        ("A" * 100 + "B" * 100, "x" * 200, FAIL),
        ("A" * 100 + "B" * 100, REFUSED, PASS),
        ("A" * 20, "r" * 20, INCONCLUSIVE),
    ],
)
def test_a_first_deploy_is_held_against_the_floors(letters: str, refused: str, outcome: evidence.Outcome) -> None:
    verdict = interval_gate.evaluate(rows("candidate", letters, refused), None, OWN)
    assert verdict.outcome is outcome, verdict.reason
    assert gates.FIRST_DEPLOY in verdict.notes


def test_an_open_check_says_how_many_rows_would_decide() -> None:
    verdict = interval_gate.evaluate(rows("candidate", "A" * 50, "r" * 50), rows("live", "A" * 50, "r" * 50), OWN)
    assert verdict.outcome is INCONCLUSIVE
    assert "A-rate, candidate - live lies between -3.7% and +3.7% (limit -2.0%); about 89 more rows" in verdict.reason


def test_ungraded_rows_are_in_no_pair() -> None:
    found = judging.paired(rows("candidate", "AC-A", "rx"), rows("live", "CA--", "rr"))
    assert (found.a, found.c) == (judging.Pairs(4, 1, 2), judging.Pairs(4, 2, 1))
    assert found.refusal == judging.Pairs(2, 0, 1)
    assert found.refusal.difference == -0.5
