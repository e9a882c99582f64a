"""Marks a version staged, after it was loaded and answered. It checks neither: the steps before it do."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from controlplane import ports
from controlplane.clients import mlflow_registry
from controlplane.core import fingerprints, lifecycle
from jobs import job, records
from jobs.deployment import serving


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    registry = mlflow_registry.MlflowRegistry(serving.mlflow_address(arguments.mlflow_tracking_uri))
    return stage(registry, arguments, log, datetime.now(UTC))


def stage(registry: ports.Registry, arguments: argparse.Namespace, log: job.Log, now: datetime) -> Mapping[str, object]:
    version = registry.resolve(arguments.model_name, arguments.source)
    aliases = registry.model(arguments.model_name).aliases
    registry.tag(version, {"staged-at": now.isoformat(timespec="seconds"), **_fingerprint(arguments.fingerprint_file)})
    registry.apply(arguments.model_name, lifecycle.plan_alias(aliases, lifecycle.Alias.STAGED, version.number))
    log.info(f"Version {version.number} of {arguments.model_name} is staged.", version=version.number)
    return {"version": version.number, "alias": lifecycle.Alias.STAGED}


def _fingerprint(file: Path | None) -> dict[str, str]:
    """The smoke test's fingerprint as a tag, checked to be one. Raises InvalidInput."""
    found = fingerprints.from_text(records.read_text(file)) if file else None
    return {fingerprints.TAG: fingerprints.to_text(found)} if found else {}


def parser() -> argparse.ArgumentParser:
    result = job.parser("Set the alias staged.")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--source", default="alias:candidate", help="which version: alias:<alias> or version:<number>")
    result.add_argument("--fingerprint-file", type=Path, help="the smoke test's fingerprint.json; none: nothing is recorded")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    return result


if __name__ == "__main__":
    job.run("set-staged-alias", main, parser().parse_args())
