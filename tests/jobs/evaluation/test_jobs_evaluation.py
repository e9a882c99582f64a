"""Gate 1's jobs on fakes of the ports: what they write, record, hand on and refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controlplane import testing
from controlplane.core import datasets, errors, judging, reference_judge
from jobs import job, records
from jobs.evaluation import answers, compare_decision, grading, judges, run_inference, run_judge

LOG = job.Log("test")
ROWS = [datasets.Row(f"r{i}", f"Which port has service {i}?", f"Service {i} has port {1000 + i}.", str(1000 + i), True) for i in range(8)]
ROWS += [
    datasets.Row(f"u{i}", f"Who wrote service {i}?", f"Service {i} has port {1000 + i}.", "Not in the context.", False) for i in range(4)
]


def eval_file(directory: Path) -> Path:
    path = directory / "eval.jsonl"
    path.write_text(datasets.to_jsonl(ROWS))
    return path


def right(root: str, messages: Sequence[dict[str, str]]) -> str:
    """What a perfect adapter says."""
    context, question = messages[-1]["content"].split("\nQuestion: ")
    return context.rstrip(".").split()[-1] if question.startswith("Which") else "Not in the context."


def replica(**slots: str) -> testing.FakeInference:
    return testing.FakeInference(slots={name.replace("_", "-"): Path(root) for name, root in slots.items()}, reply=right)


def infer(tmp_path: Path, server: testing.FakeInference, *flags: str, role: str = "candidate") -> dict[str, object]:
    arguments = run_inference.parser().parse_args(
        [f"--eval-file={eval_file(tmp_path)}", "--model-name=ops-qa", f"--role={role}", f"--output-dir={tmp_path / role}", *flags]
    )
    return dict(run_inference.infer(server, ROWS, arguments, LOG))


# -- inference ----------------------------------------------------------------------------------------------------------------


def test_every_row_is_answered_in_order_by_the_role_s_slot(tmp_path: Path) -> None:
    outputs = infer(tmp_path, replica(ops_qa_candidate="/a/1"))
    rows = records.read(tmp_path / "candidate" / "answers.jsonl", answers.Answered)
    assert [row.id for row in rows] == [row.id for row in ROWS]
    assert (rows[0].answer, rows[-1].answer, rows[0].row) == ("1000", "Not in the context.", ROWS[0])
    assert (outputs["status"], outputs["slot"], outputs["root"], outputs["answered"]) == ("done", "ops-qa-candidate", "/a/1", 12)


@pytest.mark.parametrize("flags", [["--adapter-name=base"], [], ["--allow-missing", "--compare-base"]])
def test_base_model_is_found_by_itself_or_by_name(tmp_path: Path, flags: list[str]) -> None:
    assert infer(tmp_path, replica(ops_qa_live="/a/1"), *flags, role="base")["slot"] == "base"


def test_base_model_is_asked_on_wish_only_in_the_workflow(tmp_path: Path) -> None:
    assert infer(tmp_path, replica(), "--allow-missing", role="base")["status"] == "skipped"
    assert (tmp_path / "base" / "answers.jsonl").read_text() == ""


def test_a_live_slot_that_is_not_there_may_be_skipped(tmp_path: Path) -> None:
    assert infer(tmp_path, replica(), "--allow-missing", role="live")["status"] == "skipped"
    assert (tmp_path / "live" / "answers.jsonl").read_text() == ""


def test_a_candidate_slot_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match=r"'ops-qa-candidate'.*It serves: base"):
        infer(tmp_path, replica())


@dataclass
class Flaky:
    """Answers like the fake below it, but fails every nth question."""

    inner: testing.FakeInference
    nth: int
    asked: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    @asynccontextmanager
    async def kept_open(self):
        yield self

    async def stream(self, *args: object, **options: object):
        self.asked += 1
        if self.asked % self.nth == 0:
            raise errors.Unreachable("vLLM", "http://vllm.test", "it is busy")
        async for delta in self.inner.stream(*args, **options):
            yield delta


def test_a_failed_request_is_a_row_with_an_error(tmp_path: Path) -> None:
    outputs = infer(tmp_path, Flaky(replica(ops_qa_candidate="/a/1"), 12))
    rows = records.read(tmp_path / "candidate" / "answers.jsonl", answers.Answered)
    assert [bool(row.error) for row in rows].count(True) == outputs["failed"] == 1


def test_too_many_failed_requests_are_the_server_s_fault(tmp_path: Path) -> None:
    with pytest.raises(errors.Unreachable, match="6 of 12 requests failed"):
        infer(tmp_path, Flaky(replica(ops_qa_candidate="/a/1"), 2))


# -- judging ------------------------------------------------------------------------------------------------------------------


def judged(tmp_path: Path, *flags: str, judge: object = None) -> dict[str, object]:
    arguments = run_judge.parser().parse_args(
        [f"--candidate-file={tmp_path / 'candidate' / 'answers.jsonl'}", "--judge=reference", f"--output-dir={tmp_path / 'judge'}", *flags]
    )
    return dict(run_judge.grade(judges.Chosen(judge or reference_judge.ReferenceJudge(), "its identity"), arguments, LOG))


def test_grades_carry_everything_a_reader_needs(tmp_path: Path) -> None:
    infer(tmp_path, replica(ops_qa_candidate="/a/1"))
    outputs = judged(tmp_path)
    assert (outputs["judge"], outputs["judge-identity"]) == ("reference judge (deterministic)", "its identity")
    assert (outputs["graded"], outputs["unscored"], outputs["compared"]) == (12, 0, 0)
    assert 0.6 < outputs["kappa"] < 1
    lines = (tmp_path / "judge" / "grades.jsonl").read_text().splitlines()
    first = next(row for row in map(json.loads, lines) if row["answerable"])
    wanted = {"id", "role", "question", "context", "reference", "answerable", "answer", "grade", "reason", "is_refusal", "latency_seconds"}
    assert wanted <= set(first)
    assert (first["grade"], first["role"], first["is_refusal"]) == ("A", "candidate", False)


def test_an_answer_that_never_came_is_unscored_without_asking_the_judge() -> None:
    row = answers.Answered("1", "candidate", "q", "c", "r", True, "", None, None, 0, "", "it is busy")
    judge = testing.FakeJudge(fault=errors.Refused("must not be asked"))
    (graded,) = grading.grade_all(judge, [row], 4)
    assert (graded.grade, graded.is_refusal, graded.error) == ("", False, "it is busy")


def test_a_judge_that_is_down_ends_the_grading(tmp_path: Path) -> None:
    infer(tmp_path, replica(ops_qa_candidate="/a/1"))
    with pytest.raises(errors.Unreachable):
        judged(tmp_path, judge=testing.FakeJudge(fault=errors.Unreachable("The judge", "http://judge.test", "it is down")))


def test_no_answers_of_the_candidate_is_wrong_input(tmp_path: Path) -> None:
    infer(tmp_path, replica(), "--allow-missing")
    with pytest.raises(errors.InvalidInput, match="no answers of the candidate"):
        judged(tmp_path)


# -- decision -----------------------------------------------------------------------------------------------------------------


def graded_file(tmp_path: Path, **wrong: int) -> Path:
    """Grades of the named roles over all rows, the first `n` of them wrong."""
    rows = [
        judging.GradedRow(
            row.id, role, row.question, row.context, row.answer, row.answerable, "x", "C" if i < bad else "A", "", not row.answerable
        )
        for role, bad in wrong.items()
        for i, row in enumerate(ROWS)
    ]
    return records.write(tmp_path / "grades.jsonl", rows)


def decided(registry: testing.FakeRegistry, tmp_path: Path, grades: Path, *flags: str) -> dict[str, object]:
    arguments = compare_decision.parser().parse_args(
        [
            *(f"--grades-file={grades}", f"--eval-file={eval_file(tmp_path)}", "--model-name=ops-qa", "--judge-name=a judge"),
            *(f"--output-dir={tmp_path / 'decision'}", *flags),
        ]
    )
    return dict(compare_decision.decide(registry, registry.tracking, arguments, LOG))


def registry_with(*versions: Sequence[str]) -> testing.FakeRegistry:
    registry = testing.FakeRegistry()
    for aliases in versions:
        registry.add("ops-qa", aliases=aliases, tags={"dataset": "ops-qa", "data-version": "1"})
    return registry


def test_a_pass_is_recorded_with_its_evidence(tmp_path: Path) -> None:
    registry = registry_with(["staged", "eval-failed"])
    outputs = decided(registry, tmp_path, graded_file(tmp_path, candidate=1), "--rules=point")
    assert (outputs["outcome"], outputs["version"], outputs["refusal-rate"]) == ("pass", 1, 1.0)
    assert outputs["a-rate"] == pytest.approx(11 / 12)
    assert registry.aliases["ops-qa"] == {"staged": 1, "eval-passed": 1}
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert run.experiment == "vllm-lora-evaluation"
    assert run.metrics["candidate_a_rate"] == pytest.approx(11 / 12)
    wanted = {
        "gate": "evaluation",
        "model": "ops-qa",
        "version": "1",
        "outcome": "pass",
        "judge": "a judge",
        "data.version": "1",
        "rules": "point",
    }
    assert wanted.items() <= run.tags.items()
    assert len(run.tags["dataset.digest"]) == 64
    assert json.loads(registry.tracking.artifact(run.id, "verdict.json"))["outcome"] == "pass"
    assert len(registry.tracking.artifact(run.id, "grades.jsonl").splitlines()) == len(ROWS)
    tags = registry.resolve("ops-qa", "version:1").tags
    assert (tags["evaluation-run"], tags["evaluation-outcome"]) == (run.id, "pass")
    assert float(tags["a_rate"]) == pytest.approx(11 / 12)


def test_a_fail_moves_the_alias_and_stops_the_workflow(tmp_path: Path) -> None:
    registry = registry_with(["staged", "eval-passed"])
    with pytest.raises(job.GateNotPassed, match="C-rate") as stop:
        decided(registry, tmp_path, graded_file(tmp_path, candidate=5))
    assert registry.aliases["ops-qa"] == {"staged": 1, "eval-failed": 1}
    assert stop.value.outputs["outcome"] == "fail"
    assert stop.value.outputs["mlflow-run"] in registry.tracking.runs


def test_candidate_is_compared_with_live(tmp_path: Path) -> None:
    registry = registry_with(["live"], ["staged"])
    outputs = decided(registry, tmp_path, graded_file(tmp_path, candidate=4, live=4), "--rules=point")
    assert (outputs["outcome"], outputs["live-a-rate"]) == ("pass", pytest.approx(8 / 12))
    with pytest.raises(job.GateNotPassed, match=r"A-rate is .* \(live\)"):
        decided(registry, tmp_path, graded_file(tmp_path, candidate=1, live=0), "--rules=point")


def test_a_live_version_without_answers_is_inconclusive_not_a_first_deploy(tmp_path: Path) -> None:
    registry = registry_with(["live"], ["staged"])
    with pytest.raises(job.GateNotPassed, match="Version 1 is live, but its slot gave no answers") as stop:
        decided(registry, tmp_path, graded_file(tmp_path, candidate=0))
    assert stop.value.outputs["outcome"] == "inconclusive"
    assert registry.aliases["ops-qa"] == {"live": 1, "staged": 2}


def test_intervals_decide_when_asked_and_the_other_rules_are_shown_beside(tmp_path: Path) -> None:
    registry = registry_with(["live"], ["staged"])
    with pytest.raises(job.GateNotPassed, match=r"A-rate, candidate - live lies between .* more rows") as stop:
        decided(registry, tmp_path, graded_file(tmp_path, candidate=0, live=0), "--rules=interval", "--margin=0.05")
    assert stop.value.outputs["outcome"] == "inconclusive"
    assert registry.aliases["ops-qa"] == {"live": 1, "staged": 2}
    run = registry.tracking.run(str(stop.value.outputs["mlflow-run"]))
    assert (run.tags["rules"], run.parameters["margin"]) == ("interval", "0.05")
    assert run.metrics["interval_a_rate_candidate_live_low"] == pytest.approx(-0.2425, abs=1e-4)
    verdict = json.loads(registry.tracking.artifact(run.id, "verdict.json"))
    assert verdict["checks"][0]["interval"]["level"] == 0.95
    others = {(other["reading"], other["rules"]): (other["outcome"], other["reason"]) for other in verdict["others"]}
    assert others["pointwise", "point"] == ("pass", "All 4 checks passed.")


def test_rows_that_were_never_graded_are_an_error(tmp_path: Path) -> None:
    registry = registry_with(["staged"])
    whole = records.read(graded_file(tmp_path, candidate=0), judging.GradedRow)
    with pytest.raises(job.GateNotPassed, match="11 rows, not on each of the 12"):
        decided(registry, tmp_path, records.write(tmp_path / "part.jsonl", whole[1:]))
    assert registry.aliases["ops-qa"] == {"staged": 1}


def test_no_grades_and_unscored_grades_never_pass(tmp_path: Path) -> None:
    registry = registry_with(["staged"])
    with pytest.raises(job.GateNotPassed, match="inconclusive"):
        decided(registry, tmp_path, records.write(tmp_path / "none.jsonl", []))
    whole = records.read(graded_file(tmp_path, candidate=0), judging.GradedRow)
    unscored = [replace(row, grade="") for row in whole[:2]] + whole[2:]
    with pytest.raises(job.GateNotPassed, match="error: 2 of 12 answers of the candidate could not be graded"):
        decided(registry, tmp_path, records.write(tmp_path / "unscored.jsonl", unscored))
    assert registry.aliases["ops-qa"] == {"staged": 1}


def test_thresholds_out_of_range_change_nothing(tmp_path: Path) -> None:
    registry = registry_with(["staged"])
    with pytest.raises(errors.InvalidInput, match="min-a-rate"):
        decided(registry, tmp_path, graded_file(tmp_path, candidate=0), "--min-a-rate=1.5")
    assert (registry.applied, len(registry.tracking.runs)) == ([], 1)


def test_a_missing_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        decided(registry_with(["staged"]), tmp_path, graded_file(tmp_path, candidate=0), "--version=7")


@pytest.mark.parametrize(
    ("text", "says"), [("{", "line 1 is not JSON"), ("[]", "not a JSON object"), ('{"id": "1"}', "lacks the field 'role'")]
)
def test_a_file_of_another_step_is_refused_by_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(errors.InvalidInput, match=says):
        records.read(tmp_path / "bad.jsonl", judging.GradedRow)
