"""Local jobs beyond what every executor must do: they outlive the control plane, end when told, and leave a true word behind."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from controlplane import ports
from controlplane.clients import local_jobs, processes
from controlplane.core import errors, runs

pytestmark = pytest.mark.real

DEADLINE_SECONDS = 30
KEY = "run-1/train/1"
JOBS = Path(__file__).parents[2] / "ports"


@dataclass
class Clock:
    seconds: float = 1000.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plane(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., local_jobs.LocalJobs]]:
    """Makes one control plane's executor after another on the same directory; what still runs at the end is killed."""

    def make(**options: object) -> local_jobs.LocalJobs:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(JOBS),
            "GATEWRIGHT_API_TOKEN": "t",
            "SECRET": "s",
            "HF_HUB_OFFLINE": "1",
        }
        return local_jobs.LocalJobs(tmp_path / "jobs", environment, now_seconds=clock.now, **options)

    yield make
    for started in (tmp_path / "jobs").rglob("started"):
        process = processes.find(int(started.read_text()))
        if process is not None and str(started.parent) in processes.command_line(process):
            processes.stop(process, 0)


def test_a_restarted_control_plane_finds_its_job_again(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    plane().start(_spec())
    again = plane()
    assert again.status(KEY).is_running
    again.start(_spec())
    _finish(again, KEY, 0, {"run-id": "abc"})
    assert _ended(again) == runs.JobStatus(False, 0, {"run-id": "abc"}, "")


def test_a_control_plane_killed_right_after_the_start_finds_its_job_again(
    plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path
) -> None:
    plane().start(_spec())
    (tmp_path / "jobs" / KEY / "process").unlink()
    again = plane()
    assert again.status(KEY).is_running
    pid = _pid(tmp_path)
    again.start(_spec())
    assert _pid(tmp_path) == pid
    again.cancel(KEY)
    assert _ended(again).exit_code == 143


def test_a_control_plane_killed_right_before_the_start_starts_it_later(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / KEY
    (folder / "output").mkdir(parents=True)
    (folder / "job.json").write_text('{"half": "written')
    executor = plane()
    executor.start(_spec())
    assert executor.status(KEY).is_running


def test_a_hundred_starts_at_once_start_one_job(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    executors = [plane() for _ in range(10)]
    threads = [threading.Thread(target=executor.start, args=(_spec(),)) for executor in executors for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([process for process in psutil.process_iter() if _is_shell_of(process, tmp_path / "jobs" / KEY)]) == 1
    assert executors[0].status(KEY).is_running


def test_two_shells_with_one_key_run_one_job(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    """The case in which the first control plane died between making the shell and seeing its mark."""
    executor = plane()
    executor.start(_spec())
    folder = tmp_path / "jobs" / KEY
    command = ("/bin/sh", "-c", local_jobs._LAUNCHER, "job", str(folder), "touch", str(tmp_path / "ran"))
    second = processes.start(command, log=tmp_path / "log", env={})
    assert processes.wait_until(lambda: not processes.is_alive(second), DEADLINE_SECONDS)
    assert processes.exit_code(second) == 125
    assert not (tmp_path / "ran").exists()
    assert executor.status(KEY).is_running


def test_a_job_stopped_before_its_command_began_ends_as_stopped(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / KEY
    folder.mkdir(parents=True)
    stopping_ln = tmp_path / "bin" / "ln"
    stopping_ln.parent.mkdir()
    stopping_ln.write_text('#!/bin/sh\n/bin/ln "$@"; kill -TERM 0\n')
    stopping_ln.chmod(0o755)
    command = ("/bin/sh", "-c", local_jobs._LAUNCHER, "job", str(folder), "touch", str(tmp_path / "ran"))
    shell = processes.start(command, log=tmp_path / "log", env={"PATH": f"{stopping_ln.parent}:{os.environ['PATH']}"})
    assert processes.wait_until(lambda: not processes.is_alive(shell), DEADLINE_SECONDS)
    assert plane().status(KEY).exit_code == 143
    assert not (tmp_path / "ran").exists()


def test_a_deaf_job_is_killed_ten_seconds_after_the_request(plane: Callable[..., local_jobs.LocalJobs], clock: Clock) -> None:
    executor = plane()
    executor.start(_spec("--deaf"))
    _wait_ready(executor)
    executor.cancel(KEY)
    clock.seconds += 9.9
    executor.cancel(KEY)
    assert executor.status(KEY).is_running
    clock.seconds += 0.1
    plane().cancel(KEY)
    assert _ended(executor) == runs.JobStatus(False, None, {}, "Cancelled on request.")


def test_a_job_past_its_limit_is_stopped(plane: Callable[..., local_jobs.LocalJobs], clock: Clock) -> None:
    executor = plane()
    executor.start(_spec())
    clock.seconds += 59
    assert executor.status(KEY).is_running
    clock.seconds += 1
    status = _ended(executor)
    assert status.exit_code in (143, None)
    assert status.reason == "It ran past its limit of 60 s and was stopped."


def test_a_job_killed_whole_has_vanished(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    executor = plane()
    executor.start(_spec())
    os.killpg(_pid(tmp_path), signal.SIGKILL)
    status = _ended(executor)
    assert status.exit_code is None
    assert "killed" in status.reason


def test_a_job_killed_for_memory_says_so(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    executor = plane()
    executor.start(_spec())
    _wait_ready(executor)
    [program] = psutil.Process(_pid(tmp_path)).children()
    program.kill()
    status = _ended(executor)
    assert status.exit_code == 137
    assert "SIGKILL" in status.reason
    assert "memory" in status.reason


def test_a_program_that_lost_its_shell_still_counts_and_can_be_cancelled(
    plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path
) -> None:
    executor = plane()
    executor.start(_spec())
    _wait_ready(executor)
    os.kill(_pid(tmp_path), signal.SIGKILL)
    assert executor.status(KEY).is_running
    executor.cancel(KEY)
    assert _ended(executor).exit_code is None


def test_a_pid_taken_over_by_somebody_else_is_left_alone(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    """As after a reboot: the files name a pid that now belongs to another program (here: to this test)."""
    folder = tmp_path / "jobs" / KEY
    folder.mkdir(parents=True)
    (folder / "started").write_text(f"{os.getpid()}\n")
    executor = plane()
    executor.cancel(KEY)
    assert executor.status(KEY).exit_code is None
    (folder / "process").write_text(processes.ProcessHandle(os.getpid(), 1.0).to_text())
    executor.cancel(KEY)
    assert not executor.status(KEY).is_running


def test_a_failure_without_outputs_gives_the_last_line_of_the_trace(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    executor = plane()
    executor.start(ports.JobSpec(KEY, "no_such_module", ()))
    status = _ended(executor)
    assert status.exit_code == 1
    assert "No module named no_such_module" in status.reason
    assert "Traceback" not in status.reason


def test_unreadable_outputs_are_no_success(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    executor = plane()
    executor.start(_spec())
    _finish(executor, KEY, 0, ["not an object"])
    status = _ended(executor)
    assert status.exit_code is None
    assert "outputs.json" in status.reason


def test_a_job_sees_only_what_it_needs(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    executor = plane(gpu_ids=(4, 5))
    executor.start(_spec(gpus=2))
    _wait_ready(executor)
    seen = json.loads((Path(executor.artifact_dir(KEY)) / "environment.json").read_text())
    assert seen["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert not {"SECRET", "GATEWRIGHT_API_TOKEN"} & seen.keys()


def test_a_job_that_wants_a_gpu_runs_without_where_there_is_none(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    executor = plane()
    executor.start(_spec(gpus=1))
    _wait_ready(executor)
    assert json.loads((Path(executor.artifact_dir(KEY)) / "environment.json").read_text())["CUDA_VISIBLE_DEVICES"] == ""


def test_more_gpus_than_the_machine_has_can_never_work(plane: Callable[..., local_jobs.LocalJobs]) -> None:
    with pytest.raises(errors.InvalidInput, match="asks for 3 GPUs; this machine has 2"):
        plane(gpu_ids=(0, 1)).start(_spec(gpus=3))


def test_gpus_of_a_vanished_job_are_free_again(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path) -> None:
    executor = plane(gpu_ids=(0,))
    executor.start(_spec(gpus=1))
    os.killpg(_pid(tmp_path), signal.SIGKILL)
    _ended(executor)
    plane(gpu_ids=(0,)).start(ports.JobSpec("run-1/train/2", "job_for_ports", (), gpus=1))


@pytest.mark.parametrize("key", ["", "/etc", "../x", "run/../../x", "run//1", "run/1/", "run/.hidden/1", "a b", "run\n/1"])
def test_a_key_stays_inside_the_root(plane: Callable[..., local_jobs.LocalJobs], tmp_path: Path, key: str) -> None:
    executor = plane()
    for ask in (lambda: executor.start(_spec(key=key)), lambda: executor.status(key), lambda: executor.artifact_dir(key)):
        with pytest.raises(errors.InvalidInput, match="names no job"):
            ask()
    assert not (tmp_path / "jobs").exists()


def test_an_unwritable_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.NoSpace, match="file"):
        local_jobs.LocalJobs(tmp_path / "file", {}).start(_spec())


def _spec(*arguments: str, key: str = KEY, gpus: int = 0) -> ports.JobSpec:
    return ports.JobSpec(key, "job_for_ports", arguments, gpus, 60)


def _pid(tmp_path: Path) -> int:
    return int((tmp_path / "jobs" / KEY / "started").read_text())


def _is_shell_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder) in process.cmdline()
    except psutil.Error:
        return False


def _wait_ready(executor: local_jobs.LocalJobs) -> None:
    assert processes.wait_until((Path(executor.artifact_dir(KEY)) / "ready").exists, DEADLINE_SECONDS)


def _finish(executor: local_jobs.LocalJobs, handle: str, exit_code: int, outputs: object) -> None:
    file = Path(executor.artifact_dir(handle)) / "orders.json"
    file.with_suffix(".new").write_text(json.dumps({"exit_code": exit_code, "outputs": outputs}))
    file.with_suffix(".new").replace(file)


def _ended(executor: local_jobs.LocalJobs) -> runs.JobStatus:
    assert processes.wait_until(lambda: not executor.status(KEY).is_running, DEADLINE_SECONDS)
    return executor.status(KEY)
