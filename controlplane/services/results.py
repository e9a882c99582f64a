"""What the gates found for a version, read back from MLflow, and the checklist a reviewer decides by. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass

from controlplane import ports, wire
from controlplane.core import errors, evidence, lifecycle
from controlplane.services import evaluations, performances

RUN_TAG = {evidence.Gate.EVALUATION: "evaluation-run", evidence.Gate.PERFORMANCE: "performance-run"}
OUTCOME_TAG = {evidence.Gate.EVALUATION: "evaluation-outcome", evidence.Gate.PERFORMANCE: "performance-outcome"}
WORKFLOW = {evidence.Gate.EVALUATION: "evaluation", evidence.Gate.PERFORMANCE: "performance"}


@dataclass(frozen=True)
class Results:
    registry: ports.Registry
    tracking: ports.Tracking

    def evaluation(self, model: str, number: int) -> wire.Evaluation:
        """Gate 1 of a version. Raises NotFound when it was never run."""
        run = self._run(model, number, evidence.Gate.EVALUATION)
        return evaluations.shown(evaluations.read(self.tracking, run, self._verdict(run)), model, number)

    def performance(self, model: str, number: int) -> wire.Performance:
        """Gate 2 of a version with its samples, beside the baseline's. Raises NotFound when it was never run."""
        run = self._run(model, number, evidence.Gate.PERFORMANCE)
        return performances.shown(self.tracking, run, self._verdict(run), model, number)

    def checklist(self, version: ports.Version) -> tuple[wire.Evidence, ...]:
        """Gate 0, the smoke test, Gate 1 and Gate 2 as one item each, from the version's tags and aliases."""
        return (
            _quality(version),
            _smoke_test(version),
            self._gate(version, evidence.Gate.EVALUATION, "Gate 1: answers"),
            self._gate(version, evidence.Gate.PERFORMANCE, "Gate 2: speed"),
        )

    def _gate(self, version: ports.Version, gate: evidence.Gate, title: str) -> wire.Evidence:
        run_id = version.tags.get(RUN_TAG[gate], "")
        outcome = version.tags.get(OUTCOME_TAG[gate], "")
        if not run_id or outcome not in tuple(evidence.Outcome):
            return wire.Evidence(gate=gate, title=title, outcome="missing", reason=f"Not run yet: launch the {WORKFLOW[gate]} workflow.")
        reason = self._verdict(self.tracking.run(run_id)).reason
        return wire.Evidence(gate=gate, title=title, outcome=evidence.Outcome(outcome).value, reason=reason, mlflow_run=run_id)

    def run_id(self, model: str, number: int, gate: evidence.Gate) -> str:
        """The MLflow run of the version's newest verdict. Raises NotFound when the gate was never run."""
        run_id = self.registry.resolve(model, f"version:{number}").tags.get(RUN_TAG[gate], "")
        if not run_id:
            raise errors.NotFound(f"{model} v{number} has no {gate} result.", hint=f"Launch the {WORKFLOW[gate]} workflow for it.")
        return run_id

    def _run(self, model: str, number: int, gate: evidence.Gate) -> ports.TrackedRun:
        return self.tracking.run(self.run_id(model, number, gate))

    def _verdict(self, run: ports.TrackedRun) -> evidence.Verdict:
        return evidence.from_dict(json.loads(self.tracking.artifact(run.id, "verdict.json")))


def _quality(version: ports.Version) -> wire.Evidence:
    loss, perplexity = (_number(version.tags.get(name)) for name in ("eval_loss", "perplexity"))
    title = "Gate 0: training quality"
    if loss is None or perplexity is None:
        return wire.Evidence(gate="quality", title=title, outcome="missing", reason="No training metrics on this version.")
    reason = f"eval loss {loss:.3f} nats/token, perplexity {perplexity:.3f}; registered after the quality gate passed."
    return wire.Evidence(gate="quality", title=title, outcome="pass", reason=reason, mlflow_run=version.run_id)


def _smoke_test(version: ports.Version) -> wire.Evidence:
    passed = {lifecycle.Alias.STAGED, *lifecycle.PROTECTED} & set(version.aliases) or "staged-at" in version.tags
    if passed:
        return wire.Evidence(gate="deployment", title="Smoke test", outcome="pass", reason="It answered in the candidate slot.")
    return wire.Evidence(gate="deployment", title="Smoke test", outcome="missing", reason="Not staged yet: launch the deployment workflow.")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
