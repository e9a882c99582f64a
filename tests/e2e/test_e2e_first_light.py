"""A real adapter from data to live on real servers: what the registry says is live is what the server answers with."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import openai
import pytest

from controlplane.clients import openai_judge
from controlplane.core import adapters, datasets, profiles, prompts
from tests.e2e.live_stack import MODEL, FirstVersion, Live

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]


def test_quality_is_honestly_earned(first: FirstVersion) -> None:
    measured = first.outputs(first.evaluation)
    assert float(measured["a-rate"]) >= 0.70
    assert float(measured["c-rate"]) <= 0.10
    assert float(measured["refusal-rate"]) >= 0.90


def test_the_evaluation_is_kept_with_its_rows_and_its_judge(live: Live, first: FirstVersion) -> None:
    evaluation = live.api.evaluation(MODEL, 1)
    assert evaluation.verdict.outcome == "pass"
    assert "reference" in evaluation.judge
    assert len([row for row in evaluation.rows if row.role == "candidate"]) >= 100


def test_the_load_test_is_kept_with_its_samples(live: Live, first: FirstVersion) -> None:
    performance = live.api.performance(MODEL, 1)
    assert performance.verdict.outcome == "pass"
    assert performance.samples
    assert any("throughput" in note.lower() for note in performance.verdict.notes), "a lowered floor must be said"


def test_the_live_slot_answers_from_the_versions_own_directory(live: Live, first: FirstVersion) -> None:
    outputs = first.outputs(first.training)
    with openai.OpenAI(base_url=f"{live.settings.vllm_urls[0]}/v1", api_key="none", timeout=60) as server:
        served = {model.id: model.to_dict() for model in server.models.list()}
        root = str(served[adapters.live_slot(MODEL)]["root"])
        assert root.endswith(adapters.directory_name(MODEL, 1, adapters.Digest(outputs["digest"])))
        row = next(row for row in live.api.preview("ops-qa-v1", "eval", 20).rows if not row.answerable)
        answer = server.chat.completions.create(
            model=adapters.live_slot(MODEL), messages=prompts.messages(row.question, row.context), max_tokens=16, temperature=0
        )
        recorded = next(item for item in live.api.evaluation(MODEL, 1).rows if item.id == row.id and item.role == "candidate")
        assert answer.choices[0].message.content == recorded.answer


def test_an_llm_judge_grades_through_a_real_server(live: Live, first: FirstVersion) -> None:
    judge = openai_judge.OpenAiJudge(f"{live.settings.vllm_urls[0]}/v1", model=profiles.LOCAL_BASE_MODEL)
    row = datasets.Row("r1", "Which port does ssh use?", "The ssh service listens on port 22.", "22", True)
    grade = judge.grade(row, "22")
    assert grade.letter in ("A", "B", "C")
    assert grade.reason


def test_metrics_of_the_server_are_in_prometheus(live: Live, first: FirstVersion) -> None:
    performance = live.api.performance(MODEL, 1)
    series = live.api.metrics_range("sum(vllm:request_success_total)", performance.at, performance.ended_at, 2.0)
    assert series
    assert series[0].points[-1][1] > 0


def test_promote_and_roll_back_move_server_and_registry_together(live: Live, first: FirstVersion, second: object) -> None:
    live.stage_second()
    live.api.promote(MODEL, "staged", "newer")
    assert (live.api.model(MODEL).live, live.api.model(MODEL).aliases["previous"]) == (2, 1)
    assert _served_version(live) == 2
    live.api.rollback(MODEL, "back")
    assert (live.api.model(MODEL).live, live.api.model(MODEL).aliases["previous"]) == (1, 2)
    assert _served_version(live) == 1
    assert [event.action for event in live.api.history(MODEL) if event.action in ("promoted", "rolled-back")][:2] == [
        "rolled-back",
        "promoted",
    ]


@pytest.mark.parametrize("judge", ["reference", "llm"])
def test_two_trained_adapters_are_judged_on_a_real_server(
    live: Live, first: FirstVersion, second: object, tmp_path: Path, judge: str
) -> None:
    """Eight rows and four trusted grades decide nothing, and the verdict says so; the small base model grades for want of a better one."""
    live.stage_second()
    rows = [row for row in live.api.preview("ops-qa-v1", "eval", 8).rows]
    (tmp_path / "eval.jsonl").write_text(datasets.to_jsonl(datasets.Row(**row.model_dump()) for row in rows))
    golden = resources.files("controlplane").joinpath("golden/ops-qa.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "golden.jsonl").write_text("".join(golden[::36]))
    server = f"--vllm-url={live.settings.vllm_urls[0]}"
    for role in ("candidate", "live"):
        _job("run_inference", tmp_path / role, f"--eval-file={tmp_path / 'eval.jsonl'}", f"--model-name={MODEL}", f"--role={role}", server)
    outputs = _job(
        "run_judge",
        tmp_path / "judge",
        *(f"--{role}-file={tmp_path / role / 'answers.jsonl'}" for role in ("candidate", "live")),
        *(f"--golden-file={tmp_path / 'golden.jsonl'}", f"--judge={judge}", f"--judge-url={live.settings.vllm_urls[0]}", "--no-cache"),
        *(f"--model-name={MODEL}", server, "--allow-self-judging"),
    )
    assert (int(outputs["graded"]) + int(outputs["unscored"]), outputs["compared"]) == (16, "8")
    files = {
        name: tmp_path / "judge" / f"{name}.json{'' if name == 'calibration' else 'l'}" for name in ("grades", "comparisons", "calibration")
    }
    decided = _job(
        "compare_decision",
        tmp_path / "decision",
        *(f"--{name}-file={file}" for name, file in files.items()),
        *(f"--eval-file={tmp_path / 'eval.jsonl'}", f"--model-name={MODEL}", "--version=2", f"--judge-name={outputs['judge']}"),
        *("--rules=interval", f"--mlflow-tracking-uri={live.settings.mlflow_url}"),
        expected=1,
    )
    assert decided["outcome"] == "inconclusive"
    assert "held against 4 trusted grades only" in decided["reason"]
    evaluation = live.api.evaluation(MODEL, 2)
    assert (evaluation.judge, len(evaluation.rows)) == (outputs["judge"], 16)
    assert not {"eval-passed", "eval-failed"} & {alias for alias, number in live.api.model(MODEL).aliases.items() if number == 2}


def test_the_model_under_test_is_no_judge_of_itself(live: Live, first: FirstVersion, tmp_path: Path) -> None:
    flags = ("--candidate-file=x", f"--judge-url={live.settings.vllm_urls[0]}/v1", f"--model-name={MODEL}")
    assert "would grade itself" in _job("run_judge", tmp_path, *flags, expected=1)["reason"]


def _job(name: str, directory: Path, *flags: str, expected: int = 0) -> dict[str, str]:
    command = [sys.executable, "-m", f"jobs.evaluation.{name}", f"--output-dir={directory}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == expected, done.stdout[-3000:] + done.stderr[-3000:]
    return dict(json.loads((directory / "outputs.json").read_text()))


def _served_version(live: Live) -> int:
    with openai.OpenAI(base_url=f"{live.settings.vllm_urls[0]}/v1", api_key="none", timeout=60) as server:
        root = next(str(model.to_dict()["root"]) for model in server.models.list() if model.id == adapters.live_slot(MODEL))
    return int(root.rsplit("/", 1)[1].split("-")[0])
