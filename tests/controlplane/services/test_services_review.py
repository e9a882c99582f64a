"""People's reviews on fakes: which vote counts, what they add up to, golden rows, and bad input that changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from controlplane import wire
from controlplane.core import errors, evidence, gates, judging

MODEL = "ops-qa"
# Row: (candidate's answer and the judge's grade, live's, the base model's). r5 was not answered by live.
ROWS = {
    "r1": (("22", "A"), ("80", "C")),
    "r2": (("81", "C"), ("80", "C"), ("22", "A")),
    "r3": (("22", "A"), ("22", "A")),
    "r4": (("90", "C"), ("22", "A")),
    "r5": (("22", "A"), None, ("22", "A")),
}


def evaluate(world, version):
    graded = [
        judging.GradedRow(row, role, f"Which port, {row}?", "It is 22.", "22", True, answer, grade, "", False, 0.3)
        for row, sides in ROWS.items()
        for role, (answer, grade) in ((role, side) for role, side in zip(("candidate", "live", "base"), sides, strict=False) if side)
    ]
    verdict = gates.evaluate_answers(judging.scores(graded), None, gates.AnswerThresholds())
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in graded)
    files = {"verdict.json": json.dumps(evidence.to_dict(verdict)), "grades.jsonl": lines}
    return world._record(version, evidence.Gate.EVALUATION, verdict, files, {}, {"judge": "reference"})


@pytest.fixture
def reviewed(world):
    world.add_live()
    world.run = evaluate(world, world.add_version("staged"))
    return world


def vote(world, actor, row, choice, **given):
    body = {"model": MODEL, "candidate_version": 2, "row_id": row, "choice": choice, "left": "live", **given}
    return world.plane.reviewer.vote(wire.Vote.model_validate(body), actor)


def grade(world, actor, row, role, letter, run=""):
    correction = wire.GradeCorrection.model_validate({"row_id": row, "role": role, "grade": letter, "evaluation_run": run})
    return world.plane.reviewer.grade(MODEL, 2, correction, actor)


def review(world):
    return world.plane.reviewer.review(MODEL, 2)


def test_a_vote_keeps_the_row_its_question_the_evaluation_and_the_side(reviewed):
    kept = vote(reviewed, "ada", "r1", "candidate", comment="names the port").vote
    assert (kept.row_id, kept.prompt, kept.evaluation_run, kept.left) == ("r1", "Which port, r1?", reviewed.run, "live")
    assert reviewed.plane.comparer.votes(MODEL, 2, reviewed.run)[0].vote == kept
    assert reviewed.plane.comparer.votes(MODEL, 1) == []


def test_nobody_has_voted_yet(reviewed):
    found = review(reviewed)
    assert (found.rows, found.different, found.reviewers, found.preference.rows) == (4, 3, (), 0)
    assert (found.preference.interval, found.between_people.alpha, found.golden_rows) == (None, None, 0)


def test_the_newest_vote_of_one_person_on_one_row_counts(reviewed):
    for choice in ("candidate", "live", "tie"):
        vote(reviewed, "ada", "r1", choice)
    assert review(reviewed).preference.tie == 1
    vote(reviewed, "ada", "r1", "withdrawn")
    assert review(reviewed).preference.rows == 0
    vote(reviewed, "ada", "r1", "live")
    assert review(reviewed).preference.live == 1


def test_votes_add_up_by_row_with_agreement_among_people_and_with_the_judge(reviewed):
    for actor, choices in {"ada": ("candidate", "both-bad", "tie", "live"), "bob": ("candidate", "both-bad", "tie", "candidate")}.items():
        for row, choice in zip(ROWS, choices, strict=False):
            vote(reviewed, actor, row, choice)
    found = review(reviewed)
    assert found.reviewers == ("ada", "bob")
    counted = found.preference
    assert (counted.rows, counted.candidate, counted.live, counted.tie, counted.both_bad) == (4, 1, 0, 2, 1)
    assert counted.net == 0.25
    assert counted.interval is not None
    assert counted.interval.low < 0.25 < counted.interval.high
    assert (found.between_people.items, found.between_people.observed) == (4, 0.75)
    assert (found.people_and_judge.items, found.people_and_judge.observed) == (4, 0.75), "on r4 the judge prefers live, people are torn"


def test_a_new_evaluation_starts_a_new_review(reviewed):
    vote(reviewed, "ada", "r1", "candidate", evaluation_run=reviewed.run)
    evaluate(reviewed, reviewed.registry.resolve(MODEL, "version:2"))
    assert review(reviewed).preference.rows == 0
    with pytest.raises(errors.Conflict, match="evaluated again"):
        vote(reviewed, "ada", "r1", "candidate", evaluation_run=reviewed.run)
    with pytest.raises(errors.Conflict, match="evaluated again"):
        grade(reviewed, "ada", "r1", "live", "C", reviewed.run)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"row": "r9"}, errors.NotFound, "no row 'r9'"),
        ({"row": "r5"}, errors.NotFound, "one answer only"),
        ({"row": "r1", "candidate_version": 1}, errors.NotFound, "no evaluation result"),
        ({"row": "r1", "candidate_version": 7}, errors.NotFound, "7"),
        ({"row": "r1", "candidate_version": None}, errors.InvalidInput, "must name the version"),
        ({"row": "r1", "model": "nope"}, errors.NotFound, "nope"),
    ],
)
def test_a_vote_on_what_is_not_there_changes_nothing(reviewed, given, kind, said):
    with pytest.raises(kind, match=said):
        vote(reviewed, "ada", choice="tie", **given)
    assert reviewed.ledger.votes(MODEL) == []


@pytest.mark.parametrize(("row", "role"), [("r9", "live"), ("r5", "live")])
def test_a_grade_of_what_was_not_said_changes_nothing(reviewed, row, role):
    with pytest.raises(errors.NotFound):
        grade(reviewed, "ada", row, role, "A")
    assert reviewed.ledger.corrections(MODEL, 2) == []


def test_only_a_vote_on_a_row_can_be_withdrawn(reviewed):
    with pytest.raises(errors.InvalidInput, match="cannot be withdrawn"):
        reviewed.plane.comparer.vote(wire.Vote(model=MODEL, prompt="?", choice="withdrawn"), "ada")
    assert reviewed.ledger.votes(MODEL) == []


def test_golden_rows_are_grades_nobody_disputes(reviewed):
    for actor in ("ada", "bob"):
        vote(reviewed, actor, "r2", "both-bad")
        grade(reviewed, actor, "r1", "candidate", "A")
    grade(reviewed, "ada", "r1", "live", "C")
    grade(reviewed, "bob", "r1", "live", "B")
    grade(reviewed, "ada", "r4", "live", "B")
    grade(reviewed, "ada", "r4", "candidate", "B")
    grade(reviewed, "ada", "r4", "candidate", "")
    golden = reviewed.plane.reviewer.golden(MODEL, 2)
    assert [(row.id, row.answer, row.grade, row.source) for row in golden] == [
        ("r1-v2-candidate", "22", "A", "ada, bob"),
        ("r2-v2-live", "80", "C", "ada, bob"),
        ("r2-v2-candidate", "81", "C", "ada, bob"),
        ("r4-v2-live", "22", "B", "ada"),
    ]
    assert (golden[0].question, golden[0].context, golden[0].reference, golden[0].kind) == (
        "Which port, r1?",
        "It is 22.",
        "22",
        "reviewed",
    )
    found = review(reviewed)
    assert (found.golden_rows, found.grades) == (4, 5)
    assert (found.grades_and_judge.items, found.grades_and_judge.observed) == (2, 0.5), "the judge said A to r4's live answer"


def test_grades_are_listed_as_they_count(reviewed):
    for letter in ("C", "B"):
        grade(reviewed, "ada", "r1", "live", letter)
    assert [(one.actor, one.correction.grade) for one in reviewed.plane.reviewer.grades(MODEL, 2)] == [("ada", "B")]


def test_every_vote_is_exported_with_its_answers_and_whether_it_counts(reviewed):
    reviewed.plane.comparer.vote(wire.Vote(model=MODEL, prompt="Typed?", choice="tie", candidate_version=2), "ada")
    vote(reviewed, "ada", "r1", "live")
    vote(reviewed, "ada", "r1", "candidate")
    vote(reviewed, "bob", "r2", "tie")
    vote(reviewed, "bob", "r2", "withdrawn")
    exported = reviewed.plane.reviewer.exported(MODEL, 2)
    assert [(one.row_id, one.choice, one.counts) for one in exported] == [
        ("", "tie", True),
        ("r1", "live", False),
        ("r1", "candidate", True),
        ("r2", "tie", False),
        ("r2", "withdrawn", False),
    ]
    assert (exported[1].candidate_answer, exported[1].live_answer, exported[1].reference) == ("22", "80", "22")
    assert exported[0].candidate_answer == ""
    reviewed.registry.delete(reviewed.registry.resolve(MODEL, "version:2"))
    assert len(reviewed.plane.reviewer.exported(MODEL)) == 5, "votes outlive what they were about"


def test_the_checklist_tells_what_people_said_and_stops_nothing(reviewed):
    assert "people" not in [item.gate for item in reviewed.plane.planner.plan(MODEL, "staged").evidence]
    vote(reviewed, "ada", "r4", "live")
    before = reviewed.plane.planner.plan(MODEL, "staged")
    (item,) = [item for item in before.evidence if item.gate == "people"]
    assert item.reason == "1 reviewer, 1 row: candidate preferred 0, live 1, tie 0, both bad 0."
    assert item.outcome == "inconclusive"
    vote(reviewed, "ada", "r4", "withdrawn")
    after = reviewed.plane.planner.plan(MODEL, "staged")
    assert "people" not in [item.gate for item in after.evidence]
    assert (before.refusal, before.moves) == (after.refusal, after.moves)


def test_a_vote_costs_one_question_to_mlflow_once_the_evaluation_is_known(reviewed):
    vote(reviewed, "ada", "r1", "tie")
    reviewed.tracking.fault = errors.Unreachable("MLflow", "http://mlflow.test", "not to be asked")
    vote(reviewed, "ada", "r2", "tie")
    assert len(reviewed.ledger.votes(MODEL)) == 2
