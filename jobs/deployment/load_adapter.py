"""Fetches a registered version and loads it into the candidate slot of the running server. It moves no alias."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from controlplane import ports
from controlplane.clients import mlflow_registry
from controlplane.core import adapters, errors
from jobs import job
from jobs.deployment import serving


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    registry = mlflow_registry.MlflowRegistry(serving.mlflow_address(arguments.mlflow_tracking_uri))
    return load(registry, serving.replicas(arguments.vllm_url), arguments, log)


def load(registry: ports.Registry, servers: Sequence[ports.Inference], arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    slot = arguments.slot_name or adapters.candidate_slot(arguments.model_name)
    version = registry.resolve(arguments.model_name, arguments.source)
    _refuse_live_slot(registry, slot, version)
    log.info(f"{arguments.source} is version {version.number}.", version=version.number, digest=version.digest)
    home = serving.adapters_home(arguments.adapters_dir)
    directory = serving.fetch(registry, version, home, serving.limits(servers))
    serving.serve(servers, slot, directory, home, log)
    log.info(f"{slot} answers from {directory}.", slot=slot, directory=str(directory))
    return {
        "version": version.number,
        "digest": version.digest,
        "directory": directory,
        "slot-name": slot,
        "source": f"version:{version.number}",
    }


def _refuse_live_slot(registry: ports.Registry, slot: str, version: ports.Version) -> None:
    """The live slot serves users; only a promotion may change what answers there."""
    if slot == adapters.live_slot(version.model) and registry.model(version.model).aliases.get("live") != version.number:
        raise errors.Refused(f"{slot} is the live slot.", hint="Stage the version in the candidate slot and promote it.")


def parser() -> argparse.ArgumentParser:
    result = job.parser("Load a registered adapter into the candidate slot.")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--source", default="alias:candidate", help="which version: alias:<alias> or version:<number>")
    result.add_argument("--slot-name", default="", help="slot to load into; empty: <model-name>-candidate")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server; several separated by commas")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--adapters-dir", type=Path, help="directory the vLLM server reads adapters from; none: this installation's")
    return result


if __name__ == "__main__":
    job.run("load-adapter", main, parser().parse_args())
