"""One real stack for all end-to-end tests, on ports of its own, with a first adapter taken to live through every gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import client as client_module
from controlplane import settings as settings_module
from controlplane import stack as stack_module
from controlplane import wire
from tests.e2e.live_stack import MODEL, PORT_BASE, FirstVersion, Live


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, base_model_dir: Path) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    environment = {
        "GATEWRIGHT_HOME": str(home),
        "GATEWRIGHT_PORT_BASE": PORT_BASE,
        # The second version is promoted from `staged`, so that the suite trains and judges one adapter in full, not two.
        "GATEWRIGHT_PROMOTE_FROM": "staged",
    }
    stack: stack_module.Stack | None = None
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            settings = settings_module.load()
            settings.base_model_dir.parent.mkdir(parents=True)
            settings.base_model_dir.symlink_to(base_model_dir)
            stack = stack_module.Stack(settings, print)
            stack.prepare()
            stack.start()
        stack.wait()
        with client_module.Client(settings.api_url, actor="tester", interface="api", timeout_seconds=120) as api:
            yield Live(settings, stack, api)
    finally:
        if stack is not None:
            stack.stop()


@pytest.fixture(scope="session")
def first(live: Live) -> FirstVersion:
    training = live.finish("training", {"data-version": "1", "lora-config": "minimal"})
    deployment = live.finish("deployment")
    evaluation = live.finish("evaluation")
    # Other tests share the machine, so no floor may decide.
    floors = {"max-p95-latency": "100", "max-p95-ttft": "100", "min-throughput": "0.01"}
    performance = live.finish("performance", {"max-samples": "20", **floors})
    promotion = live.api.promote(MODEL, "perf-passed", "both gates passed")
    return FirstVersion(training, deployment, evaluation, performance, promotion)


@pytest.fixture(scope="session")
def second(live: Live, first: FirstVersion) -> wire.Run:
    """Version 2, trained briefly with other settings and staged beside version 1."""
    live.finish(
        "training", {"data-version": "1", "lora-config": "standard", "num-epochs": "0.12", "max-eval-loss": "10", "max-perplexity": "1000"}
    )
    return live.finish("deployment")


@pytest.fixture(scope="session")
def chromium() -> Path:
    path = Path("/usr/bin/chromium")
    if not path.exists():
        pytest.skip("Chromium is not installed (Debian package chromium)")
    return path
