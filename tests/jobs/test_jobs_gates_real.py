"""The jobs of deployment, evaluation, performance and promote as processes on a real vLLM and MLflow, called as the workflows do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import chat_server
import pytest

from controlplane.clients import adapter_files, grade_cache, mlflow_registry, openai_judge, vllm_inference
from controlplane.core import datasets, workflow_spec, workflows
from jobs import records
from jobs.evaluation import answers

MODEL = "gates-real"
ROWS = [
    datasets.Row(f"r{i}", f"Which port does svc{i} use?", f"The svc{i} service listens on port {7000 + i}.", str(7000 + i), True)
    for i in range(6)
]
ROWS += [
    datasets.Row(f"u{i}", f"Who wrote svc{i}?", f"The svc{i} service listens on port {7000 + i}.", "Not in the context.", False)
    for i in range(2)
]
# The adapter's weights are random, so Gate 1 gets floors that anything passes; whether the floors bite is shown without a server.
VALUES = {
    **{
        "model-name": MODEL,
        "slot-name": "",
        "candidate-adapter": "",
        "live-adapter": "",
        "judge": "reference",
        "max-tokens": "8",
        "compare-base": "true",
    },
    **{
        "min-a-rate": "0",
        "max-c-rate": "1",
        "min-refusal-rate": "0",
        "concurrency": "2",
        "max-concurrent": "4",
        "max-samples": "4",
        "blocks": "2",
    },
    **{
        "min-throughput": "0.01",
        "max-p95-latency": "100",
        "max-p95-ttft": "100",
        "min-success-rate": "0.5",
        "prometheus-url": "",
        "rules": "point",
    },
}


@dataclass
class Place:
    """Runs steps by hand, as an executor would."""

    home: Path
    values: Mapping[str, str]
    environment: Mapping[str, str]
    outputs: dict[str, dict[str, str]]

    def step(self, flow: str, name: str, expected: int = 0, **values: str) -> dict[str, str]:
        workflow = workflows.get(flow)
        given = {**self.values, **{key.replace("_", "-"): value for key, value in values.items()}}
        known = {parameter.name for parameter in workflow.parameters}
        parameters = workflow_spec.resolve(workflow, {key: value for key, value in given.items() if key in known})
        step = workflow.step(name)
        dirs = {one.name: str(self.home / one.name) for one in workflow.steps}
        command = [
            sys.executable,
            "-m",
            step.module,
            *workflow_spec.arguments(step, parameters, self.outputs, dirs),
            f"--output-dir={dirs[name]}",
        ]
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
        for line in done.stdout.splitlines():
            assert {"time", "level", "step", "message", "fields"} <= set(json.loads(line))
        self.outputs[name] = json.loads((Path(dirs[name]) / "outputs.json").read_text())
        return self.outputs[name]


@pytest.fixture(scope="module")
def place(vllm_server: str, mlflow_server: str, make_adapter, tmp_path_factory: pytest.TempPathFactory) -> Place:  # type: ignore[no-untyped-def]
    home = tmp_path_factory.mktemp("gates")
    registry, tracking = mlflow_registry.MlflowRegistry(mlflow_server), mlflow_registry.MlflowTracking(mlflow_server)
    for seed in (11, 12):
        adapter = make_adapter(home / f"{seed}" / "adapter", seed=seed)
        run_id = tracking.log("training", f"seed {seed}", parameters={}, metrics={}, tags={}, files=[adapter])
        digest = adapter_files.digest_of(adapter)
        registry.register(MODEL, run_id, {"digest": digest, "dataset": "ops-qa", "data-version": "1"})
    (home / "download-eval-data").mkdir()
    (home / "download-eval-data" / "eval.jsonl").write_text(datasets.to_jsonl(ROWS))
    values = {**VALUES, "vllm-url": vllm_server, "mlflow-tracking-uri": mlflow_server, "adapters-dir": str(home / "adapters")}
    return Place(home, values, {**os.environ, "GATEWRIGHT_HOME": str(home)}, {})


def staged(place: Place, number: int) -> dict[str, str]:
    outputs = place.step("deployment", "load-adapter", adapter_source=f"version:{number}")
    place.step("deployment", "smoke-test", max_latency="100", num_requests="2")
    place.step("deployment", "set-staged-alias")
    place.outputs["download-eval-data"] = {"version": str(number), "data-version": "1"}
    return outputs


def evaluated(place: Place) -> dict[str, str]:
    for name in ("inference-candidate", "inference-live", "inference-base", "judge-answers"):
        place.step("evaluation", name)
    return place.step("evaluation", "compare-decision")


@pytest.mark.real
@pytest.mark.timeout(900)
def test_from_registered_to_live_and_back(place: Place) -> None:
    registry = mlflow_registry.MlflowRegistry(place.values["mlflow-tracking-uri"])
    with contextlib.closing(vllm_inference.VllmReplica(place.values["vllm-url"])) as replica:
        _check_the_whole_way(place, registry, replica)


def _check_the_whole_way(place: Place, registry: mlflow_registry.MlflowRegistry, replica: vllm_inference.VllmReplica) -> None:
    first = staged(place, 1)
    assert first["slot-name"] == f"{MODEL}-candidate"
    decision = evaluated(place)
    assert (decision["outcome"], decision["version"]) == ("pass", "1")
    assert "base-a-rate" in decision
    assert place.outputs["inference-live"]["status"] == "skipped"
    judged = place.outputs["judge-answers"]
    assert (judged["judge"], judged["graded"], judged["unscored"], judged["compared"]) == (
        "reference judge (deterministic)",
        "16",
        "0",
        "0",
    )
    run = mlflow_registry.MlflowTracking(place.values["mlflow-tracking-uri"]).run(decision["mlflow-run"])
    assert run.dataset is not None
    assert (run.dataset.rows, run.dataset.columns["answerable"]) == (8, "boolean")
    assert 0.6 < run.metrics["judge_kappa"] < 1
    load = place.step("performance", "run-load-test")
    assert (load["requests"], load["stopped-by"], load["server-metrics"].startswith("vllm ")) == ("4", "count", True)
    results = json.loads((place.home / "run-load-test" / "results.json").read_text())
    assert results["slots"]["candidate"]["root"] == first["directory"]
    assert results["environment"]["vllm_version"] == replica.version()
    assert (results["witness"]["agreement"], results["witness"]["finished"]) == ("agrees", results["sent"])
    assert place.step("performance", "perf-decision")["outcome"] == "pass"
    promoted = place.step("promote", "promote-adapter", source_alias="perf-passed")
    assert registry.model(MODEL).aliases == {"live": 1}
    assert {one.name: one.root for one in replica.served()}[f"{MODEL}-live"] == promoted["directory"]

    staged(place, 2)
    place.step("evaluation", "inference-live")
    assert place.outputs["inference-live"]["root"] == promoted["directory"]
    second = place.step("promote", "promote-adapter", source_alias="staged")
    assert registry.model(MODEL).aliases == {"live": 2, "previous": 1}
    assert {one.name: one.root for one in replica.served()}[f"{MODEL}-live"] == second["directory"] != promoted["directory"]
    back = place.step("promote", "promote-adapter", source_alias="previous")
    assert registry.model(MODEL).aliases == {"live": 1, "previous": 2}
    assert {one.name: one.root for one in replica.served()}[f"{MODEL}-live"] == back["directory"] == promoted["directory"]


@pytest.mark.real
@pytest.mark.timeout(400)
def test_a_real_model_judges_with_structured_output_and_is_asked_once(vllm_server: str, tmp_path: Path) -> None:
    with contextlib.closing(openai_judge.OpenAiJudge(vllm_server)) as judge:
        assert judge.name == f"llm judge ({judge.model()})"
        cached = grade_cache.CachedJudge(judge, judge.identity, tmp_path / "grades.db")
        grades = [cached.grade(row, "7000") for row in ROWS[:2]]
        judge.close()
        readable = [(row, grade) for row, grade in zip(ROWS, grades, strict=False) if grade.letter]
        assert [cached.grade(row, "7000") for row, _ in readable] == [grade for _, grade in readable]
        cached.close()
    assert {grade.letter for grade in grades} <= {"A", "B", "C", ""}
    assert any(grade.letter for grade in grades), grades


DOWN = "http://127.0.0.1:9"


def _own_home(directory: Path) -> dict[str, str]:
    return {**os.environ, "GATEWRIGHT_HOME": str(directory / "home")}


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("jobs.evaluation.run_inference", [f"--vllm-url={DOWN}", "--eval-file=eval.jsonl"]),
        ("jobs.evaluation.run_judge", [f"--judge-url={DOWN}", "--candidate-file=answers.jsonl"]),
        ("jobs.performance.run_load_test", [f"--vllm-url={DOWN}", "--eval-file=eval.jsonl"]),
        ("jobs.deployment.smoke_test", [f"--vllm-url={DOWN}"]),
        ("jobs.deployment.load_adapter", [f"--mlflow-tracking-uri={DOWN}"]),
        ("jobs.deployment.promote_adapter", [f"--mlflow-tracking-uri={DOWN}"]),
    ],
)
def test_a_system_that_is_down_is_named_with_its_address_and_worth_a_retry(tmp_path: Path, module: str, flags: list[str]) -> None:
    (tmp_path / "eval.jsonl").write_text(datasets.to_jsonl(ROWS))
    records.write(tmp_path / "answers.jsonl", [answers.Answered("1", "candidate", "q", "c", "r", True, "22", 1.0, 0.1, 1, "stop")])
    done = subprocess.run(
        [sys.executable, "-m", module, *flags],
        cwd=tmp_path,
        env=_own_home(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert DOWN in json.loads((tmp_path / "output" / "outputs.json").read_text())["reason"]


def test_a_stopped_job_ends_at_once_though_its_judge_hangs(tmp_path: Path) -> None:
    rows = [answers.Answered(str(i), "candidate", "q", "c", "r", True, "22", 1.0, 0.1, 1, "stop") for i in range(4)]
    records.write(tmp_path / "answers.jsonl", rows)
    with chat_server.running() as server:
        listed = chat_server.as_json({"object": "list", "data": [{"id": "m", "object": "model"}]})
        server.reply = lambda path, body: listed if path.endswith("/models") else chat_server.Reply(hangs=True)
        command = [sys.executable, "-m", "jobs.evaluation.run_judge", f"--judge-url={server.address}", "--candidate-file=answers.jsonl"]
        job = subprocess.Popen(command, cwd=tmp_path, env=_own_home(tmp_path), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(server.asked) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        job.send_signal(signal.SIGTERM)
        assert job.wait(10) == 128 + signal.SIGTERM
