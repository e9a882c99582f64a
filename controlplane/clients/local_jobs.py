"""Jobs as processes of this machine. All that is known about a job lies in its directory, so they outlive us and are found again.

A job's directory is `<root>/<key>`: `job.json` (what was asked for), `started` (the pid, written by the job's own shell before it does
anything else, at most once), `process` (pid and time of making), `log.jsonl`, `output/`, `exit_code` and `stop.json` (who asked it to
stop, and when). It decides nothing about runs.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from controlplane import ports
from controlplane.clients import job_log, processes
from controlplane.core import errors, runs

GRACE_SECONDS = 10.0
START_SECONDS = 10.0
LOCK_SECONDS = 10.0
REMEMBERED_LOGS = 200

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,4}")

# What a job needs to know of our environment; all else, secrets of ours included, stays here.
PASSED_NAMES = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PASSED_PREFIXES = ("LC_", "GATEWRIGHT_", "MLFLOW_", "AWS_", "HF_", "PYTHON", "CUDA", "NVIDIA_", "OMP_", "MKL_", "TOKENIZERS_", "XDG_CACHE_")
PASSED_SUFFIXES = ("_proxy", "_PROXY")
WITHHELD = ("GATEWRIGHT_API_TOKEN",)

# $1 is the job's directory, the rest its command. `ln` makes `started` whole or not at all, and only once: of two shells with the same key
# the second ends here. From then on the job may be asked to stop, which reaches `ln` and `mv` as well: so `started` itself tells who won,
# a command that was stopped before it began does not begin, and the shell lives to write the exit status.
_LAUNCHER = """
job=$1; shift
stopped=; trap 'stopped=1' TERM INT HUP
printf '%s\\n' "$$" > "$job/started.$$" || exit 125
ln "$job/started.$$" "$job/started" 2>/dev/null
rm -f "$job/started.$$"
read -r owner < "$job/started" && [ "$owner" = "$$" ] || exit 125
if [ -z "$stopped" ]; then "$@"; code=$?; else code=143; fi
trap '' TERM INT HUP
printf '%s\\n' "$code" > "$job/exit_code.new" && mv "$job/exit_code.new" "$job/exit_code"
"""


@dataclass(frozen=True)
class _Stop:
    """A request to stop: `at_seconds` since 1970, and why, in words for the run's reason."""

    at_seconds: float
    why: str


@dataclass(frozen=True)
class _Job:
    """What job.json holds."""

    key: str
    module: str
    arguments: tuple[str, ...]
    gpu_ids: tuple[int, ...]
    timeout_seconds: int
    started_at_seconds: float


class LocalJobs:
    """Implements `ports.Executor`. Several processes may use one `root` at once."""

    def __init__(
        self, root: Path, environment: Mapping[str, str], gpu_ids: tuple[int, ...] = (), now_seconds: Callable[[], float] = time.time
    ) -> None:
        self._root = root.absolute()
        self._environment = job_environment(environment)
        self._gpu_ids = gpu_ids
        self._now_seconds = now_seconds
        self._logs: dict[str, job_log.JobLog] = {}

    def start(self, job: ports.JobSpec) -> str:
        """Starts the job once, however often it is asked, and returns its key as the handle.

        Raises:
            InvalidInput: the key is not a relative path, or the job asks for more GPUs than there are.
            Conflict: no GPU is free.
            NoSpace: its directory cannot be written.
        """
        folder = self._folder(job.key)
        with _disk(folder):
            (folder / "output").mkdir(parents=True, exist_ok=True)
            with self._exclusively():
                if not (folder / "started").exists():
                    self._launch(job, folder, self._free_gpus(job))
        return job.key

    def status(self, handle: str) -> runs.JobStatus:
        """How the job is. A job that runs past its limit is asked to stop; one that does not stop in time is killed, by this call."""
        folder = self._folder(handle)
        with _disk(folder):
            code = _exit_code(folder)
            if code is None:
                process = _process(folder)
                if process is not None and processes.is_group_alive(process):
                    self._press(folder, process)
                    return runs.JobStatus(is_running=True)
                code = _exit_code(folder)  # it may have ended between the two looks
            return self._ended(handle, folder, code)

    def cancel(self, handle: str) -> None:
        """SIGTERM now; the first `status` or `cancel` at least 10 s later sends SIGKILL. It does not wait."""
        folder = self._folder(handle)
        with _disk(folder):
            process = _process(folder)
            if _exit_code(folder) is None and process is not None and processes.is_group_alive(process):
                self._ask_to_stop(folder, process, "Cancelled on request.")

    def logs(self, handle: str, after: int = 0) -> list[ports.LogLine]:
        folder = self._folder(handle)
        with _disk(folder):
            has_ended = not self._is_running(handle)
            return self._log(handle, folder).read(after, has_ended=has_ended)

    def artifact_dir(self, handle: str) -> str:
        return str(self._folder(handle) / "output")

    def _folder(self, key: str) -> Path:
        if not KEY.fullmatch(key) or ".." in key:
            raise errors.InvalidInput(f"{key!r} names no job.", hint="A job is named run/step/attempt.")
        return self._root / key

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """One process at a time starts jobs here: it looks which GPUs are free and takes them. The lock dies with its holder."""
        with (self._root / ".lock").open("w") as file:
            if not processes.wait_until(lambda: _try_lock(file.fileno()), LOCK_SECONDS):
                raise errors.Conflict(
                    f"Another process has been starting jobs in {self._root} for {LOCK_SECONDS:.0f} s.", hint="Try again."
                )
            yield

    def _free_gpus(self, job: ports.JobSpec) -> tuple[int, ...]:
        if not job.gpus or not self._gpu_ids:
            return ()
        if job.gpus > len(self._gpu_ids):
            raise errors.InvalidInput(f"{job.key} asks for {job.gpus} GPUs; this machine has {len(self._gpu_ids)}.", hint="Ask for fewer.")
        free = [gpu_id for gpu_id in self._gpu_ids if not self._is_taken(gpu_id)]
        if len(free) < job.gpus:
            raise errors.Conflict(f"No GPU is free for {job.key}.", hint="It starts when another job ends.")
        return tuple(free[: job.gpus])

    def _is_taken(self, gpu_id: int) -> bool:
        claim = self._root / ".gpus" / str(gpu_id)
        return claim.exists() and self._is_running(claim.read_text())

    def _is_running(self, key: str) -> bool:
        folder = self._folder(key)
        if _exit_code(folder) is not None:
            return False
        process = _process(folder)
        return process is not None and processes.is_group_alive(process)

    def _launch(self, job: ports.JobSpec, folder: Path, gpu_ids: tuple[int, ...]) -> None:
        (self._root / ".gpus").mkdir(exist_ok=True)
        for gpu_id in gpu_ids:
            _write(self._root / ".gpus" / str(gpu_id), job.key)
        record = _Job(job.key, job.module, job.arguments, gpu_ids, job.timeout_seconds, self._now_seconds())
        _write(folder / "job.json", json.dumps(asdict(record)))
        program = (sys.executable, "-m", job.module, *job.arguments, f"--output-dir={folder / 'output'}")
        environment = {**self._environment, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpu_ids))}
        shell = processes.start(
            ("/bin/sh", "-c", _LAUNCHER, "job", str(folder), *program), log=folder / "log.jsonl", env=environment, cwd=folder
        )
        processes.wait_until(lambda: (folder / "started").exists() or not processes.is_alive(shell), START_SECONDS)
        if not (folder / "started").exists():
            processes.kill(shell)
            raise errors.NoSpace(f"{job.key} could not start in {folder}.", hint="Check the free disk space and your rights there.")
        _process(folder)

    def _press(self, folder: Path, process: processes.ProcessHandle) -> None:
        stop, job = _read_stop(folder), _read_job(folder)
        if stop is not None:
            if self._now_seconds() - stop.at_seconds >= GRACE_SECONDS:
                processes.kill(process)
        elif job is not None and self._now_seconds() - job.started_at_seconds >= job.timeout_seconds:
            self._ask_to_stop(folder, process, f"It ran past its limit of {job.timeout_seconds} s and was stopped.")

    def _ask_to_stop(self, folder: Path, process: processes.ProcessHandle, why: str) -> None:
        stop = _read_stop(folder)
        if stop is None:
            processes.ask_to_stop(process)
            _write(folder / "stop.json", json.dumps(asdict(_Stop(self._now_seconds(), why))))
        elif self._now_seconds() - stop.at_seconds >= GRACE_SECONDS:
            processes.kill(process)

    def _ended(self, handle: str, folder: Path, code: int | None) -> runs.JobStatus:
        try:
            outputs = _outputs(folder / "output" / "outputs.json")
        except ValueError as error:
            return runs.JobStatus(False, None, {}, f"Its outputs.json is not readable: {error}.")
        return runs.JobStatus(False, code, outputs, "" if code == 0 else self._reason(handle, folder, code, outputs))

    def _reason(self, handle: str, folder: Path, code: int | None, outputs: Mapping[str, str]) -> str:
        if outputs.get("reason"):
            return outputs["reason"]
        stop = _read_stop(folder)
        if stop is not None:
            return stop.why
        if not folder.exists():
            return f"Its directory {folder} is gone."
        said = self._log(handle, folder).last_words()
        if code is None or code > 128:
            return f"{_killed_by(code)} The last it said: {said}" if said else _killed_by(code)
        return said

    def _log(self, handle: str, folder: Path) -> job_log.JobLog:
        step = folder.relative_to(self._root).parts[1:2] or (folder.name,)
        if len(self._logs) >= REMEMBERED_LOGS:
            self._logs.clear()
        return self._logs.setdefault(handle, job_log.JobLog(folder / "log.jsonl", step[0]))


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that jobs get to see."""
    return {
        name: value
        for name, value in environment.items()
        if name not in WITHHELD and (name in PASSED_NAMES or name.startswith(PASSED_PREFIXES) or name.endswith(PASSED_SUFFIXES))
    }


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.NoSpace(
            f"{error.filename or folder}: {error.strerror or error}.", hint="Check the free disk space and your rights there."
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _process(folder: Path) -> processes.ProcessHandle | None:
    """The job's process. Where nobody came to note its time of making, it is found by its pid and its command line."""
    note = folder / "process"
    if note.exists():
        return processes.ProcessHandle.from_text(note.read_text())
    pid = _number(folder / "started")
    found = processes.find(pid) if pid is not None else None
    if found is None or str(folder) not in processes.command_line(found):
        return None
    _write(note, found.to_text())
    return found


def _exit_code(folder: Path) -> int | None:
    return _number(folder / "exit_code")


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return int(text) if text.isdecimal() else None


def _read_job(folder: Path) -> _Job | None:
    try:
        return _Job(**json.loads((folder / "job.json").read_text()))
    except FileNotFoundError:
        return None


def _read_stop(folder: Path) -> _Stop | None:
    try:
        return _Stop(**json.loads((folder / "stop.json").read_text()))
    except FileNotFoundError:
        return None


def _outputs(path: Path) -> dict[str, str]:
    """Raises ValueError when the file is there but holds no JSON object."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return {str(name): str(item) for name, item in value.items()}


def _killed_by(code: int | None) -> str:
    if code is None:
        return "It was killed, or the machine went down, before it could say how it ended."
    try:
        name = signal.Signals(code - 128).name
    except ValueError:
        return f"It ended with exit status {code}."
    return f"It was ended by {name}{', which is what the system sends when memory runs out' if name == 'SIGKILL' else ''}."


def _write(path: Path, text: str) -> None:
    """Whole or not at all, whenever we are killed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(text)
    temporary.replace(path)
