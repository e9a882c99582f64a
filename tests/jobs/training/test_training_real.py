"""Training and its gate as the programs they are, on the real base model and a real MLflow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from controlplane.clients import adapter_files, mlflow_registry
from controlplane.core import datasets
from jobs.data import ops_qa

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments naming a handful of rows: enough to run, far too few to learn."""
    directory = tmp_path_factory.mktemp("rows")
    built = ops_qa.build(1)
    for flag, split in (("train", "train"), ("val", "validation")):
        (directory / f"{flag}.jsonl").write_text(datasets.to_jsonl(built[split][:8]))
    return [f"--train-file={directory / 'train.jsonl'}", f"--val-file={directory / 'val.jsonl'}"]


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", f"jobs.training.{module}", *arguments], stdout=subprocess.PIPE, text=True)


def run(module: str, output: Path, *arguments: str) -> tuple[int, dict[str, str], list[dict[str, object]]]:
    """Exit status, outputs and log lines."""
    process = start(module, f"--output-dir={output}", *arguments)
    lines = [json.loads(line) for line in process.communicate(timeout=300)[0].splitlines()]
    return process.returncode, json.loads((output / "outputs.json").read_text()), lines


@pytest.mark.parametrize(("quantization", "profile", "tensors"), [("nf4", "minimal", 2), ("none", "standard", 4)])
def test_a_trained_adapter_becomes_candidate(
    files: list[str], mlflow_server: str, base_model_dir: Path, tmp_path: Path, quantization: str, profile: str, tensors: int
) -> None:
    model = f"trained-{quantization}"
    where = f"--mlflow-tracking-uri={mlflow_server}"
    code, trained, lines = run(
        "train_lora", tmp_path / "train", *files, where, f"--base-model={base_model_dir}", f"--lora-config={profile}",
        f"--quantization={quantization}", "--data-version=2", "--num-epochs=1", "--log-adapter-to-mlflow", f"--model-name={model}",
    )  # fmt: skip
    assert code == 0, lines
    assert any(line["level"] == "PROGRESS" for line in lines)
    weights = load_file(tmp_path / "train" / "adapter" / "adapter_model.safetensors")
    assert len(weights) == 30 * 2 * tensors
    settings = json.loads((tmp_path / "train" / "adapter" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == base_model_dir.name

    code, gate, _ = run(
        "quality_gate", tmp_path / "gate", where, f"--run-id={trained['run-id']}", f"--model-name={model}", "--max-eval-loss=20",
        "--max-perplexity=1e9",
    )  # fmt: skip
    assert (code, gate["outcome"], gate["version"]) == (0, "pass", "1")
    version = mlflow_registry.MlflowRegistry(mlflow_server).resolve(model, "alias:candidate")
    assert version.digest == gate["digest"] == adapter_files.digest_of(tmp_path / "train" / "adapter")
    assert (version.tags["data-version"], version.tags["lora-config"]) == ("2", profile)

    again = run("quality_gate", tmp_path / "again", where, f"--run-id={trained['run-id']}", f"--model-name={model}", "--max-eval-loss=20",
                "--max-perplexity=1e9")  # fmt: skip
    assert again[1]["version"] == "1"


def test_a_run_without_metrics_is_not_registered(mlflow_server: str, tmp_path: Path) -> None:
    run_id = mlflow_registry.MlflowTracking(mlflow_server).log("empty", "run", parameters={}, metrics={}, tags={})
    code, outputs, _ = run("quality_gate", tmp_path, f"--mlflow-tracking-uri={mlflow_server}", f"--run-id={run_id}", "--model-name=empty")
    assert (code, outputs["outcome"]) == (1, "inconclusive")
    assert "eval loss" in outputs["reason"]
    assert "empty" not in {model.name for model in mlflow_registry.MlflowRegistry(mlflow_server).models()}


def test_bad_metrics_stop_at_the_gate(mlflow_server: str, tmp_path: Path) -> None:
    metrics = {"final_eval_loss": 1.5, "final_perplexity": 4.5}
    run_id = mlflow_registry.MlflowTracking(mlflow_server).log("bad", "run", parameters={}, metrics=metrics, tags={})
    code, outputs, _ = run("quality_gate", tmp_path, f"--mlflow-tracking-uri={mlflow_server}", f"--run-id={run_id}", "--model-name=bad")
    assert (code, outputs["outcome"]) == (1, "fail")
    assert "must be <= 1" in outputs["reason"]


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ("--lora-config=extended", 2, "minimal, standard, aggressive, high_capacity"),
        ("--learning-rate=0", 2, "--learning-rate=0.0 is out of range"),
        ("--base-model=/nowhere", 1, "prepare_base_model"),
        ("--mlflow-tracking-uri=http://127.0.0.1:9", 3, "127.0.0.1:9"),
        ("--train-file=/nowhere.jsonl", 1, "no file /nowhere.jsonl"),
    ],
)
def test_bad_arguments_say_what_to_do(files: list[str], mlflow_server: str, tmp_path: Path, changed: str, code: int, said: str) -> None:
    given = [*files, f"--mlflow-tracking-uri={mlflow_server}", changed]
    exit_code, outputs, _ = run("train_lora", tmp_path, *given)
    assert exit_code == code
    assert said in outputs["reason"]


def test_sigterm_stops_training_within_ten_seconds(files: list[str], mlflow_server: str, base_model_dir: Path, tmp_path: Path) -> None:
    arguments = [
        *files,
        f"--mlflow-tracking-uri={mlflow_server}",
        f"--base-model={base_model_dir}",
        "--num-epochs=500",
        "--quantization=none",
    ]
    process = start("train_lora", f"--output-dir={tmp_path}", "--mlflow-experiment=stopped", *arguments)
    assert process.stdout is not None
    assert any(json.loads(line)["level"] == "PROGRESS" for line in process.stdout)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert process.returncode == 128 + signal.SIGTERM
    assert [run.status for run in mlflow_registry.MlflowTracking(mlflow_server).search("stopped", {})] == ["KILLED"]
