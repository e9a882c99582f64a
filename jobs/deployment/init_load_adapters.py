"""Restores what the registry says is served: live into the live slot, staged into the candidate slot; a fresh registry has neither.

With `--files-only` it runs before the server (as an init container) and only lays the files where the server will read them.
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
    return restore(registry, [] if arguments.files_only else serving.replicas(arguments.vllm_url), arguments, log)


def restore(
    registry: ports.Registry, servers: Sequence[ports.Inference], arguments: argparse.Namespace, log: job.Log
) -> Mapping[str, object]:
    wanted = {
        arguments.live_slot or adapters.live_slot(arguments.model_name): lifecycle.Alias.LIVE,
        arguments.candidate_slot or adapters.candidate_slot(arguments.model_name): lifecycle.Alias.STAGED,
    }
    aliases, home, outputs = _aliases(registry, arguments.model_name), serving.adapters_home(arguments.adapters_dir), dict[str, object]()
    for slot, alias in wanted.items():
        if alias not in aliases:
            log.info(f"No version of {arguments.model_name} is {alias}; {slot} stays empty.", alias=alias)
            continue
        version = registry.resolve(arguments.model_name, f"version:{aliases[alias]}")
        directory = serving.fetch(registry, version, home, serving.limits(servers))
        serving.serve(servers, slot, directory, home, log)
        log.info(f"{alias} version {aliases[alias]} is in {directory}.", slot=slot)
        outputs |= {f"{alias}-version": aliases[alias], f"{alias}-directory": directory}
    return {"restored": len(outputs) // 2, **outputs}


def _aliases(registry: ports.Registry, model: str) -> Mapping[str, int]:
    try:
        return registry.model(model).aliases
    except errors.NotFound:
        return {}


def parser() -> argparse.ArgumentParser:
    result = job.parser("Restore the live and staged adapters after a cold start.")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--live-slot", default="", help="empty: <model-name>-live")
    result.add_argument("--candidate-slot", default="", help="empty: <model-name>-candidate")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server; several separated by commas")
    result.add_argument("--files-only", action="store_true", help="lay the files out and ask no server to load them")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--adapters-dir", type=Path, help="directory the vLLM server reads adapters from; none: this installation's")
    return result


if __name__ == "__main__":
    job.run("init-load-adapters", main, parser().parse_args())
