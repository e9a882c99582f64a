"""How far a run is: from the progress lines its jobs log to one fraction and the time left. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.core import runs


@dataclass(frozen=True)
class StepProgress:
    """From a job's last progress line. `seconds_left` None when nothing can be said yet."""

    done: float
    total: float
    message: str
    seconds_left: float | None


@dataclass(frozen=True)
class RunProgress:
    """`fraction` of the whole run, 0 to 1; `step` is the one to watch."""

    step: str
    fraction: float
    message: str
    seconds_left: float | None


def of_step(fields: Mapping[str, object], message: str, started_at: datetime | None, now: datetime) -> StepProgress:
    """A progress line's `done`, `total` and, when the job knows better than a straight line, `seconds_left`."""
    done, total = _number(fields.get("done")), _number(fields.get("total"))
    left = _number(fields["seconds_left"]) if "seconds_left" in fields else _straight(done, total, started_at, now)
    return StepProgress(done, total, message, left)


def of_run(run: runs.Run, steps: Mapping[str, StepProgress], typical_seconds: Mapping[str, float]) -> RunProgress:
    """Each step weighs what it typically takes, or as much as any other where that is not known."""
    usual = sum(typical_seconds.values()) / len(typical_seconds) if typical_seconds else 1.0
    weights = {step.name: typical_seconds.get(step.name, usual) for step in run.steps}
    done = sum(weights[step.name] * _fraction(step, steps.get(step.name)) for step in run.steps)
    whole = sum(weights.values()) or 1.0
    current = _current(run.steps)
    known = steps.get(current.name)
    fraction = 1.0 if run.state is runs.State.SUCCEEDED else done / whole
    left = whole - done if typical_seconds and not run.state.is_final else None
    if known is not None and known.seconds_left is not None and not run.state.is_final:
        left = known.seconds_left + _still_waiting(run.steps, typical_seconds)
    return RunProgress(current.name, fraction, known.message if known else current.reason, left)


def _current(steps: Sequence[runs.StepRun]) -> runs.StepRun:
    """The one that runs, else the first that has yet to succeed."""
    running = [step for step in steps if step.state is runs.State.RUNNING]
    left = [step for step in steps if step.state is not runs.State.SUCCEEDED]
    return (running or left or [steps[-1]])[0]


def _fraction(step: runs.StepRun, progress: StepProgress | None) -> float:
    if step.state is runs.State.SUCCEEDED:
        return 1.0
    if step.state is not runs.State.RUNNING or progress is None or progress.total <= 0:
        return 0.0
    return min(1.0, progress.done / progress.total)


def _still_waiting(steps: Sequence[runs.StepRun], typical_seconds: Mapping[str, float]) -> float:
    return sum(typical_seconds.get(step.name, 0.0) for step in steps if step.state is runs.State.WAITING)


def _straight(done: float, total: float, started_at: datetime | None, now: datetime) -> float | None:
    if started_at is None or done <= 0 or total <= 0:
        return None
    return max(0.0, (now - started_at).total_seconds() * (total - done) / done)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
