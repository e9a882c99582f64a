"""Gate 0: reads a training run's final metrics, and registers its adapter as candidate or says why not. It changes nothing when it says no.

python -m jobs.training.quality_gate --run-id=<id> --model-name=ops-qa
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from controlplane import ports
from controlplane.clients import adapter_files, mlflow_registry
from controlplane.core import adapters, evidence, lifecycle, quality
from jobs import job


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    adapters.check_model_name(arguments.model_name)
    limits = quality.check_limits(quality.Limits(arguments.max_eval_loss, arguments.max_perplexity))
    run = mlflow_registry.MlflowTracking(arguments.mlflow_tracking_uri).run(arguments.run_id)
    verdict = quality.decide(run.metrics, limits)
    for check in verdict.checks:
        log.metric(f"{check.name} {check.outcome}", value=check.value, limit=check.limit)
    if verdict.outcome is not evidence.Outcome.PASS:
        raise job.GateNotPassed(verdict.reason, {"outcome": str(verdict.outcome)})
    registry = mlflow_registry.MlflowRegistry(arguments.mlflow_tracking_uri)
    digest = _digest(registry, arguments.model_name, run.id)
    version = _registered(registry, arguments.model_name, run.id) or registry.register(arguments.model_name, run.id, _tags(run, digest))
    aliases = registry.model(arguments.model_name).aliases
    registry.apply(arguments.model_name, lifecycle.plan_alias(aliases, lifecycle.Alias.CANDIDATE, version.number))
    log.info(f"version {version.number} of {arguments.model_name} is candidate", digest=digest, run_id=run.id)
    return {"version": version.number, "digest": digest, "outcome": str(verdict.outcome), "reason": verdict.reason}


def _digest(registry: ports.Registry, model: str, run_id: str) -> adapters.Digest:
    """The digest of the files as MLflow holds them, so that what is registered is what will be served."""
    unregistered = ports.Version(model, 0, run_id, datetime.now(UTC))
    with tempfile.TemporaryDirectory() as temporary:
        return adapter_files.digest_of(registry.download(unregistered, Path(temporary)))


def _registered(registry: ports.Registry, model: str, run_id: str) -> ports.Version | None:
    """The version an earlier try of this step made, so that a retry makes no second one."""
    if model not in {known.name for known in registry.models()}:
        return None
    return next((version for version in registry.versions(model) if version.run_id == run_id), None)


def _tags(run: ports.TrackedRun, digest: adapters.Digest) -> dict[str, str]:
    return {
        "digest": digest,
        "data-version": run.tags.get("data.version", ""),
        "dataset": run.tags.get("dataset", ""),
        "dataset-digest": run.tags.get("dataset.digest", ""),
        "lora-config": run.parameters.get("lora_config", ""),
        "base-model": Path(run.parameters.get("base_model", "")).name,
        "eval_loss": f"{run.metrics[quality.EVAL_LOSS]:.6f}",
        "perplexity": f"{run.metrics[quality.PERPLEXITY]:.6f}",
    }


def parser() -> argparse.ArgumentParser:
    limits = quality.Limits()
    result = job.parser("Check a training run's metrics and register its adapter as candidate.")
    result.add_argument("--run-id", required=True, help="MLflow run of the training")
    result.add_argument("--model-name", default="mistral-7b-lora", help="registered model to add the version to")
    result.add_argument("--max-eval-loss", type=float, default=limits.max_eval_loss, help="highest eval loss (nats per answer token)")
    result.add_argument("--max-perplexity", type=float, default=limits.max_perplexity, help="highest perplexity")
    result.add_argument("--mlflow-tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="MLflow server")
    return result


if __name__ == "__main__":
    job.run("quality-gate", main, parser().parse_args())
