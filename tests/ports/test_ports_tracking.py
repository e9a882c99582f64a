"""What every tracking server does, fake or MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane import ports
from controlplane.core import errors


def _log(mlflow, experiment: str, *, run: str = "train", tags: dict[str, str] | None = None, files: tuple[Path, ...] = ()) -> str:
    return mlflow.tracking.log(experiment, run, parameters={"rank": "8"}, metrics={"eval_loss": 0.25}, tags=tags or {}, files=files)


def test_a_logged_run_reads_back(mlflow, name: str) -> None:
    run = mlflow.tracking.run(_log(mlflow, name, tags={"model": "it's"}))
    assert (run.name, run.experiment, run.status) == ("train", name, "FINISHED")
    assert (run.metrics, run.parameters, run.tags["model"]) == ({"eval_loss": 0.25}, {"rank": "8"}, "it's")


def test_the_dataset_and_the_table_of_a_run_read_back(mlflow, name: str, tmp_path: Path) -> None:
    columns = {"question": "string", "answerable": "boolean"}
    dataset = ports.LoggedDataset("ops-qa v1 eval", "s3://data/ops-qa/v1/eval.jsonl", "a" * 64, 2, columns)
    rows = [{"id": "r1", "grade": "A", "latency_seconds": 0.5}, {"id": "r2", "grade": "", "latency_seconds": None}]
    (tmp_path / "grades.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_id = mlflow.tracking.log(name, "judged", parameters={}, metrics={}, tags={}, dataset=dataset, table=tmp_path / "grades.jsonl")
    assert mlflow.tracking.run(run_id).dataset == dataset
    table = json.loads(mlflow.tracking.artifact(run_id, "grades.json"))
    assert table == {"columns": ["id", "grade", "latency_seconds"], "data": [["r1", "A", 0.5], ["r2", "", None]]}
    assert mlflow.tracking.run(_log(mlflow, name)).dataset is None


def test_an_unknown_run_is_not_found(mlflow) -> None:
    for run_id in ("0" * 32, "nonsense"):
        with pytest.raises(errors.NotFound):
            mlflow.tracking.run(run_id)


def test_search_filters_by_tags_newest_first(mlflow, name: str) -> None:
    first = _log(mlflow, name, tags={"kind": "it's", "model": "m"})
    second = _log(mlflow, name, tags={"kind": "it's", "model": "m"})
    _log(mlflow, name, tags={"kind": "other", "model": "m"})
    assert [run.id for run in mlflow.tracking.search(name, {"kind": "it's", "model": "m"})] == [second, first]
    assert [run.id for run in mlflow.tracking.search(name, {"kind": "it's"}, limit=1)] == [second]
    assert len(mlflow.tracking.search(name, {})) == 3


def test_search_in_no_experiment_finds_nothing(mlflow) -> None:
    assert mlflow.tracking.search("never made", {}) == []


def test_history_of_a_metric(mlflow, name: str) -> None:
    run_id = _log(mlflow, name)
    assert mlflow.tracking.history(run_id, "eval_loss") == [(0, 0.25)]
    assert mlflow.tracking.history(run_id, "no such") == []


def test_artifacts_keep_folders_and_sizes(mlflow, name: str, adapter_dir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")
    run_id = _log(mlflow, name, files=(adapter_dir, report))
    assert mlflow.tracking.artifacts(run_id) == [("adapter", 0), ("report.json", 2)]
    assert [path for path, _ in mlflow.tracking.artifacts(run_id, "adapter")] == [
        "adapter/README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    ]
    assert mlflow.tracking.artifact(run_id, "report.json") == b"{}"
    assert mlflow.tracking.artifact(run_id, "adapter/README.md") == b"content of README.md"


def test_a_missing_artifact_is_not_found(mlflow, name: str, adapter_dir: Path) -> None:
    run_id = _log(mlflow, name, files=(adapter_dir,))
    for path in ("no-such.json", "adapter/no-such", "no/such", "adapter"):
        with pytest.raises(errors.NotFound):
            mlflow.tracking.artifact(run_id, path)
    assert mlflow.tracking.artifacts(run_id, "no-such") == []
