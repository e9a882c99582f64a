"""One fraction and one step for a whole run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controlplane.core import progress, runs, workflows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEPS = ("load-adapter", "smoke-test", "set-staged-alias")


@pytest.mark.parametrize(
    ("states", "current", "fraction"),
    [
        (("waiting", "waiting", "waiting"), "load-adapter", 0.0),
        (("running", "waiting", "waiting"), "load-adapter", 0.2),
        (("succeeded", "waiting", "waiting"), "smoke-test", 0.4),
        (("succeeded", "failed", "waiting"), "smoke-test", 0.4),
        (("succeeded", "succeeded", "running"), "set-staged-alias", 0.8 + 0.1),
        (("succeeded", "succeeded", "succeeded"), "set-staged-alias", 1.0),
    ],
)
def test_the_run_stands_at_the_step_that_runs_or_comes_next(states: tuple[str, ...], current: str, fraction: float) -> None:
    new = runs.new(runs.RunId("r1"), workflows.DEPLOYMENT, {}, NOON, "ana", "cli")
    steps = tuple(replace(step, state=runs.State(state)) for step, state in zip(new.steps, states, strict=True))
    half = {step.name: progress.StepProgress(1, 2, "half", None) for step in steps if step.state is runs.State.RUNNING}
    found = progress.of_run(replace(new, steps=steps), half, dict(zip(STEPS, (4.0, 4.0, 2.0), strict=True)))
    assert (found.step, found.fraction) == (current, pytest.approx(fraction))
