"""What every executor must do, asked of the fake and of local processes alike."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from controlplane import ports, testing
from controlplane.clients import local_jobs, processes
from controlplane.core import errors, runs

DEADLINE_SECONDS = 30
KEY = "run-1/train/1"


class Driver(Protocol):
    """An executor with one GPU, and the power to say what its jobs do."""

    executor: ports.Executor

    def say(self, handle: str, message: str, level: str) -> None: ...

    def finish(self, handle: str, exit_code: int, outputs: Mapping[str, str]) -> None: ...


class FakeDriver:
    def __init__(self, _directory: Path) -> None:
        self.executor = testing.FakeExecutor()

    def say(self, handle: str, message: str, level: str) -> None:
        self.executor.say(handle, message, level)

    def finish(self, handle: str, exit_code: int, outputs: Mapping[str, str]) -> None:
        self.executor.finish(handle, exit_code, outputs, outputs.get("reason", ""))


class LocalDriver:
    """Real processes of `job_for_ports`, which obey a file of orders."""

    def __init__(self, directory: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent)}
        self.executor = local_jobs.LocalJobs(directory, environment, gpu_ids=(0,))
        self.orders: dict[str, dict[str, object]] = {}

    def say(self, handle: str, message: str, level: str) -> None:
        line = {"time": "2026-01-01T00:00:00+00:00", "level": level, "step": "train", "message": message, "fields": {}}
        orders = self.orders.setdefault(handle, {})
        self._order(handle, {**orders, "lines": [*orders.get("lines", []), json.dumps(line)]})

    def finish(self, handle: str, exit_code: int, outputs: Mapping[str, str]) -> None:
        self._order(handle, {**self.orders.get(handle, {}), "exit_code": exit_code, "outputs": outputs})

    def _order(self, handle: str, orders: dict[str, object]) -> None:
        self.orders[handle] = orders
        file = Path(self.executor.artifact_dir(handle)) / "orders.json"
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(orders))
        temporary.replace(file)


@pytest.fixture(params=[FakeDriver, pytest.param(LocalDriver, marks=pytest.mark.real)])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    made = request.param(tmp_path)
    yield made
    for key in ("run-1/train/1", "run-1/train/2"):
        made.executor.cancel(key)
        _ended(made, key)


def test_a_job_runs_until_it_ends_and_hands_on_its_outputs(driver: Driver) -> None:
    handle = driver.executor.start(_spec())
    assert driver.executor.status(handle).is_running
    driver.finish(handle, 0, {"run-id": "abc"})
    assert _ended(driver, handle) == runs.JobStatus(False, 0, {"run-id": "abc"}, "")


def test_starting_the_same_key_twice_starts_one_job(driver: Driver) -> None:
    handle = driver.executor.start(_spec())
    assert driver.executor.start(_spec()) == handle
    driver.finish(handle, 0, {})
    _ended(driver, handle)
    assert driver.executor.start(_spec()) == handle
    assert driver.executor.status(handle) == runs.JobStatus(False, 0, {}, "")


@pytest.mark.parametrize("exit_code", [1, 2, 3])
def test_a_failed_job_says_its_exit_code_and_reason(driver: Driver, exit_code: int) -> None:
    handle = driver.executor.start(_spec())
    driver.finish(handle, exit_code, {"outcome": "fail", "reason": "eval_loss is 2"})
    assert _ended(driver, handle) == runs.JobStatus(False, exit_code, {"outcome": "fail", "reason": "eval_loss is 2"}, "eval_loss is 2")


def test_a_cancelled_job_ends_with_a_reason_and_cancelling_it_again_does_no_harm(driver: Driver) -> None:
    handle = driver.executor.start(_spec())
    driver.executor.cancel(handle)
    driver.executor.cancel(handle)
    status = _ended(driver, handle)
    assert status.exit_code == 143
    assert status.reason
    driver.executor.cancel(handle)
    assert driver.executor.status(handle) == status


def test_an_unknown_handle_is_a_job_that_vanished(driver: Driver) -> None:
    status = driver.executor.status("run-9/train/1")
    assert (status.is_running, status.exit_code) == (False, None)
    assert driver.executor.logs("run-9/train/1") == []
    driver.executor.cancel("run-9/train/1")


def test_logs_are_numbered_from_one_and_continue_after_a_number(driver: Driver) -> None:
    handle = driver.executor.start(_spec())
    for number in range(1, 4):
        driver.say(handle, f"line {number}", "PROGRESS" if number == 2 else "INFO")
    assert processes.wait_until(lambda: len(driver.executor.logs(handle)) == 3, DEADLINE_SECONDS)
    assert [(line.number, line.level, line.message) for line in driver.executor.logs(handle)] == [
        (1, "INFO", "line 1"),
        (2, "PROGRESS", "line 2"),
        (3, "INFO", "line 3"),
    ]
    assert [line.number for line in driver.executor.logs(handle, after=2)] == [3]
    assert driver.executor.logs(handle, after=3) == []


def test_a_gpu_is_handed_to_one_job_at_a_time(driver: Driver) -> None:
    first = driver.executor.start(_spec(gpus=1))
    assert driver.executor.start(_spec(gpus=1)) == first
    with pytest.raises(errors.Conflict, match="No GPU is free"):
        driver.executor.start(_spec("run-1/train/2", gpus=1))
    assert driver.executor.start(_spec("run-1/train/2")) == "run-1/train/2"
    driver.finish(first, 0, {})
    _ended(driver, first)
    assert driver.executor.start(_spec("run-1/other/1", gpus=1)) == "run-1/other/1"
    driver.finish("run-1/other/1", 0, {})
    _ended(driver, "run-1/other/1")


def test_each_job_has_a_directory_of_its_own(driver: Driver) -> None:
    first, second = (driver.executor.artifact_dir(key) for key in ("run-1/train/1", "run-1/train/2"))
    assert first != second
    assert "run-1/train/1" in first


def _spec(key: str = KEY, gpus: int = 0) -> ports.JobSpec:
    return ports.JobSpec(key, "job_for_ports", (), gpus, 60)


def _ended(driver: Driver, handle: str) -> runs.JobStatus:
    assert processes.wait_until(lambda: not driver.executor.status(handle).is_running, DEADLINE_SECONDS)
    return driver.executor.status(handle)
