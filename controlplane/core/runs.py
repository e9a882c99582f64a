"""What a run is and how it moves: states of runs and steps, and the rule that says what to do next. Pure; `services.dispatch` applies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NewType

from controlplane.core import workflows

RunId = NewType("RunId", str)


class State(StrEnum):
    """State of a step and of a run. `stopped` is a gate that said no: the workflow ended as designed, nothing broke."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (State.WAITING, State.RUNNING)


class ExitCode(IntEnum):
    """What a job's exit status means."""

    DONE = 0
    GATE_NOT_PASSED = 1
    WRONG_ARGUMENTS = 2
    DEPENDENCY_FAILED = 3


@dataclass(frozen=True)
class StepRun:
    """One step of one run, as recorded. `outputs` are the small values of outputs.json; `reason` says why it did not succeed."""

    name: str
    state: State = State.WAITING
    attempt: int = 0
    handle: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One execution of a workflow, with all parameters resolved. `handle` in a step is the executor's name for the job."""

    id: RunId
    workflow: str
    parameters: Mapping[str, str]
    state: State
    steps: tuple[StepRun, ...]
    created_at: datetime
    created_by: str = ""
    interface: str = ""
    ended_at: datetime | None = None
    is_cancel_asked: bool = False
    reason: str = ""

    def step(self, name: str) -> StepRun:
        return next(step for step in self.steps if step.name == name)


@dataclass(frozen=True)
class JobStatus:
    """What the executor says about a job. `exit_code` None with `is_running` False: it vanished without telling."""

    is_running: bool
    exit_code: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Start:
    """Start this step's job; `attempt` counts from 1."""

    step: str
    attempt: int


@dataclass(frozen=True)
class Finish:
    """Record this step's end."""

    step: str
    state: State
    exit_code: int | None
    reason: str
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Cancel:
    """Ask the executor to stop this step's job."""

    step: str


@dataclass(frozen=True)
class Close:
    """Record the run's end."""

    state: State
    reason: str


Action = Start | Finish | Cancel | Close


def decide(run: Run, statuses: Mapping[str, JobStatus]) -> list[Action]:
    """What to do now. Applying it and deciding again leads nowhere else: safe to repeat, safe to interrupt.

    Args:
        statuses: the executor's word on every step that is recorded as running.
    """
    if run.state.is_final:
        return []
    finished = [action for step in run.steps if (action := _settle(run, step, statuses)) is not None]
    if finished:
        return finished
    running = [step for step in run.steps if step.state is State.RUNNING]
    if run.is_cancel_asked or _is_broken(run):
        return [Cancel(step.name) for step in running] or [_close(run)]
    ready = [step for step in run.steps if step.state is State.WAITING and _is_ready(run, step)]
    if ready:
        return [Start(step.name, step.attempt + 1) for step in ready]
    return [] if running else [_close(run)]


def _settle(run: Run, step: StepRun, statuses: Mapping[str, JobStatus]) -> Action | None:
    status = statuses.get(step.name)
    if step.state is not State.RUNNING or status is None or status.is_running:
        return None
    state, reason = _state_of(status, run.is_cancel_asked)
    limit = workflows.get(run.workflow).step(step.name).max_retries
    if status.exit_code == ExitCode.DEPENDENCY_FAILED and step.attempt <= limit and not run.is_cancel_asked:
        return Start(step.name, step.attempt + 1)
    return Finish(step.name, state, status.exit_code, reason, status.outputs)


def _state_of(status: JobStatus, is_cancel_asked: bool) -> tuple[State, str]:
    match status.exit_code:
        case ExitCode.DONE:
            return State.SUCCEEDED, ""
        case _ if is_cancel_asked:
            return State.CANCELLED, "Cancelled on request."
        case ExitCode.GATE_NOT_PASSED if "outcome" in status.outputs:
            return State.STOPPED, status.reason or "The gate did not pass."
        case None:
            return State.FAILED, status.reason or "The job vanished without an exit status; retry the run."
        case code:
            return State.FAILED, status.reason or f"The job ended with exit status {code}; its log says why."


def _is_broken(run: Run) -> bool:
    return any(step.state in (State.STOPPED, State.FAILED, State.CANCELLED) for step in run.steps)


def _is_ready(run: Run, step: StepRun) -> bool:
    needs = workflows.get(run.workflow).step(step.name).needs
    return all(run.step(name).state is State.SUCCEEDED for name in needs)


def _close(run: Run) -> Close:
    for state in (State.FAILED, State.STOPPED, State.CANCELLED):
        for step in run.steps:
            if step.state is state:
                return Close(state, f"{step.name}: {step.reason}")
    if run.is_cancel_asked and any(step.state is State.WAITING for step in run.steps):
        return Close(State.CANCELLED, "Cancelled on request.")
    return Close(State.SUCCEEDED, "")
