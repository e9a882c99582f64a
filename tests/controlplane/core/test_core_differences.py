"""Which differences stand beside a verdict, from where, and which of them decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.core import differences, evidence, gates, interval_gate, judging, pairwise, pairwise_gate

THRESHOLDS = gates.AnswerThresholds()
A, C, REFUSAL, PREFERENCE = (f"{name}, candidate - live" for name in ("A-rate", "C-rate", "refusal rate", "net preference"))


def rows(role: str, letters: str) -> list[judging.GradedRow]:
    """Every other question must be refused, and is."""
    return [
        judging.GradedRow(str(n), role, "q", "c", "r", bool(n % 2), "a", letter, "", is_refusal=not n % 2)
        for n, letter in enumerate(letters)
    ]


CANDIDATE, LIVE = rows("candidate", "AAAAABAA"), rows("live", "AACAAAAC")
COMPARED = [pairwise.settle("2", "a", "b", pairwise.Preference("1", ""), pairwise.Preference("2", "")), pairwise.same("3", "a")]
POINT = gates.evaluate_answers(judging.scores(CANDIDATE), judging.scores(LIVE), THRESHOLDS)
INTERVAL = interval_gate.evaluate(CANDIDATE, LIVE, THRESHOLDS)
PAIRWISE = pairwise_gate.evaluate(COMPARED, CANDIDATE, LIVE, THRESHOLDS, evidence.RuleSet.INTERVAL)


@pytest.mark.parametrize(
    ("name", "verdict", "compared", "deciding", "beside"),
    [
        ("values decide", POINT, COMPARED, set(), {A, C, REFUSAL, PREFERENCE}),
        ("intervals of grades decide", INTERVAL, COMPARED, {A, C, REFUSAL}, {PREFERENCE}),
        ("intervals of pairs decide", PAIRWISE, COMPARED, {PREFERENCE, REFUSAL}, {A, C}),
        ("nothing was compared", INTERVAL, [], {A, C, REFUSAL}, set()),
    ],
)
def test_every_difference_stands_there_once(
    name: str, verdict: evidence.Verdict, compared: list[pairwise.ComparedRow], deciding: set[str], beside: set[str]
) -> None:
    found = differences.find(verdict, CANDIDATE, LIVE, compared, THRESHOLDS)
    assert [one.check.name for one in found if one.decides] == [one for one in (A, C, REFUSAL, PREFERENCE) if one in deciding]
    assert {one.check.name for one in found if not one.decides} == beside
    assert {one.check.name: one.reading for one in found}.get(PREFERENCE, "pairwise") == "pairwise"


def test_what_decided_is_shown_as_it_was_recorded() -> None:
    recorded = replace(INTERVAL.checks[0], interval=evidence.Interval(-0.9, 0.9, 0.999))
    found = differences.find(replace(INTERVAL, checks=(recorded,)), CANDIDATE, LIVE, (), THRESHOLDS)
    assert found[0].check == recorded
    assert [one.decides for one in found] == [True, False, False]


def test_the_net_preference_has_its_own_interval() -> None:
    (found,) = (one.check for one in differences.find(POINT, CANDIDATE, LIVE, COMPARED, THRESHOLDS) if one.reading == "pairwise")
    assert found.value == 0.5
    assert found.limit == -0.02
    assert found.interval is not None
    assert found.interval.low < 0.5 < found.interval.high


@pytest.mark.parametrize(
    ("verdict", "live"), [(INTERVAL, []), (evidence.error(evidence.Gate.EVALUATION, evidence.RuleSet.INTERVAL, "broken"), LIVE)]
)
def test_without_live_or_beside_an_error_there_is_none(verdict: evidence.Verdict, live: list[judging.GradedRow]) -> None:
    assert differences.find(verdict, CANDIDATE, live, COMPARED, THRESHOLDS) == ()
