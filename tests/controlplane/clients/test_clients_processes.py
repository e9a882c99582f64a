"""Real processes: started detached, told apart from others, stopped whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from controlplane.clients import processes
from controlplane.core import errors

pytestmark = pytest.mark.real

DEADLINE_SECONDS = 20
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
)
# A leader that is killed and leaves a child behind in its group.
LEAVES_A_CHILD = ("/bin/sh", "-c", "sleep 60 & echo ready; wait")


def test_output_and_environment_are_what_was_given(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    code = "import os, sys; print(sorted(os.environ), flush=True); print('to stderr', file=sys.stderr); sys.exit(3)"
    process = processes.start((sys.executable, "-c", code), log=log, env={"ONLY": "this", "LC_ALL": "C.UTF-8"}, cwd=tmp_path)
    assert processes.wait_until(lambda: not processes.is_alive(process), DEADLINE_SECONDS)
    assert processes.exit_code(process) == 3
    assert log.read_text() == "['LC_ALL', 'ONLY']\nto stderr\n"


def test_it_leads_a_session_of_its_own_and_stops_when_asked(tmp_path: Path) -> None:
    process = processes.start(SLEEP, log=tmp_path / "log", env={})
    assert os.getsid(process.pid) == process.pid
    assert processes.is_alive(process)
    assert processes.stop(process, 10)
    assert not processes.is_alive(process)
    assert processes.exit_code(process) == -signal.SIGTERM
    assert processes.stop(process, 10)


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = processes.start(DEAF, log=tmp_path / "log", env={})
    assert processes.wait_until(lambda: "deaf" in (tmp_path / "log").read_text(), DEADLINE_SECONDS)
    assert not processes.stop(process, 0.1)
    assert processes.exit_code(process) == -signal.SIGKILL


def test_a_process_that_took_over_the_pid_is_left_alone(tmp_path: Path) -> None:
    process = processes.start(SLEEP, log=tmp_path / "log", env={})
    somebody_else = replace(process, created_at=process.created_at - 100)
    assert not processes.is_group_alive(somebody_else)
    processes.kill(somebody_else)
    assert processes.stop(somebody_else, 0)
    assert processes.stop(process, 10)
    # Had a signal reached it before, SIGKILL would have ended it.
    assert processes.exit_code(process) == -signal.SIGTERM


def test_what_a_killed_leader_left_behind_is_stopped_too(tmp_path: Path) -> None:
    process = processes.start(LEAVES_A_CHILD, log=tmp_path / "log", env={})
    assert processes.wait_until(lambda: "ready" in (tmp_path / "log").read_text(), DEADLINE_SECONDS)
    [child] = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.is_alive(process), DEADLINE_SECONDS)
    assert processes.is_group_alive(process)
    processes.stop(process, 10)
    assert not processes.is_group_alive(process)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_zombie_that_somebody_else_must_reap_has_ended() -> None:
    child = subprocess.Popen(SLEEP, start_new_session=True)
    found = processes.find(child.pid)
    assert found is not None
    child.kill()
    assert processes.wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, DEADLINE_SECONDS)
    assert not processes.is_group_alive(found)
    child.wait()
    assert processes.find(child.pid) is None


def test_a_handle_survives_as_text() -> None:
    process = processes.ProcessHandle(123, 1795234689.15)
    assert processes.ProcessHandle.from_text(process.to_text()) == process
    for text in ("", "1", "x 2", "1 2 3"):
        with pytest.raises(errors.InvalidInput, match="names no process"):
            processes.ProcessHandle.from_text(text)


def test_a_missing_program_and_an_unwritable_log_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no-such-program"):
        processes.start(("/no-such-program",), log=tmp_path / "log", env={})
    (tmp_path / "file").touch()
    with pytest.raises(errors.NoSpace, match="file"):
        processes.start(SLEEP, log=tmp_path / "file" / "log", env={})


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not processes.is_port_free(port)
    assert processes.is_port_free(port)


def test_waiting_asks_at_least_once_and_gives_up() -> None:
    assert processes.wait_until(lambda: True, 0)
    assert not processes.wait_until(lambda: False, 0)
