"""One real stack for all end-to-end tests: MLflow, vLLM, Prometheus, API and console on ports of their own, with a first adapter taken to live."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    environment = {
        "GATEWRIGHT_HOME": str(home),
        "GATEWRIGHT_PORT_BASE": PORT_BASE,
        # The second version is promoted from `staged`, so that the suite trains and judges one adapter in full, not two.
        "GATEWRIGHT_PROMOTE_FROM": "staged",
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    settings = settings_module.load()
    stack = stack_module.Stack(settings, print)
    try:
        stack.prepare()
        stack.start()
        stack.wait()
        yield Live(settings, stack, client_module.Client(settings.api_url, actor="tester", interface="api", timeout_seconds=120))
    finally:
        stack.stop()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


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


@pytest.fixture(scope="session")
def first(live: Live) -> FirstVersion:
    training = live.finish("training", {"data-version": "1", "lora-config": "minimal"})
    deployment = live.finish("deployment")
    evaluation = live.finish("evaluation", {"compare-base": "true"})
    performance = live.finish("performance")
    promotion = live.api.promote(MODEL, "perf-passed", "both gates passed")
    return FirstVersion(training, deployment, evaluation, performance, promotion)


@pytest.fixture(scope="session")
def second(live: Live, first: FirstVersion) -> wire.Run:
    """Version 2, trained briefly with other settings and staged beside version 1."""
    live.finish(
        "training", {"data-version": "1", "lora-config": "standard", "num-epochs": "0.25", "max-eval-loss": "10", "max-perplexity": "1000"}
    )
    return live.finish("deployment")


@pytest.fixture(scope="session")
def chromium() -> Path:
    path = Path("/usr/bin/chromium")
    if not path.exists():
        pytest.skip("Chromium is not installed (Debian package chromium)")
    return path
