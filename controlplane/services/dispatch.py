"""The tick that moves runs: poll the executor, let `core.runs` decide, apply. Safe to run twice and to kill between any two lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane import ports
from controlplane.core import errors, runs, workflows

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
        for action in runs.decide(run, statuses):
            handle = self._carry_out(run, action)
            if handle is None:
                continue
            run = runs.apply(run, action, self.now(), handle)
            self.store.save(run)
            if isinstance(action, runs.Close):
                self.ledger.append(self._ended(run))

    def _carry_out(self, run: runs.Run, action: runs.Action) -> str | None:
        """The handle of what was started, empty for other actions; None when it must wait for a free GPU."""
        match action:
            case runs.Start():
                try:
                    return self.executor.start(_spec(run, action, self.executor.artifact_dir))
                except errors.Conflict:
                    return None
            case runs.Cancel(name):
                self.executor.cancel(run.step(name).handle)
        return ""

    def _ended(self, run: runs.Run) -> ports.Event:
        outputs: dict[str, str] = {}
        for step in run.steps:
            outputs.update(step.outputs)
        version = outputs.get("version", "")
        told: dict[str, str] = {key: outputs[key] for key in ("outcome", "mlflow-run", "digest") if key in outputs}
        details: dict[str, str] = {"run": str(run.id), "workflow": run.workflow, **told}
        return ports.Event(
            at=self.now(),
            actor=run.created_by,
            interface=run.interface,
            action=f"{run.workflow}-{run.state}",
            model=run.parameters.get("model-name", ""),
            version=int(version) if version.isdecimal() else None,
            reason=run.reason,
            details=details,
        )


def _spec(run: runs.Run, start: runs.Start, artifact_dir: Callable[[str], str]) -> ports.JobSpec:
    definition = workflows.get(run.workflow).step(start.step)
    outputs: Mapping[str, Mapping[str, str]] = {step.name: step.outputs for step in run.steps}
    folders = {step.name: artifact_dir(step.handle) for step in run.steps if step.handle}
    arguments = workflows.arguments(definition, run.parameters, outputs, folders)
    key = f"{run.id}/{start.step}/{start.attempt}"
    return ports.JobSpec(key, definition.module, tuple(arguments), definition.resources.gpus, definition.timeout_seconds)
