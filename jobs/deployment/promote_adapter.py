"""Makes a version live, or rolls back: swaps the live slot on every replica, verifies it, and only then moves the aliases.

Run by hand, the alias it is given is its own policy; `--require` asks for more. The control plane promotes through its own journal instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from controlplane import ports
from controlplane.clients import mlflow_registry
from controlplane.core import adapters, errors, lifecycle
from jobs import job
from jobs.deployment import serving


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    registry = mlflow_registry.MlflowRegistry(serving.mlflow_address(arguments.mlflow_tracking_uri))
    return promote(registry, serving.replicas(arguments.vllm_url), arguments, log)


def promote(
    registry: ports.Registry, servers: Sequence[ports.Inference], arguments: argparse.Namespace, log: job.Log
) -> Mapping[str, object]:
    source = _alias(arguments.source_alias)
    required = _alias(arguments.require) if arguments.require else source
    plan = lifecycle.plan_promotion(registry.model(arguments.model_name).aliases, source, required)
    version = registry.resolve(arguments.model_name, f"version:{plan.version}")
    slot = arguments.slot_name or adapters.live_slot(arguments.model_name)
    log.info(
        f"Version {plan.version} becomes live, {f'version {plan.replaces} previous' if plan.replaces else 'the first one'}.",
        deployment=arguments.deployment,
        namespace=arguments.namespace,
    )
    home = serving.adapters_home(arguments.adapters_dir)
    directory = serving.fetch(registry, version, home, serving.limits(servers))
    serving.serve(servers, slot, directory, home, log)
    registry.apply(arguments.model_name, plan.changes)
    _check(registry, arguments.model_name, plan)
    log.info(f"Version {plan.version} is live: {slot} answers from {directory}.", version=plan.version, replaces=plan.replaces)
    return {
        "version": plan.version,
        "replaces": plan.replaces or "",
        "digest": version.digest,
        "directory": directory,
        "slot-name": slot,
        "is-rollback": plan.is_rollback,
    }


def _alias(text: str) -> lifecycle.Alias:
    try:
        return lifecycle.Alias(text)
    except ValueError as error:
        allowed = ", ".join((*lifecycle.PROMOTABLE, lifecycle.Alias.PREVIOUS))
        raise errors.InvalidInput(f"There is no alias {text!r} to promote from.", hint=f"Use one of: {allowed}.") from error


def _check(registry: ports.Registry, model: str, plan: lifecycle.Promotion) -> None:
    """MLflow has no compare-and-set, so what was written is read again."""
    live = registry.model(model).aliases.get(lifecycle.Alias.LIVE)
    if live != plan.version:
        raise errors.Conflict(
            f"Version {live} is live, not {plan.version}.", hint="Somebody else moved the alias meanwhile; look at the history."
        )


def parser() -> argparse.ArgumentParser:
    result = job.parser("Make a version live, or roll back with --source-alias=previous.")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--source-alias", default="staged", help="staged, eval-passed, perf-passed; previous: roll back")
    result.add_argument("--require", default="", help="lowest alias a promotion may start from; empty: the source alias itself")
    result.add_argument("--slot-name", default="", help="slot to load into; empty: <model-name>-live")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server; several separated by commas")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--adapters-dir", type=Path, help="directory the vLLM server reads adapters from; none: this installation's")
    result.add_argument("--deployment", default="vllm", help="Kubernetes deployment of the vLLM server, noted in the log")
    result.add_argument("--namespace", default="ml-models", help="its namespace, noted in the log")
    return result


if __name__ == "__main__":
    job.run("promote-adapter", main, parser().parse_args())
