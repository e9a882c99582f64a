"""What a run looks like from outside: its steps with progress, its log across steps, what each step usually takes. Reads only."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from controlplane import ports, wire
from controlplane.core import log_places, progress, runs, workflow_spec, workflows


@dataclass(frozen=True)
class Watcher:
    store: ports.RunStore
    executor: ports.Executor
    now: Callable[[], datetime]

    def run(self, run_id: str) -> wire.Run:
        """Raises NotFound."""
        return self.shown(self.store.get(runs.RunId(run_id)))

    def recent(self, *, workflow: str = "", is_active: bool = False, limit: int = 50) -> list[wire.Run]:
        """Newest first; progress is left to `run`, which reads logs."""
        found = self.store.list(workflow=workflow, is_active=is_active, limit=limit)
        return [self.shown(run, with_progress=False) for run in found]

    def whole(self, run_id: str) -> wire.RunProgress:
        run = self.store.get(runs.RunId(run_id))
        steps = {step.name: found for step in run.steps if (found := self._progress_of(step)) is not None}
        whole = progress.of_run(run, steps, self.typical_seconds(run.workflow))
        return wire.RunProgress(
            run_id=run.id,
            state=run.state,
            step=whole.step,
            fraction=whole.fraction,
            message=whole.message,
            seconds_left=whole.seconds_left,
        )

    def logs(self, run_id: str, after: str = "") -> list[wire.LogLine]:
        """The lines after the one whose id is `after`, step by step in the workflow's order. Raises NotFound, InvalidInput."""
        run = self.store.get(runs.RunId(run_id))
        places = log_places.parse(after, run)
        lines = []
        for step in run.steps:
            number = log_places.seen(step, places, run)
            if step.handle and number is not None:
                for line in self.executor.logs(step.handle, number):
                    places[step.name] = log_places.Place(max(1, step.attempt), line.number)
                    lines.append(_shown_line(line, step.name, log_places.write(step, places, run)))
        return lines

    def typical_seconds(self, workflow: str) -> dict[str, float]:
        """Median over the last runs that succeeded, by step."""
        past = [run for run in self.store.list(workflow=workflow, limit=20) if run.state is runs.State.SUCCEEDED]
        names = [step.name for step in workflows.get(workflow).steps]
        return {name: median(times) for name in names if (times := [_seconds(run.step(name)) for run in past])}

    def shown(self, run: runs.Run, *, with_progress: bool = True) -> wire.Run:
        definition = workflows.get(run.workflow)
        return wire.Run(
            id=run.id,
            workflow=run.workflow,
            title=definition.title,
            state=run.state,
            parameters=run.parameters,
            steps=tuple(self._step(definition.step(step.name), step, with_progress, not run.state.is_final) for step in run.steps),
            created_at=run.created_at,
            created_by=run.created_by,
            interface=run.interface,
            ended_at=run.ended_at,
            reason=run.reason,
            is_cancel_asked=run.is_cancel_asked,
            command=command(definition, run.parameters),
        )

    def _step(self, definition: workflow_spec.Step, step: runs.StepRun, with_progress: bool, is_active: bool) -> wire.Step:
        found = self._progress_of(step) if with_progress else None
        return wire.Step(
            name=step.name,
            state=step.state,
            help=definition.help,
            needs=definition.needs + definition.follows,
            attempt=step.attempt,
            started_at=step.started_at,
            ended_at=step.ended_at,
            exit_code=step.exit_code,
            reason=step.reason,
            outputs=step.outputs,
            retry_at=step.retry_at if is_active else None,
            progress=wire.Progress(done=found.done, total=found.total, message=found.message, seconds_left=found.seconds_left)
            if found
            else None,
        )

    def _progress_of(self, step: runs.StepRun) -> progress.StepProgress | None:
        if step.state is not runs.State.RUNNING:
            return None
        for line in reversed(self.executor.logs(step.handle)):
            if line.level == "PROGRESS":
                return progress.of_step(line.fields, line.message, step.started_at, self.now())
        return None


def command(definition: workflow_spec.Workflow, parameters: Mapping[str, str]) -> str:
    """The command line that launches the same run: only what differs from the workflow's own defaults."""
    own = {parameter.name: parameter.default for parameter in definition.parameters}
    parts = [f"-p {shlex.quote(f'{name}={value}')}" for name, value in parameters.items() if value != own.get(name)]
    return " ".join(["gatewright launch", definition.name, *parts])


def _shown_line(line: ports.LogLine, step: str, line_id: str) -> wire.LogLine:
    return wire.LogLine(
        id=line_id, step=step, number=line.number, time=line.time, level=line.level, message=line.message, fields=line.fields
    )


def _seconds(step: runs.StepRun) -> float:
    if step.started_at is None or step.ended_at is None:
        return 0.0
    return (step.ended_at - step.started_at).total_seconds()
