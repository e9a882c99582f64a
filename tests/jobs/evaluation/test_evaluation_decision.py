"""Which reading and rules decide, what an untrusted judge is worth, what stays with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlplane import testing
from controlplane.core import calibration, datasets, errors, judging, pairwise, row_order, sequential
from jobs import job, records
from jobs.evaluation import compare_decision

ROWS = [datasets.Row(f"r{number}", f"Port of r{number}?", "It is 22.", "22", True) for number in range(150)]
ROWS += [datasets.Row(f"u{number}", f"Author of u{number}?", "It is 22.", "Not in the context.", False) for number in range(150)]


def graded(role: str, wrong: int = 0) -> list[judging.GradedRow]:
    return [
        judging.GradedRow(
            row.id, role, row.question, row.context, row.answer, row.answerable, "x", "C" if bad else "A", "", not row.answerable
        )
        for row, bad in ((row, number < wrong) for number, row in enumerate(ROWS))
    ]


def preferring(winner: str, count: int) -> list[pairwise.ComparedRow]:
    """The winner is preferred on the first rows, the others tie."""
    return [
        pairwise.ComparedRow(row.id, found, found, found, "", 2, 2)
        for row, found in ((row, winner if number < count else "tie") for number, row in enumerate(ROWS))
    ]


def judge_of(right: int) -> calibration.Calibration:
    """Agrees with the first so many of 60 trusted grades and says C to the rest."""
    golden = [
        calibration.GoldenRow(f"g{number}", "q", "c", "22", True, "22", letter, "exact", "constructed")
        for number, letter in enumerate(["A", "B"] * 30)
    ]
    return calibration.measure(
        "a judge", golden, {row.id: judging.Grade(row.grade if i < right else "C", "") for i, row in enumerate(golden)}
    )


def decided(
    directory: Path,
    rows: list[judging.GradedRow],
    *flags: str,
    compared: list[pairwise.ComparedRow] | None = None,
    calibrated: calibration.Calibration | None = None,
    live_data: str = "1",
) -> tuple[Mapping[str, object], testing.FakeRegistry]:
    registry = testing.FakeRegistry()
    for aliases, data_version in ((["live"], live_data), (["staged"], "1")):
        registry.add("ops-qa", aliases=aliases, tags={"dataset": "ops-qa", "data-version": data_version})
    (directory / "eval.jsonl").write_text(datasets.to_jsonl(ROWS))
    files = [f"--grades-file={records.write(directory / 'grades.jsonl', rows)}", f"--eval-file={directory / 'eval.jsonl'}"]
    files += [f"--comparisons-file={records.write(directory / 'comparisons.jsonl', compared or [])}"]
    if calibrated:
        (directory / "calibration.json").write_text(json.dumps(calibration.to_dict(calibrated)))
        files += [f"--calibration-file={directory / 'calibration.json'}"]
    arguments = compare_decision.parser().parse_args(
        [
            *files,
            "--model-name=ops-qa",
            "--judge-name=a judge",
            "--data-source=s3://data/eval.jsonl",
            f"--output-dir={directory / 'out'}",
            "--rules=point",
            *flags,
        ]
    )
    try:
        return compare_decision.decide(registry, registry.tracking, arguments, job.Log("test")), registry
    except job.GateNotPassed as stopped:
        return stopped.outputs, registry


def verdict_of(outputs: Mapping[str, object], registry: testing.FakeRegistry) -> dict[str, Any]:
    return dict(json.loads(registry.tracking.artifact(str(outputs["mlflow-run"]), "verdict.json")))


@pytest.mark.parametrize(
    ("flags", "wrong", "winner", "outcome"),
    [
        (["--reading=pairwise"], 0, "candidate", "pass"),
        (["--reading=pairwise"], 0, "live", "fail"),
        (["--reading=pairwise"], 90, "candidate", "pass"),
        (["--reading=pointwise"], 90, "candidate", "fail"),
        (["--reading=pairwise", "--rules=interval", "--margin=0.05"], 0, "candidate", "pass"),
        (["--reading=pairwise", "--rules=interval", "--margin=0.05"], 0, "live", "fail"),
        (["--reading=pairwise", "--rules=interval", "--margin=0.02"], 0, "tie", "inconclusive"),
    ],
)
def test_the_wished_reading_decides(tmp_path: Path, flags: list[str], wrong: int, winner: str, outcome: str) -> None:
    rows = graded("candidate", wrong) + graded("live")
    outputs, registry = decided(tmp_path, rows, *flags, compared=preferring(winner, 100))
    assert outputs["outcome"] == outcome
    others = verdict_of(outputs, registry)["others"]
    assert isinstance(others, list)
    assert len({(other["reading"], other["rules"]) for other in others}) == 3
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert run.metrics["pairwise_wins"] + run.metrics["pairwise_losses"] == (0 if winner == "tie" else 100)


def test_comparisons_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    unread = [replace(row, winner="") if number % 5 == 0 else row for number, row in enumerate(preferring("candidate", 100))]
    outputs, _ = decided(tmp_path, graded("candidate") + graded("live"), "--reading=pairwise", compared=unread)
    assert outputs["outcome"] == "error"


@pytest.mark.parametrize(("right", "flags", "outcome"), [(60, [], "pass"), (30, [], "inconclusive"), (30, ["--min-kappa=0"], "pass")])
def test_grades_of_a_judge_that_cannot_be_trusted_decide_nothing(tmp_path: Path, right: int, flags: list[str], outcome: str) -> None:
    outputs, registry = decided(tmp_path, graded("candidate") + graded("live"), *flags, calibrated=judge_of(right))
    verdict = verdict_of(outputs, registry)
    assert (outputs["outcome"], verdict["outcome"]) == (outcome, outcome)
    assert registry.aliases["ops-qa"].get("eval-passed") == (2 if outcome == "pass" else None)
    assert ("Were its grades to count: pass." in str(verdict["notes"])) == (outcome == "inconclusive")


def test_rows_that_no_judge_saw_count_in_no_rate(tmp_path: Path) -> None:
    """Looks end early: the first half by order is graded, the rest is marked."""
    seen = set(row_order.order(row.id for row in ROWS)[:150])
    rows = [row if row.id in seen else replace(row, grade="", reason=sequential.NOT_JUDGED) for row in graded("candidate") + graded("live")]
    outputs, registry = decided(tmp_path, rows, "--rules=interval", "--margin=0.06", "--looks=2")
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (outputs["outcome"], run.metrics["candidate_scored"], run.metrics["candidate_unscored"]) == ("pass", 150, 0)
    verdict = verdict_of(outputs, registry)
    assert "Look 1 of 2: 150 of 300 rows judged" in str(verdict["notes"])
    assert {"reading": "pointwise", "rules": "point", "outcome": "pass"}.items() <= verdict["others"][0].items()


def test_the_run_says_what_was_asked_and_who_judged(tmp_path: Path) -> None:
    rows = [replace(row, votes="AAC" if row.id == "r1" else "AAA") for row in graded("candidate") + graded("live")]
    outputs, registry = decided(tmp_path, rows, "--judge-identity=http://judge m1 temperature=0", calibrated=judge_of(60))
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert run.dataset is not None
    assert (run.dataset.name, run.dataset.source, run.dataset.rows) == ("ops-qa v1 eval", "s3://data/eval.jsonl", 300)
    assert run.dataset.digest == datasets.digest(datasets.to_jsonl(ROWS))
    assert run.parameters["judge_identity"] == "http://judge m1 temperature=0"
    assert len(run.parameters["judge_prompt_digest"]) == 64
    assert run.metrics["judges_agreement"] == pytest.approx(1 - (2 / 3) * 2 / 600)
    assert run.metrics["judge_kappa"] == 1.0
    table = json.loads(registry.tracking.artifact(run.id, "grades.json"))
    assert {"id", "question", "answer", "grade", "reason", "latency_seconds"} <= set(table["columns"])
    assert len(table["data"]) == 600


def test_adapters_that_learned_from_other_data_are_told_apart(tmp_path: Path) -> None:
    same, registry = decided(tmp_path, graded("candidate") + graded("live"))
    assert "both were asked" not in str(verdict_of(same, registry)["notes"])
    other, registry = decided(tmp_path, graded("candidate") + graded("live"), live_data="2")
    assert "The candidate learned from ops-qa v1, live from ops-qa v2" in str(verdict_of(other, registry)["notes"])


@pytest.mark.parametrize(
    "flags", [["--looks=2"], ["--looks=99", "--rules=interval"], ["--looks=2", "--rules=interval", "--reading=pairwise"]]
)
def test_looks_that_no_rule_takes_change_nothing(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(errors.InvalidInput, match="looks="):
        decided(tmp_path, graded("candidate"), *flags)
