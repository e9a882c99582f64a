"""Workflows, and their runs with steps and log lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from controlplane.wire.body import Body


class Parameter(Body):
    """`default` is the profile's default on this installation."""

    name: str
    default: str
    help: str
    kind: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_advanced: bool = False


class StepSpec(Body):
    name: str
    help: str
    needs: tuple[str, ...] = ()


class Workflow(Body):
    """`typical_seconds` is the median of past runs that succeeded, per step; absent where none did."""

    name: str
    title: str
    purpose: str
    ends_in: str
    parameters: tuple[Parameter, ...]
    steps: tuple[StepSpec, ...]
    typical_seconds: Mapping[str, float] = Field(default_factory=dict)


class Launch(Body):
    workflow: str
    parameters: Mapping[str, str] = Field(default_factory=dict)


class Progress(Body):
    """Of one step, from its last progress line; `seconds_left` when it can be known."""

    done: float
    total: float
    message: str = ""
    seconds_left: float | None = None


class Step(Body):
    """`retry_at`: something it needs did not answer, and it is tried again then."""

    name: str
    state: str
    help: str = ""
    needs: tuple[str, ...] = ()
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    outputs: Mapping[str, str] = Field(default_factory=dict)
    retry_at: datetime | None = None
    progress: Progress | None = None


class Run(Body):
    """`command` is the command line that launches the same run."""

    id: str
    workflow: str
    title: str
    state: str
    parameters: Mapping[str, str]
    steps: tuple[Step, ...]
    created_at: datetime
    created_by: str = ""
    interface: str = ""
    ended_at: datetime | None = None
    reason: str = ""
    is_cancel_asked: bool = False
    command: str = ""


class RunProgress(Body):
    """`fraction` of the whole run, 0 to 1."""

    run_id: str
    state: str
    step: str
    fraction: float
    message: str = ""
    seconds_left: float | None = None


class LogLine(Body):
    """`id` is what a client sends back as Last-Event-ID: `<step>:<number>`, then the steps beside it; do not take it apart."""

    id: str
    step: str
    number: int
    time: str
    level: str
    message: str
    fields: Mapping[str, object] = Field(default_factory=dict)
