"""How a gate's verdict is recorded: an MLflow run with its evidence, tags on the version, one of two aliases. It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane import ports
from controlplane.core import evidence, lifecycle
from jobs import job

_ALIASES = {
    (evidence.Gate.EVALUATION, evidence.Outcome.PASS): lifecycle.Alias.EVAL_PASSED,
    (evidence.Gate.EVALUATION, evidence.Outcome.FAIL): lifecycle.Alias.EVAL_FAILED,
    (evidence.Gate.PERFORMANCE, evidence.Outcome.PASS): lifecycle.Alias.PERF_PASSED,
    (evidence.Gate.PERFORMANCE, evidence.Outcome.FAIL): lifecycle.Alias.PERF_FAILED,
}


@dataclass(frozen=True)
class Evidence:
    """What goes to MLflow beside the verdict. `table`: JSONL that MLflow shows as a table; `dataset`: what was asked."""

    experiment: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Sequence[Path]
    dataset: ports.LoggedDataset | None = None
    table: Path | None = None


def record(
    registry: ports.Registry,
    tracking: ports.Tracking,
    version: ports.Version,
    verdict: evidence.Verdict,
    proof: Evidence,
    output_dir: Path,
) -> str:
    """Evidence first, alias last, so that an alias never stands without its evidence; returns the run's id.

    Inconclusive and error set neither alias; what an earlier run of the gate found stands.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    verdict_file = output_dir / "verdict.json"
    job.write_atomically(verdict_file, json.dumps(evidence.to_dict(verdict), indent=2))
    run_id = tracking.log(
        proof.experiment,
        f"{verdict.gate} {version.model} v{version.number}",
        parameters=proof.parameters,
        metrics=proof.metrics,
        tags={
            "gate": verdict.gate,
            "model": version.model,
            "version": str(version.number),
            "outcome": verdict.outcome,
            "rules": verdict.rules,
            **proof.tags,
        },
        files=[verdict_file, *proof.files],
        dataset=proof.dataset,
        table=proof.table,
    )
    registry.tag(version, {f"{verdict.gate}-run": run_id, f"{verdict.gate}-outcome": verdict.outcome})
    alias = _ALIASES.get((verdict.gate, verdict.outcome))
    if alias is not None:
        registry.apply(version.model, lifecycle.plan_alias(registry.model(version.model).aliases, alias, version.number))
    return run_id


def report(log: job.Log, verdict: evidence.Verdict) -> None:
    """Each check as a line, then the verdict with what to bear in mind."""
    for check in verdict.checks:
        log.metric(
            f"{check.name} ({check.against}): {check.outcome}",
            value=check.value,
            comparison=check.comparison,
            limit=check.limit,
            unit=check.unit,
        )
    for note in verdict.notes:
        log.info(note)
    for other in verdict.others:
        reading = f"{other.reading} reading by " if other.reading else ""
        log.info(f"The {reading}{other.rules} rules would say {other.outcome}: {other.reason}")
    log.info(f"{verdict.gate} gate: {verdict.outcome}. {verdict.reason}", outcome=verdict.outcome, rules=verdict.rules)


def finish(verdict: evidence.Verdict, outputs: Mapping[str, object]) -> Mapping[str, object]:
    """The outputs of a pass.

    Raises:
        GateNotPassed: any other outcome, with the same outputs.
    """
    whole = {**outputs, "outcome": verdict.outcome}
    if verdict.outcome is not evidence.Outcome.PASS:
        raise job.GateNotPassed(f"{verdict.outcome}: {verdict.reason}", whole)
    return whole
