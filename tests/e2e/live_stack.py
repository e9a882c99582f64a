"""What the end-to-end tests share: the running stack, and version 1 with the runs that took it to live."""

from __future__ import annotations

import time
from dataclasses import dataclass

from controlplane import client as client_module
from controlplane import settings as settings_module
from controlplane import stack as stack_module
from controlplane import wire
from controlplane.core import runs

MODEL = "ops-qa"
PORT_BASE = "18600"
FINAL = {state for state in runs.State if state.is_final}


@dataclass(frozen=True)
class Live:
    """The running stack and our client of it."""

    settings: settings_module.Settings
    stack: stack_module.Stack
    api: client_module.Client

    def finish(self, workflow: str, parameters: dict[str, str] | None = None) -> wire.Run:
        """Launches a workflow and waits for its end, failing the test with the log when a step failed."""
        run = self.api.launch(workflow, {"model-name": MODEL, **(parameters or {})})
        while run.state not in FINAL:
            time.sleep(0.5)
            run = self.api.run(run.id)
        tail = "\n".join(f"{line.level} {line.message}" for line in self.api.logs(run.id)[-15:])
        assert run.state == runs.State.SUCCEEDED, f"{workflow}: {run.state} {run.reason}\n{tail}"
        return run

    def stage_second(self) -> None:
        """Version 2 in the candidate slot, as after a promotion took its alias."""
        if self.api.model(MODEL).aliases.get("staged") != 2:
            self.finish("deployment", {"adapter-source": "version:2"})


@dataclass(frozen=True)
class FirstVersion:
    """Version 1, trained and taken through every gate to live, with the runs that did it."""

    training: wire.Run
    deployment: wire.Run
    evaluation: wire.Run
    performance: wire.Run
    promotion: wire.Promotion

    def outputs(self, run: wire.Run) -> dict[str, str]:
        return {name: value for step in run.steps for name, value in step.outputs.items()}
