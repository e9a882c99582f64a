"""What a run is and how it moves: states of runs and steps, and the rule that says what is next. `services.dispatch` applies it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NewType

from controlplane.core import errors, workflow_spec, workflows

RunId = NewType("RunId", str)

# Before the second attempt, the third, ...: a server that restarts takes half a minute.
RETRY_SECONDS = (10, 30)


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
    """One step of one run, as recorded. `outputs` are the small values of outputs.json; `reason` says why it did not succeed.

    One that waits and has ended before is held: its next attempt starts at `retry_at`.
    """

    name: str
    state: State = State.WAITING
    attempt: int = 0
    handle: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_at(self) -> datetime | None:
        if self.state is not State.WAITING or self.ended_at is None:
            return None
        return self.ended_at + timedelta(seconds=RETRY_SECONDS[min(self.attempt, len(RETRY_SECONDS)) - 1])


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

    @property
    def has_begun(self) -> bool:
        return any(step.state is not State.WAITING for step in self.steps)

    def step(self, name: str) -> StepRun:
        """Raises NotFound when the run was recorded without such a step."""
        for step in self.steps:
            if step.name == name:
                return step
        raise errors.NotFound(f"Run {self.id} has no step {name!r}.", hint="The workflow has changed since; launch it again.")


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
class Hold:
    """Record that what this step needs did not answer; it is tried again in a while."""

    step: str
    exit_code: int | None
    reason: str


@dataclass(frozen=True)
class Cancel:
    """Ask the executor to stop this step's job."""

    step: str


@dataclass(frozen=True)
class Close:
    """Record the run's end."""

    state: State
    reason: str


Action = Start | Finish | Hold | Cancel | Close


def new(run_id: RunId, workflow: workflow_spec.Workflow, parameters: Mapping[str, str], now: datetime, actor: str, interface: str) -> Run:
    """A run that waits for its first tick."""
    steps = tuple(StepRun(step.name) for step in workflow.steps)
    return Run(run_id, workflow.name, dict(parameters), State.RUNNING, steps, now, actor, interface)


def retried(run: Run) -> Run:
    """The run, to go on from what did not succeed.

    Raises:
        Refused: it is still going, or it succeeded.
    """
    if run.state not in (State.FAILED, State.STOPPED, State.CANCELLED):
        raise errors.Refused(f"Run {run.id} is {run.state}.", hint="Only a failed, stopped or cancelled run can be retried.")
    steps = tuple(step if _stands(run, step) else StepRun(step.name, attempt=step.attempt) for step in run.steps)
    return replace(run, state=State.RUNNING, steps=steps, ended_at=None, is_cancel_asked=False, reason="")


def _stands(run: Run, step: StepRun) -> bool:
    """It succeeded, on the whole of what it read."""
    follows = workflows.get(run.workflow).step(step.name).follows
    return step.state is State.SUCCEEDED and all(run.step(name).state is State.SUCCEEDED for name in follows)


def apply(run: Run, action: Action, now: datetime, handle: str = "") -> Run:
    """The run after an action was carried out; `handle` is what the executor answered to a start."""
    match action:
        case Start(name, attempt):
            return _with_step(run, StepRun(name, State.RUNNING, attempt, handle, now))
        case Finish(name, state, exit_code, reason, outputs):
            step = replace(run.step(name), state=state, ended_at=now, exit_code=exit_code, reason=reason, outputs=dict(outputs))
            return _with_step(run, step)
        case Hold(name, exit_code, reason):
            return _with_step(run, replace(run.step(name), state=State.WAITING, ended_at=now, exit_code=exit_code, reason=reason))
        case Close(state, reason):
            return replace(run, state=state, ended_at=now, reason=reason)
        case Cancel():
            return run


def _with_step(run: Run, step: StepRun) -> Run:
    return replace(run, steps=tuple(step if other.name == step.name else other for other in run.steps))


def decide(run: Run, statuses: Mapping[str, JobStatus], now: datetime) -> list[Action]:
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
    ready = [step for step in run.steps if step.state is State.WAITING and _is_ready(run, step, now)]
    lost: list[Action] = [Cancel(step.name) for step in running if _has_lost_its_source(run, step)]
    if ready or lost:
        return [*lost, *(Start(step.name, step.attempt + 1) for step in ready)]
    is_held = any(step.retry_at is not None for step in run.steps)
    return [] if running or is_held else [_close(run)]


def merged(stored: Run, saved: Run) -> Run:
    """What to keep when `saved` was worked out from an older reading than `stored`: while a run is active nothing moves backwards.

    So a request to cancel is not lost to the dispatcher's next word, nor a step's end to the request. A run that has ended may start
    anew (a retry).
    """
    if stored.state.is_final:
        return saved
    known = {step.name: step for step in stored.steps}
    steps = tuple(_further(known.get(step.name, step), step) for step in saved.steps)
    return replace(saved, steps=steps, is_cancel_asked=saved.is_cancel_asked or stored.is_cancel_asked)


def _further(stored: StepRun, saved: StepRun) -> StepRun:
    return saved if _progress(saved) >= _progress(stored) else stored


def _progress(step: StepRun) -> tuple[int, int]:
    return step.attempt, 2 if step.state.is_final or step.retry_at is not None else int(step.state is State.RUNNING)


def _settle(run: Run, step: StepRun, statuses: Mapping[str, JobStatus]) -> Action | None:
    status = statuses.get(step.name)
    if step.state is not State.RUNNING or status is None or status.is_running:
        return None
    limit = workflows.get(run.workflow).step(step.name).max_retries
    is_ending = run.is_cancel_asked or _is_broken(run)
    if _has_lost_its_source(run, step) and not is_ending:
        return Start(step.name, step.attempt + 1)
    if status.exit_code == ExitCode.DEPENDENCY_FAILED and step.attempt <= limit and not is_ending:
        return Hold(step.name, status.exit_code, status.reason or "Something it needs did not answer; its log says what.")
    state, reason = _state_of(status, run)
    return Finish(step.name, state, status.exit_code, reason, status.outputs)


def _state_of(status: JobStatus, run: Run) -> tuple[State, str]:
    match status.exit_code:
        case ExitCode.DONE:
            return State.SUCCEEDED, ""
        case _ if run.is_cancel_asked:
            return State.CANCELLED, "Cancelled on request."
        case code if _is_broken(run) and code not in tuple(ExitCode):
            # We stopped it because another step had ended the run; only that step's reason is the run's.
            return State.CANCELLED, "Stopped because another step ended the run."
        case ExitCode.GATE_NOT_PASSED if "outcome" in status.outputs:
            return State.STOPPED, status.reason or "The gate did not pass."
        case None:
            return State.FAILED, status.reason or "The job vanished without an exit status; retry the run."
        case code:
            return State.FAILED, status.reason or f"The job ended with exit status {code}; its log says why."


def _is_broken(run: Run) -> bool:
    return any(step.state in (State.STOPPED, State.FAILED, State.CANCELLED) for step in run.steps)


def _is_ready(run: Run, step: StepRun, now: datetime) -> bool:
    definition = workflows.get(run.workflow).step(step.name)
    is_due = step.retry_at is None or now >= step.retry_at
    return (
        is_due
        and all(run.step(name).state is State.SUCCEEDED for name in definition.needs)
        and all(run.step(name).state in (State.RUNNING, State.SUCCEEDED) for name in definition.follows)
    )


def _has_lost_its_source(run: Run, step: StepRun) -> bool:
    """A step it follows was started anew since, so what it reads will never be finished."""
    followed = [run.step(name).started_at for name in workflows.get(run.workflow).step(step.name).follows]
    return step.started_at is not None and any(one is not None and one > step.started_at for one in followed)


def _close(run: Run) -> Close:
    for state in (State.FAILED, State.STOPPED, State.CANCELLED):
        for step in run.steps:
            if step.state is state:
                return Close(state, f"{step.name}: {step.reason}")
    waiting = [step.name for step in run.steps if step.state is State.WAITING]
    if run.is_cancel_asked and waiting:
        return Close(State.CANCELLED, "Cancelled on request.")
    if waiting:
        return Close(State.FAILED, f"{waiting[0]} can never start: a step it needs is missing.")
    return Close(State.SUCCEEDED, "")
