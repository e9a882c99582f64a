"""The tick that moves runs: poll the executor, let `core.runs` decide, apply. Safe to run twice and to kill between any two lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane import ports
from controlplane.core import errors, journal, lifecycle, runs, workflow_spec, workflows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dispatcher:
    store: ports.RunStore
    executor: ports.Executor
    ledger: ports.Ledger
    now: Callable[[], datetime]

    def tick(self) -> None:
        """One round over all active runs; a fault of one run's outside system is logged and met again at the next tick."""
        for run in self.store.list(is_active=True, limit=1000):
            try:
                self._move(run)
            except errors.GatewrightError as error:
                logger.warning("run %s waits: %s", run.id, error)

    def _move(self, run: runs.Run) -> None:
        statuses = {step.name: self.executor.status(step.handle) for step in run.steps if step.state is runs.State.RUNNING}
        for action in runs.decide(run, statuses, self.now()):
            after = self._carry_out(run, action)
            if after is not run:
                self.store.save(after)
            run = after

    def _carry_out(self, run: runs.Run, action: runs.Action) -> runs.Run:
        """The run afterwards; the very same when there is nothing new to record."""
        match action:
            case runs.Start():
                return self._started(run, action)
            case runs.Cancel(name):
                self.executor.cancel(run.step(name).handle)
                return run
            case runs.Finish() | runs.Hold():
                return runs.apply(run, action, self.now())
            case runs.Close():
                ended = runs.apply(run, action, self.now())
                self._note(self._ended(ended))
                return ended

    def _started(self, run: runs.Run, start: runs.Start) -> runs.Run:
        if run.workflow == workflows.PROMOTE.name:
            if (overtaken := self._overtaken(run)) is not None:
                return runs.apply(run, runs.Finish(start.step, runs.State.FAILED, None, str(overtaken), {}), self.now())
            if self._must_wait(run):
                return run  # the next tick asks again
        try:
            handle = self.executor.start(_spec(run, start, self.executor.artifact_dir))
        except errors.Conflict:
            return run  # no GPU is free; the next tick asks again
        except errors.Unreachable:
            raise
        except errors.GatewrightError as error:
            # Asking again would give the same answer for ever.
            return runs.apply(run, runs.Finish(start.step, runs.State.FAILED, None, str(error), {}), self.now())
        return runs.apply(run, start, self.now(), handle)

    def _overtaken(self, run: runs.Run) -> errors.Conflict | None:
        """Somebody promoted, or promotes by another run, since this one was launched: it would undo what its launcher did not see."""
        model = run.parameters["model-name"]
        for record in self.ledger.promotions(model, limit=20):
            if record.state in (journal.State.DONE, journal.State.DEGRADED) and record.ended_at and record.ended_at > run.created_at:
                return journal.taken(model, record.version, record.actor, record.started_at, record.ended_at)
        for other in self._rivals(run):
            if other.has_begun:
                return journal.taken_by_run(model, other.id, other.created_by, other.created_at)
        return None

    def _must_wait(self, run: runs.Run) -> bool:
        """For a promotion that may yet fail, or a run that was launched before this one."""
        records = self.ledger.promotions(run.parameters["model-name"], limit=20)
        is_open = any(record.state is journal.State.RUNNING for record in records)
        return is_open or any((other.created_at, other.id) < (run.created_at, run.id) for other in self._rivals(run))

    def _rivals(self, run: runs.Run) -> list[runs.Run]:
        found = self.store.list(workflow=run.workflow, model=run.parameters["model-name"], is_active=True, limit=100)
        return [other for other in found if other.id != run.id]

    def _note(self, event: ports.Event) -> None:
        """Once, also when we are killed between the ledger and the run: it is written before the run's end is."""
        known = (other.details for other in self.ledger.events(event.model, limit=50))
        if not any(all(details.get(key) == event.details[key] for key in ("run", "attempts", "workflow")) for details in known):
            self.ledger.append(event)

    def _ended(self, run: runs.Run) -> ports.Event:
        outputs: dict[str, str] = {}
        for step in run.steps:
            outputs.update(step.outputs)
        version = outputs.get("version", "")
        told: dict[str, str] = {key: outputs[key] for key in ("outcome", "mlflow-run", "digest", "replaces") if key in outputs}
        details: dict[str, str] = {
            "run": str(run.id),
            "workflow": run.workflow,
            "attempts": str(sum(step.attempt for step in run.steps)),
            **told,
        }
        return ports.Event(
            at=self.now(),
            actor=run.created_by,
            interface=run.interface,
            action=_action(run),
            model=run.parameters.get("model-name", ""),
            version=int(version) if version.isdecimal() else None,
            reason=run.reason,
            details=details,
        )


def _action(run: runs.Run) -> str:
    """A promotion is called the same whoever carried it out, so that one search of the ledger finds all."""
    if run.workflow == workflows.PROMOTE.name and run.state is runs.State.SUCCEEDED:
        return "rolled-back" if run.parameters.get("source-alias") == lifecycle.Alias.PREVIOUS else "promoted"
    return f"{run.workflow}-{run.state}"


def _spec(run: runs.Run, start: runs.Start, artifact_dir: Callable[[str], str]) -> ports.JobSpec:
    definition = workflows.get(run.workflow).step(start.step)
    outputs: Mapping[str, Mapping[str, str]] = {step.name: step.outputs for step in run.steps}
    folders = {step.name: artifact_dir(step.handle) for step in run.steps if step.handle}
    arguments = workflow_spec.arguments(definition, run.parameters, outputs, folders)
    key = f"{run.id}/{start.step}/{start.attempt}"
    return ports.JobSpec(key, definition.module, tuple(arguments), definition.resources.gpus, definition.timeout_seconds)
