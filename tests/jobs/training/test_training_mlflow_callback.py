"""A training run in MLflow: closed as what happened, unreachable servers named in time, nothing lost by an outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import faulty_proxy
import pytest

from controlplane.clients import mlflow_registry
from controlplane.core import errors
from jobs.training import mlflow_callback, trainer

STEP = trainer.Step(number=1, total=2, epoch=0.5, loss=0.7, learning_rate=1e-3, tokens_per_second=100.0, seconds_left=1.0)


def open_run(
    server: str, warn: Callable[[str], None] = lambda message: None, pause: Callable[[float], None] = lambda seconds: None
) -> mlflow_callback.RunLog:
    return mlflow_callback.RunLog(server, "callback-tests", "run", {"lora_rank": 4}, {"data.version": "1"}, warn, pause)


@pytest.fixture
def proxy(mlflow_server: str) -> Iterator[faulty_proxy.FaultyProxy]:
    with faulty_proxy.running(mlflow_server) as proxy:
        yield proxy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the monotonic clock shows."""
    shown = [0.0]
    monkeypatch.setattr(mlflow_callback.time, "monotonic", lambda: shown[0])
    return shown


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


@pytest.mark.real
@pytest.mark.parametrize("fault", ["cut", "503"])
def test_an_outage_ends_no_training_and_loses_no_metric(
    mlflow_server: str, proxy: faulty_proxy.FaultyProxy, clock: list[float], fault: str
) -> None:
    warnings: list[str] = []
    with open_run(proxy.address, warnings.append) as run:
        proxy.faults = [fault] * 3
        for number in range(1, 41):
            clock[0] += 2.0
            run.step(replace(STEP, number=number, loss=1 / number))
        assert proxy.faults == []
        run.final(trainer.Result(eval_loss=0.5, steps=40, seconds=80.0))
    assert len(warnings) == 1
    assert "Training goes on, its metrics wait." in warnings[0]
    tracking = mlflow_registry.MlflowTracking(mlflow_server)
    assert tracking.history(run.run_id, "train_loss") == [(number, 1 / number) for number in range(1, 41)]
    assert tracking.run(run.run_id).status == "FINISHED"


@pytest.mark.real
def test_what_was_trained_waits_for_mlflow(mlflow_server: str, proxy: faulty_proxy.FaultyProxy, tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    warnings: list[str] = []
    pauses: list[float] = []
    with open_run(proxy.address, warnings.append, pauses.append) as run:
        proxy.faults = ["cut", "503", "cut"]
        run.final(trainer.Result(eval_loss=0.5, steps=1, seconds=1.0))
        proxy.faults = ["503"]
        run.adapter(tmp_path)
        proxy.faults = ["cut"]
    assert (len(pauses), len(warnings)) == (5, 3)
    assert all("What was trained waits for MLflow, 10 min at most." in warning for warning in warnings)
    seen = mlflow_registry.MlflowTracking(mlflow_server).run(run.run_id)
    assert (seen.status, seen.metrics["final_eval_loss"]) == ("FINISHED", 0.5)


@pytest.mark.real
def test_it_does_not_wait_for_ever(proxy: faulty_proxy.FaultyProxy, clock: list[float]) -> None:
    def pause(seconds: float) -> None:
        clock[0] += seconds

    run = open_run(proxy.address, pause=pause)
    proxy.faults = ["cut"] * 1000
    with pytest.raises(errors.Unreachable, match=proxy.address), run:
        run.final(trainer.Result(eval_loss=0.5, steps=1, seconds=1.0))
    assert clock[0] == 600.0


@pytest.mark.real
def test_an_error_is_not_hidden_by_an_outage_behind_it(proxy: faulty_proxy.FaultyProxy) -> None:
    warnings: list[str] = []
    run = open_run(proxy.address, warnings.append)
    proxy.faults = ["cut"]
    with pytest.raises(errors.Refused, match="the loss became NaN"), run:
        raise errors.Refused("the loss became NaN")
    assert "The run stays open in MLflow." in warnings[0]
