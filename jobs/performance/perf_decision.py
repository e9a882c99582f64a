"""Gate 2: holds a test against the floors and the baseline, records the evidence, sets perf-passed or perf-failed. It sends nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controlplane import ports, settings
from controlplane.clients import mlflow_registry
from controlplane.core import errors, evidence, gates, latency, lifecycle
from jobs import job, records, verdicts

REFERENCE_CONCURRENCY = 10
# Latency under another load is another question, so a baseline counts only when these are equal.
COMPARED_SETTINGS = ("concurrency", "max_tokens")


@dataclass(frozen=True)
class Baseline:
    """`note` says why there is no summary, or which one it is."""

    note: str = ""
    summary: latency.LoadSummary | None = None
    run_id: str = ""
    version: int | None = None


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    url = arguments.mlflow_tracking_uri or settings.load().mlflow_url
    return decide(mlflow_registry.MlflowRegistry(url), mlflow_registry.MlflowTracking(url), arguments, log)


def decide(registry: ports.Registry, tracking: ports.Tracking, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    thresholds = _thresholds(arguments)
    results = _results(arguments.results_file)
    samples = records.read(arguments.samples_file, latency.Sample)
    summary = latency.summarize(samples, float(results["summary"]["duration_seconds"]))
    version = registry.resolve(arguments.model_name, f"version:{arguments.version}" if arguments.version else "alias:eval-passed")
    baseline = find_baseline(registry, tracking, version, arguments.mlflow_experiment, results["settings"])
    notes = (*([baseline.note] if baseline.note else []), *_notes(results))
    verdict = gates.evaluate_performance(summary, baseline.summary, thresholds, notes=notes)
    verdicts.report(log, verdict)
    proof = verdicts.Evidence(
        experiment=arguments.mlflow_experiment,
        parameters=_parameters(thresholds, results),
        metrics={**latency.to_metrics(summary), **_server_metrics(results)},
        tags=_tags(version, baseline, results, arguments.data_version),
        files=_files(arguments),
    )
    run_id = verdicts.record(registry, tracking, version, verdict, proof, arguments.output_dir)
    shown = _shown(summary)
    registry.tag(version, {name.replace("-", "_"): str(value) for name, value in shown.items()})
    return verdicts.finish(verdict, {"mlflow-run": run_id, "version": version.number, "baseline-run": baseline.run_id, **shown})


def find_baseline(
    registry: ports.Registry, tracking: ports.Tracking, version: ports.Version, experiment: str, wanted: Mapping[str, object]
) -> Baseline:
    """The newest passed load test of the live version under the same load."""
    live = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if live is None:
        return Baseline("First deploy: nothing is live, so only the floors decide.")
    if live == version.number:
        return Baseline(f"Version {live} is live itself, so only the floors decide.")
    tags = {"model": version.model, "version": str(live), "gate": evidence.Gate.PERFORMANCE.value, "outcome": evidence.Outcome.PASS.value}
    for run in tracking.search(experiment, tags):
        if all(run.parameters.get(name) == str(wanted.get(name)) for name in COMPARED_SETTINGS):
            note = f"Baseline: version {live}, MLflow run {run.id[:8]}."
            return Baseline(note, latency.from_metrics(run.metrics), run.id, live)
    load = ", ".join(f"{name.replace('_', ' ')} {wanted.get(name)}" for name in COMPARED_SETTINGS)
    return Baseline(f"Live version {live} has no passed load test with {load}, so only the floors decide.")


def _thresholds(arguments: argparse.Namespace) -> gates.LoadThresholds:
    return gates.LoadThresholds(
        max_p95_latency_seconds=arguments.max_p95_latency,
        max_p95_ttft_seconds=arguments.max_p95_ttft,
        min_throughput=arguments.min_throughput,
        min_success_rate=arguments.min_success_rate,
        latency_regression_factor=arguments.latency_regression_factor,
        throughput_regression_factor=arguments.throughput_regression_factor,
    )


def _results(file: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        results: Mapping[str, Mapping[str, Any]] = json.loads(records.read_text(file))
        _ = results["summary"]["duration_seconds"], results["settings"]["concurrency"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise errors.InvalidInput(f"{file} is not the result of a load test: {error!r}.", hint="Run run_load_test again.") from error
    return results


def _notes(results: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    notes = []
    concurrency = int(str(results["settings"]["concurrency"]))
    if concurrency < REFERENCE_CONCURRENCY:
        notes.append(f"Lowered: concurrency {concurrency} instead of {REFERENCE_CONCURRENCY}.")
    foreign = results.get("server", {}).get("foreign")
    if isinstance(foreign, int | float) and foreign > 0:
        notes.append(f"The server finished {foreign:g} requests that this test did not send; the times include their load.")
    return tuple(notes)


def _parameters(thresholds: gates.LoadThresholds, results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(value) for name, value in {**asdict(thresholds), **results["settings"]}.items()}


def _server_metrics(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    server = results.get("server", {})
    return {f"server_{name}": float(value) for name, value in server.items() if isinstance(value, int | float)}


def _tags(version: ports.Version, baseline: Baseline, results: Mapping[str, Mapping[str, Any]], data_version: str) -> dict[str, str]:
    return {
        "digest": version.digest,
        "dataset": version.tags.get("dataset", ""),
        "data.version": data_version or version.tags.get("data-version", ""),
        "baseline-run": baseline.run_id,
        "baseline-version": str(baseline.version or ""),
        "vllm.version": str(results.get("environment", {}).get("vllm_version", "")),
    }


def _files(arguments: argparse.Namespace) -> list[Path]:
    """Copies under the names by which readers of the MLflow run know them."""
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    copies = []
    for source, name in ((arguments.results_file, "results.json"), (arguments.samples_file, "samples.jsonl")):
        job.write_atomically(arguments.output_dir / name, records.read_text(source))
        copies.append(arguments.output_dir / name)
    return copies


def _shown(summary: latency.LoadSummary) -> dict[str, float]:
    values = {
        "p95-latency": summary.p95_latency_seconds,
        "p95-ttft": summary.p95_ttft_seconds,
        "throughput": summary.throughput,
        "success-rate": summary.success_rate,
    }
    return {name: value for name, value in values.items() if value is not None}


def parser() -> argparse.ArgumentParser:
    own = gates.LoadThresholds()
    result = job.parser("Gate 2: decide on a load test and record the verdict.")
    result.add_argument("--results-file", type=Path, required=True, help="results.json of run_load_test")
    result.add_argument("--samples-file", type=Path, required=True, help="samples.jsonl of run_load_test")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--version", type=job.positive_integer, help="version under test; none: the one with eval-passed")
    result.add_argument("--data-version", default="", help="version of the data, noted on the run; empty: the version's own")
    result.add_argument("--max-p95-latency", type=float, default=own.max_p95_latency_seconds, help="seconds")
    result.add_argument("--max-p95-ttft", type=float, default=own.max_p95_ttft_seconds, help="seconds")
    result.add_argument("--min-throughput", type=float, default=own.min_throughput, help="requests/s")
    result.add_argument("--min-success-rate", type=float, default=own.min_success_rate, help="fraction of one")
    result.add_argument("--latency-regression-factor", type=float, default=own.latency_regression_factor, help="of the baseline")
    result.add_argument("--throughput-regression-factor", type=float, default=own.throughput_regression_factor, help="of the baseline")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--mlflow-experiment", default="vllm-lora-performance", help="MLflow experiment of the load tests")
    return result


if __name__ == "__main__":
    job.run("perf-decision", main, parser().parse_args())
