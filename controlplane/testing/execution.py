"""An executor whose jobs end when told, and the store of runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from controlplane import ports
from controlplane.core import errors, runs
from controlplane.testing.basics import EPOCH, raise_fault


@dataclass
class FakeJob:
    spec: ports.JobSpec
    status: runs.JobStatus = field(default_factory=lambda: runs.JobStatus(is_running=True))
    lines: list[ports.LogLine] = field(default_factory=list)


@dataclass
class FakeExecutor:
    """Jobs that run until a test says otherwise: `finish` ends one, `say` writes a log line, `script` ends all jobs of a module at once."""

    fault: errors.GatewrightError | None = None
    gpus: int = 1
    cancelled: list[str] = field(default_factory=list)
    _jobs: dict[str, FakeJob] = field(default_factory=dict)
    _scripts: dict[str, runs.JobStatus] = field(default_factory=dict)

    def start(self, job: ports.JobSpec) -> str:
        raise_fault(self.fault)
        if job.key not in self._jobs:
            busy = sum(other.spec.gpus for other in self._jobs.values() if other.status.is_running)
            if job.gpus and busy + job.gpus > self.gpus:
                raise errors.Conflict(f"No GPU is free for {job.key}.", hint="It starts when another job ends.")
            self._jobs[job.key] = FakeJob(job, self._scripts.get(job.module, runs.JobStatus(is_running=True)))
        return job.key

    def status(self, handle: str) -> runs.JobStatus:
        """An unknown handle is a job that vanished: not running, no exit status."""
        raise_fault(self.fault)
        return self._jobs[handle].status if handle in self._jobs else runs.JobStatus(is_running=False)

    def cancel(self, handle: str) -> None:
        raise_fault(self.fault)
        self.cancelled.append(handle)
        if handle in self._jobs and self._jobs[handle].status.is_running:
            self.finish(handle, exit_code=143, reason="Stopped by SIGTERM.")

    def logs(self, handle: str, after: int = 0) -> list[ports.LogLine]:
        raise_fault(self.fault)
        lines = self._jobs[handle].lines if handle in self._jobs else []
        return [line for line in lines if line.number > after]

    def artifact_dir(self, handle: str) -> str:
        return f"/artifacts/{handle}"

    @property
    def jobs(self) -> dict[str, ports.JobSpec]:
        """Every job ever started, by handle, in order."""
        return {handle: job.spec for handle, job in self._jobs.items()}

    def finish(self, handle: str, exit_code: int | None = 0, outputs: Mapping[str, str] | None = None, reason: str = "") -> None:
        """Ends a job; `exit_code` None makes it vanish."""
        self._jobs[handle].status = runs.JobStatus(False, exit_code, outputs or {}, reason)

    def script(self, module: str, exit_code: int = 0, outputs: Mapping[str, str] | None = None, reason: str = "") -> None:
        """Every job of this module started from now on has ended like this at once."""
        self._scripts[module] = runs.JobStatus(False, exit_code, outputs or {}, reason)

    def say(self, handle: str, message: str, level: str = "INFO", **fields: object) -> None:
        job = self._jobs[handle]
        number = len(job.lines) + 1
        time_text = (EPOCH + timedelta(seconds=number)).isoformat(timespec="milliseconds")
        job.lines.append(ports.LogLine(number, time_text, level, job.spec.module.rpartition(".")[2], message, fields))


@dataclass
class FakeRunStore:
    """Runs by id. A lease is held while its context is open, unless `monotonic` runs past its seconds."""

    fault: errors.GatewrightError | None = None
    monotonic: Callable[[], float] = time.monotonic
    _runs: dict[runs.RunId, runs.Run] = field(default_factory=dict)
    _leases: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, run: runs.Run) -> None:
        raise_fault(self.fault)
        if run.id in self._runs:
            raise errors.Conflict(f"There is a run {run.id} already.")
        self._runs[run.id] = run

    def get(self, run_id: runs.RunId) -> runs.Run:
        raise_fault(self.fault)
        if run_id not in self._runs:
            raise errors.NotFound(f"There is no run {run_id!r}.", hint="List the runs to see which there are.")
        return self._runs[run_id]

    def list(self, *, workflow: str = "", model: str = "", is_active: bool = False, limit: int = 50) -> list[runs.Run]:
        raise_fault(self.fault)
        found = [
            run
            for run in self._runs.values()
            if workflow in ("", run.workflow) and model in ("", run.parameters.get("model-name")) and not (is_active and run.state.is_final)
        ]
        return sorted(found, key=lambda run: run.created_at, reverse=True)[:limit]

    def save(self, run: runs.Run) -> None:
        self._runs[run.id] = runs.merged(self.get(run.id), run)

    def beat(self, holder: str, seconds: float) -> None:
        raise_fault(self.fault)
        self._leases[f"alive:{holder}"] = (holder, self.monotonic() + seconds)

    def is_beating(self, holder: str) -> bool:
        return self.is_leased(f"alive:{holder}")

    def is_leased(self, name: str) -> bool:
        raise_fault(self.fault)
        return self._leases.get(name, ("", 0.0))[1] > self.monotonic()

    @contextmanager
    def lease(self, name: str, holder: str, seconds: float) -> Iterator[bool]:
        raise_fault(self.fault)
        owner, until = self._leases.get(name, ("", 0.0))
        is_mine = owner in ("", holder) or until <= self.monotonic()
        if is_mine:
            self._leases[name] = (holder, self.monotonic() + seconds)
        try:
            yield is_mine
        finally:
            if is_mine and self._leases.get(name, ("", 0.0))[0] == holder:
                del self._leases[name]
