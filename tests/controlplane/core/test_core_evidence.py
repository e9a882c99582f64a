"""Checks, their combination into a verdict, and the verdict as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from controlplane.core import errors, evidence

PASS, FAIL, INCONCLUSIVE = evidence.Outcome.PASS, evidence.Outcome.FAIL, evidence.Outcome.INCONCLUSIVE
GATE, RULES = evidence.Gate.EVALUATION, evidence.RuleSet.POINT


@pytest.mark.parametrize(
    ("value", "comparison", "outcome"),
    [
        (1.0, "<", FAIL),
        (0.9, "<", PASS),
        (1.0, "<=", PASS),
        (1.1, "<=", FAIL),
        (1.0, ">", FAIL),
        (1.1, ">", PASS),
        (1.0, ">=", PASS),
        (0.9, ">=", FAIL),
        (None, ">=", INCONCLUSIVE),
        (float("nan"), ">=", INCONCLUSIVE),
        (float("inf"), ">=", INCONCLUSIVE),
        (float("-inf"), "<=", INCONCLUSIVE),
    ],
)
def test_point_comparison_with_one(value: float | None, comparison: str, outcome: evidence.Outcome) -> None:
    assert evidence.check("x", value, comparison, 1.0, "s").outcome is outcome


@pytest.mark.parametrize(("value", "comparison", "margin"), [(3.0, "<", 5.0), (9.0, "<=", -1.0), (9.0, ">", 1.0), (None, "<", None)])
def test_margin_is_positive_on_the_passing_side(value: float | None, comparison: str, margin: float | None) -> None:
    assert evidence.check("x", value, comparison, 8.0, "s").margin == margin


def one(outcome: evidence.Outcome) -> evidence.Check:
    return evidence.Check(f"is {outcome}", 0.5, ">=", 0.7, "%", outcome)


@pytest.mark.parametrize(
    ("outcomes", "combined"),
    [
        ((PASS, PASS), PASS),
        ((PASS, FAIL), FAIL),
        ((INCONCLUSIVE, FAIL), FAIL),
        ((PASS, INCONCLUSIVE), INCONCLUSIVE),
        ((PASS, evidence.Outcome.ERROR), INCONCLUSIVE),
        ((), INCONCLUSIVE),
    ],
)
def test_all_must_pass_and_missing_data_never_does(outcomes: tuple[evidence.Outcome, ...], combined: evidence.Outcome) -> None:
    assert evidence.combine(GATE, RULES, tuple(one(outcome) for outcome in outcomes)).outcome is combined


def test_reason_names_value_and_limit() -> None:
    verdict = evidence.combine(GATE, RULES, (evidence.check("A-rate", 0.5, ">=", 0.7, "%", "live"),))
    assert verdict.reason == "A-rate is 50.0%, must be >= 70.0% (live)."


def test_verdict_survives_json() -> None:
    checks = (one(PASS), evidence.Check("y", None, "<", 2.0, "s", INCONCLUSIVE, "baseline", evidence.Interval(0.1, 0.2)))
    verdict = replace(evidence.combine(GATE, RULES, checks, ("a note",)), others=(evidence.other(evidence.error(GATE, RULES, "x"), "y"),))
    assert evidence.from_dict(json.loads(json.dumps(evidence.to_dict(verdict)))) == verdict


@pytest.mark.parametrize("value", [{}, {"gate": "evaluation", "rules": "point", "outcome": "maybe", "reason": ""}, {"gate": 3}])
def test_what_is_no_verdict_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be read"):
        evidence.from_dict(value)
