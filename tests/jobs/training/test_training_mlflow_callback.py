"""A training run in MLflow: closed as what happened, unreachable servers named in time."""

from __future__ import annotations

import time

import pytest

from controlplane.clients import mlflow_registry
from controlplane.core import errors
from jobs.training import mlflow_callback, trainer

STEP = trainer.Step(number=1, total=2, epoch=0.5, loss=0.7, learning_rate=1e-3, tokens_per_second=100.0, seconds_left=1.0)


def open_run(server: str) -> mlflow_callback.RunLog:
    return mlflow_callback.RunLog(server, "callback-tests", "run", {"lora_rank": 4}, {"data.version": "1"})


def test_a_dead_server_is_named_within_ten_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(errors.Unreachable, match=r"127\.0\.0\.1:9"):
        open_run("http://127.0.0.1:9")
    assert time.monotonic() - started < 10


def test_no_address_is_wrong_usage() -> None:
    with pytest.raises(errors.InvalidInput, match="--mlflow-tracking-uri"):
        open_run("")


@pytest.mark.real
def test_a_finished_run_has_everything_that_was_reported(mlflow_server: str, tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with open_run(mlflow_server) as run:
        run.step(STEP)
        run.epoch(2, 0.5)
        run.final(trainer.Result(eval_loss=0.5, steps=2, seconds=1.0))
        run.adapter(tmp_path)
    tracking = mlflow_registry.MlflowTracking(mlflow_server)
    seen = tracking.run(run.run_id)
    assert seen.status == "FINISHED"
    assert seen.metrics["train_loss"] == 0.7
    assert seen.metrics["final_eval_loss"] == 0.5
    assert seen.metrics["final_perplexity"] == pytest.approx(1.6487, abs=1e-4)
    assert (seen.parameters["lora_rank"], seen.tags["data.version"]) == ("4", "1")
    assert [path for path, _ in tracking.artifacts(run.run_id, "adapter")] == ["adapter/adapter_config.json"]


@pytest.mark.real
@pytest.mark.parametrize(("error", "status"), [(errors.Refused("no"), "FAILED"), (SystemExit(143), "KILLED")])
def test_a_broken_run_is_closed_as_what_happened(mlflow_server: str, error: BaseException, status: str) -> None:
    run = open_run(mlflow_server)
    with pytest.raises(type(error)), run:
        raise error
    assert mlflow_registry.MlflowTracking(mlflow_server).run(run.run_id).status == status
