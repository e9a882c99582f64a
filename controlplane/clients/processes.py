"""Processes of this machine: start them detached, see whether they live, stop them. The only module that touches signals and subprocesses.

A process is named by its pid and the time it was made, so a pid that the system has given to somebody else is never signalled.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from controlplane.core import errors

# The kernel derives the time a process was made from the wall clock, which may be set by a second or so while the process runs.
CLOCK_TOLERANCE_SECONDS = 2.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessHandle:
    """A process and, because it leads its own session, its group. `created_at` is in seconds since 1970."""

    pid: int
    created_at: float

    def to_text(self) -> str:
        return f"{self.pid} {self.created_at!r}"

    @staticmethod
    def from_text(text: str) -> ProcessHandle:
        """Raises InvalidInput when the text is not one that `to_text` wrote."""
        try:
            pid, created_at = text.split()
            return ProcessHandle(int(pid), float(created_at))
        except ValueError as error:
            raise errors.InvalidInput(f"{text!r} names no process.", hint="Delete the file it came from and start again.") from error


# Children of this very process stay zombies until somebody asks how they ended; `is_alive` does, through these.
_children: dict[ProcessHandle, subprocess.Popen[bytes]] = {}


def start(command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> ProcessHandle:
    """Starts `command` in a session of its own, so that it outlives us; both its output streams are appended to `log`.

    Raises:
        NotFound: there is no such program.
        NoSpace: the log cannot be written.
        OutsideError: the system refused to make a process.
    """
    with _open_log(log) as output:
        try:
            child = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env), cwd=cwd, start_new_session=True
            )
        except FileNotFoundError as error:
            raise errors.NotFound(f"{error.filename} does not exist.", hint="Install the program, or check its path.") from error
        except OSError as error:
            raise errors.OutsideError("The operating system", command[0], error.strerror or str(error)) from error
    process = ProcessHandle(child.pid, psutil.Process(child.pid).create_time())
    _children[process] = child
    return process


def find(pid: int) -> ProcessHandle | None:
    """The process that has this pid now."""
    try:
        return ProcessHandle(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def command_line(process: ProcessHandle) -> list[str]:
    """What it was started with; empty when it has ended or is not ours to read."""
    try:
        return psutil.Process(process.pid).cmdline() if is_alive(process) else []
    except psutil.Error:
        return []


def is_alive(process: ProcessHandle) -> bool:
    """Whether it runs. A zombie has ended; a process that took over the pid is another one.

    Of a child of ours its exit code decides: its first thread may be a zombie while others still end, and then it has none.
    """
    if process in _children:
        return exit_code(process) is None
    try:
        found = psutil.Process(process.pid)
        return _is_same(found, process) and bool(found.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def exit_code(process: ProcessHandle) -> int | None:
    """How it ended (minus the signal's number when one killed it); None while it runs, or when another process of ours started it."""
    child = _children.get(process)
    return None if child is None else child.poll()


def is_group_alive(process: ProcessHandle) -> bool:
    """Whether it, or any process it left behind in its group, runs."""
    return is_alive(process) or bool(_orphans(process))


def ask_to_stop(process: ProcessHandle) -> None:
    """SIGTERM to it and its group; nothing when they have ended."""
    _signal_group(process, signal.SIGTERM)


def kill(process: ProcessHandle) -> None:
    """SIGKILL to it and its group; nothing when they have ended."""
    _signal_group(process, signal.SIGKILL)


def stop(process: ProcessHandle, grace_seconds: float) -> bool:
    """SIGTERM, then SIGKILL to what still runs after `grace_seconds`. True when it ended by itself; safe to repeat."""
    ask_to_stop(process)
    if wait_until(lambda: not is_group_alive(process), grace_seconds):
        return True
    kill(process)
    wait_until(lambda: not is_group_alive(process), 5.0)
    return False


def is_port_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise errors.OutsideError("The network", f"127.0.0.1:{port}", error.strerror or str(error)) from error
    return True


def wait_until(predicate: Callable[[], bool], timeout_seconds: float) -> bool:
    """Asks again and again until the answer is yes (True) or the time is over (False). It asks at least once."""
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _open_log(log: Path) -> BinaryIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise errors.NoSpace(f"{log}: {error.strerror}.", hint="Check the free disk space and your rights there.") from error


def _is_same(found: psutil.Process, process: ProcessHandle) -> bool:
    return bool(abs(found.create_time() - process.created_at) <= CLOCK_TOLERANCE_SECONDS)


def _signal_group(process: ProcessHandle, number: signal.Signals) -> None:
    if not is_group_alive(process):
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise errors.Refused(f"Process {process.pid} belongs to another user.", hint="Stop it as the user who started it.") from error


def _orphans(process: ProcessHandle) -> list[int]:
    """Living members of the group after its leader has ended.

    While one of them lives, the kernel gives the pid to nobody else. So where the pid is somebody else's, the group is, too.
    """
    if not _is_group_known(process.pid) or _is_taken_over(process):
        return []
    return [member.pid for member in psutil.process_iter() if _is_living_member(member, process)]


def _is_group_known(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_taken_over(process: ProcessHandle) -> bool:
    try:
        return not _is_same(psutil.Process(process.pid), process)
    except psutil.NoSuchProcess:
        return False


def _is_living_member(member: psutil.Process, process: ProcessHandle) -> bool:
    try:
        is_younger = member.create_time() >= process.created_at - CLOCK_TOLERANCE_SECONDS
        return os.getpgid(member.pid) == process.pid and is_younger and bool(member.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ProcessLookupError):
        return False


def run(command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> int:
    """Runs `command` to its end, its output appended to `log`; its exit status. An interrupt stops it first.

    No time-out: what runs here (preparing a model, building data) has an end of its own and a person watching it.
    """
    process = start(command, log=log, env=env, cwd=cwd)
    child = _children[process]
    try:
        return child.wait()
    finally:
        stop(process, grace_seconds=5)


def gpu_ids() -> tuple[int, ...]:
    """NVIDIA GPUs of this machine, by the devices the kernel shows."""
    found = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted(int(number) for number in found if number.isdecimal()))
