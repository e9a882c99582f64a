"""An evaluation read back: what Gate 1's own job recorded comes out, and runs that lack some of it still open."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from controlplane import wire
from controlplane.core import calibration, datasets, errors, judging, pairwise, sequential
from jobs import job
from jobs.evaluation import compare_decision

MODEL = "ops-qa"
ROWS = 40
FIRST, SECOND = pairwise.Preference("1", "It is right."), pairwise.Preference("2", "It is right.")


def graded(role: str, wrong: Sequence[int] = (), votes: str = "", unseen: int = 0) -> list[judging.GradedRow]:
    rows = []
    for n in range(ROWS):
        is_seen = n < ROWS - unseen
        grade, reason = (("C" if n in wrong else "A"), "said so") if is_seen else ("", sequential.NOT_JUDGED)
        answer = f"{role} {n}" if n in wrong else str(n)
        seconds = {"latency_seconds": 0.2, "votes": votes if is_seen else ""}
        rows.append(judging.GradedRow(f"r{n}", role, f"q{n}?", "c", str(n), n % 4 != 0, answer, grade, reason, n % 4 == 0, **seconds))
    return rows


def compared() -> list[pairwise.ComparedRow]:
    """The candidate wins one, live one, on one the judge is torn, and all others are equal."""
    told = [(FIRST, SECOND), (SECOND, FIRST), (FIRST, FIRST)]
    rows = [pairwise.settle(f"r{n}", "long answer", "answer", *said) for n, said in enumerate(told)]
    return rows + [pairwise.same(f"r{n}", str(n)) for n in range(3, ROWS)]


def calibrated(wrong: int = 0) -> calibration.Calibration:
    letters = "ABC" * 16
    golden = [calibration.GoldenRow(str(n), "q", "c", "r", True, "a", letter, "exact", "constructed") for n, letter in enumerate(letters)]
    given = {row.id: judging.Grade("B" if int(row.id) < wrong else row.grade, "so") for row in golden}
    return calibration.measure("stub judge", golden, given)


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(asdict(row)) + "\n" for row in rows)  # type: ignore[call-overload]


@pytest.fixture
def evaluated(world, tmp_path):
    """Runs Gate 1's job on what a judge found, and reads its run back through the plane."""

    def run(*flags: str, grades: Sequence[judging.GradedRow] | None = None, wrong: int = 0) -> wire.Evaluation:
        world.add_version("live")
        version = world.add_version("staged", **{"dataset": "ops-qa", "data-version": "2"})
        found = grades if grades is not None else [*graded("candidate", wrong=[1]), *graded("live", wrong=[0, 2])]
        texts = {
            "grades.jsonl": lines(found),
            "comparisons.jsonl": lines(compared()),
            "calibration.json": json.dumps(calibration.to_dict(calibrated(wrong))),
            "eval.jsonl": datasets.to_jsonl([datasets.Row(f"r{n}", f"q{n}?", "c", str(n), n % 4 != 0) for n in range(ROWS)]),
        }
        paths = {name: _written(tmp_path / name, text) for name, text in texts.items()}
        given = [
            f"--grades-file={paths['grades.jsonl']}",
            f"--comparisons-file={paths['comparisons.jsonl']}",
            f"--calibration-file={paths['calibration.json']}",
            f"--eval-file={paths['eval.jsonl']}",
            "--data-source=s3://data/ops-qa/v2/eval.jsonl",
            f"--model-name={MODEL}",
            "--judge-name=stub judge",
            "--judge-identity=stub judge at http://judge.test",
            f"--output-dir={tmp_path / 'out'}",
        ]
        arguments = compare_decision.parser().parse_args([*given, *flags])
        with contextlib.suppress(job.GateNotPassed):
            compare_decision.decide(world.registry, world.tracking, arguments, job.Log("test"))
        return world.plane.results.evaluation(MODEL, version.number)

    return run


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_the_job_recorded_comes_back_whole(evaluated):
    found = evaluated("--rules=interval")
    assert (found.reading, found.asked, found.judged) == ("pointwise", ROWS, ROWS)
    assert {(one.reading, one.rules) for one in found.others} == {("pointwise", "point"), ("pairwise", "point"), ("pairwise", "interval")}
    assert [(one.check.name.partition(",")[0], one.decides) for one in found.differences] == [
        ("A-rate", True),
        ("C-rate", True),
        ("refusal rate", True),
        ("net preference", False),
    ]
    assert (found.judge, found.judge_identity) == ("stub judge", "stub judge at http://judge.test")
    assert found.judge_prompt_digest == calibration.prompt_digest()


def test_both_orders_of_each_comparison_and_their_sum(evaluated):
    found = evaluated()
    assert [(row.candidate_first, row.live_first, row.winner) for row in found.comparisons[:4]] == [
        ("candidate", "candidate", "candidate"),
        ("live", "live", "live"),
        ("candidate", "live", "tie"),
        ("tie", "tie", "tie"),
    ]
    said = found.pairwise
    assert (said.rows, said.wins, said.losses, said.ties, said.unread, said.net) == (ROWS, 1, 1, 38, 0, 0.0)
    assert said.interval.low < 0 < said.interval.high
    assert (said.asked, said.consistency, said.first_share) == (3, pytest.approx(2 / 3), 1.0)
    assert (said.mean_length_difference, said.winner_excess) == (pytest.approx(15 / 40), 0.0)
    assert said.cautions == ("The judge changed its mind with the order on 1 of 3 rows: read those yourself.",)


def test_the_data_that_was_asked_is_named(evaluated):
    data = evaluated().dataset
    assert (data.name, data.source, data.rows) == ("ops-qa v2 eval", "s3://data/ops-qa/v2/eval.jsonl", ROWS)
    assert len(data.digest) == 64
    assert data.columns["answerable"] == "boolean"


@pytest.mark.parametrize(("wrong", "min_kappa", "words"), [(0, "0.6", ""), (32, "0.6", "at least 0.60 is required"), (4, "0.95", "0.95")])
def test_the_judge_is_trusted_by_the_rule_that_decided(evaluated, wrong, min_kappa, words):
    found = evaluated(f"--min-kappa={min_kappa}", wrong=wrong)
    assert (found.trust.rows, found.trust.min_kappa) == (48, float(min_kappa))
    assert found.trust.refusal == calibration.trust(calibrated(wrong), float(min_kappa))
    assert words in found.trust.refusal
    assert (found.verdict.reason == found.trust.refusal) is bool(words)
    assert found.trust.warnings == calibration.warnings(calibrated(wrong))


def test_rows_that_no_judge_saw_are_told_apart(evaluated):
    found = evaluated("--rules=interval", "--looks=2", grades=[*graded("candidate", unseen=20), *graded("live", unseen=20)])
    assert (found.asked, found.judged) == (ROWS, 20)
    assert {row.is_judged for row in found.rows if row.grade == ""} == {False}


def test_several_judges_letters_and_agreement(evaluated):
    found = evaluated(grades=[*graded("candidate", votes="AAC"), *graded("live", votes="AAA")])
    assert {row.votes for row in found.rows} == {"AAC", "AAA"}
    assert found.agreement.judges == 3
    assert found.agreement.observed == pytest.approx((1 / 3 + 1) / 2)


def test_one_judge_agrees_with_nobody(evaluated):
    assert evaluated().agreement is None


@pytest.mark.parametrize(
    ("file", "field", "empty"),
    [("comparisons.jsonl", "comparisons", ()), ("comparisons.jsonl", "pairwise", None), ("calibration.json", "trust", None)],
)
def test_a_run_without_an_artifact_still_opens(world, evaluated, file, field, empty):
    found = evaluated()
    del world.tracking.files[found.mlflow_run, file]
    without = world.plane.results.evaluation(MODEL, found.version)
    assert getattr(without, field) == empty
    assert without.verdict == found.verdict


def test_a_run_of_an_older_version_still_opens(world):
    version = world.add_version()
    run_id = world.add_evaluation(version, {"candidate": "22"})
    row = {
        "id": "r1",
        "role": "candidate",
        "question": "q",
        "context": "",
        "reference": "22",
        "answerable": True,
        "answer": "22",
        "grade": None,
    }
    world.tracking.files[run_id, "grades.jsonl"] = json.dumps({**row, "of_old": 1}).encode()
    found = world.plane.results.evaluation(MODEL, 1)
    assert [(one.grade, one.reason, one.is_judged) for one in found.rows] == [("", "", True)]
    assert (found.differences, found.trust, found.agreement, found.dataset, found.pairwise) == ((), None, None, None, None)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("calibration.json", '{"judge": "x"}'),
        ("calibration.json", "not json"),
        ("calibration.json", "[]"),
        ("comparisons.jsonl", '{"id": "r1"}'),
        ("grades.jsonl", "[]\n[1]"),
    ],
)
def test_an_artifact_that_cannot_be_read_says_so(world, evaluated, file, text):
    found = evaluated()
    world.tracking.files[found.mlflow_run, file] = text.encode()
    with pytest.raises(errors.OutsideError, match="cannot be read") as caught:
        world.plane.results.evaluation(MODEL, found.version)
    assert "evaluation workflow" in caught.value.hint


def test_reading_an_evaluation_needs_no_statistics_package():
    """It takes half a second to import, and every start of the API would pay for it."""
    asked = "import sys, controlplane.services.evaluations; sys.exit('statsmodels' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
