"""Gate 2: holds a test against the floors and the baseline, records the evidence, sets perf-passed or perf-failed. It sends nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy

from controlplane import ports, settings
from controlplane.clients import mlflow_registry
from controlplane.core import (
    evidence,
    gates,
    latency,
    load_gate,
    load_measures,
    load_results,
    saturation,
    workflow_parameters,
)
from jobs import job, lineage, records, verdicts
from jobs.performance import baselines

REFERENCE_CONCURRENCY = 10
# Of the resampling in a throughput's interval: the same test gives the same verdict.
RESAMPLING_SEED = 0


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    url = arguments.mlflow_tracking_uri or settings.load().mlflow_url
    return decide(mlflow_registry.MlflowRegistry(url), mlflow_registry.MlflowTracking(url), arguments, log)


def decide(registry: ports.Registry, tracking: ports.Tracking, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    thresholds = _thresholds(arguments)
    record = read(arguments)
    version = registry.resolve(arguments.model_name, f"version:{arguments.version}" if arguments.version else "alias:eval-passed")
    baseline = baselines.find(registry, tracking, version, record, arguments)
    generator = numpy.random.default_rng(RESAMPLING_SEED)
    candidate = load_measures.measure(record.test, latency.CANDIDATE, thresholds, generator)
    other = load_measures.measure(baseline.test, baseline.role, thresholds, generator) if baseline.test else None
    notes = (baseline.note, *_notes(record))
    verdict = load_gate.decide(candidate, other, thresholds, record.witness, evidence.RuleSet(arguments.rules), notes)
    if faults := (*baselines.wrong_versions(registry, version, record), *record.faults):
        verdict = load_gate.undecided(verdict, " ".join(faults))
    verdicts.report(log, verdict)
    proof = verdicts.Evidence(
        experiment=arguments.mlflow_experiment,
        parameters={name: str(value) for name, value in {**asdict(thresholds), **record.settings, **_how(arguments, record)}.items()},
        metrics={**_metrics(candidate, other, thresholds), **_witness_metrics(record)},
        tags=_tags(version, baseline, record, arguments.data_version),
        files=_files(record, thresholds, arguments),
        dataset=lineage.dataset(version, arguments.eval_file, arguments.data_version, arguments.data_source)
        if arguments.eval_file
        else None,
    )
    run_id = verdicts.record(registry, tracking, version, verdict, proof, arguments.output_dir)
    shown = _shown(latency.summarize_role(record.test, latency.CANDIDATE))
    registry.tag(version, {name.replace("-", "_"): str(value) for name, value in shown.items()})
    return verdicts.finish(verdict, {"mlflow-run": run_id, "version": version.number, "baseline-run": baseline.run_id, **shown})


def read(arguments: argparse.Namespace) -> load_results.LoadResults:
    """Raises InvalidInput."""
    return load_results.from_files(records.read_text(arguments.results_file), records.read_bytes(arguments.samples_file))


def _thresholds(arguments: argparse.Namespace) -> gates.LoadThresholds:
    return gates.LoadThresholds(
        max_p95_latency_seconds=arguments.max_p95_latency,
        max_p95_ttft_seconds=arguments.max_p95_ttft,
        min_throughput=arguments.min_throughput,
        min_success_rate=arguments.min_success_rate,
        latency_regression_factor=arguments.latency_regression_factor,
        throughput_regression_factor=arguments.throughput_regression_factor,
        success_margin=arguments.success_margin,
        level=arguments.level,
    )


def _notes(record: load_results.LoadResults) -> tuple[str, ...]:
    concurrency = int(record.settings.get("concurrency", REFERENCE_CONCURRENCY))
    if concurrency < REFERENCE_CONCURRENCY:
        return (f"Lowered: concurrency {concurrency} instead of {REFERENCE_CONCURRENCY}.",)
    return ()


def _how(arguments: argparse.Namespace, record: load_results.LoadResults) -> dict[str, object]:
    return {"rules": arguments.rules, "baseline": arguments.baseline, "seed": record.seed, "stopped_by": record.test.stopped_by}


def _metrics(candidate: load_measures.Source, baseline: load_measures.Source | None, thresholds: gates.LoadThresholds) -> dict[str, float]:
    """`p95_latency_seconds` with `_low` and `_high`, and so on; the baseline's with `baseline_` in front."""
    other = load_measures.metrics(baseline, thresholds) if baseline else {}
    return {**load_measures.metrics(candidate, thresholds), **{f"baseline_{name}": value for name, value in other.items()}}


def _witness_metrics(record: load_results.LoadResults) -> dict[str, float]:
    seen = record.witness
    edges = {
        f"{name}_{edge}": value
        for name, quantile in seen.quantiles.items()
        for edge, value in asdict(quantile).items()
        if numpy.isfinite(value)
    }
    counted = {"sent": float(record.sent), **({} if seen.finished is None else {"finished": seen.finished})}
    return {f"server_{name}": float(value) for name, value in {**counted, **edges, **seen.values}.items()}


def _tags(version: ports.Version, baseline: baselines.Baseline, record: load_results.LoadResults, data_version: str) -> dict[str, str]:
    return {
        "digest": version.digest,
        "dataset": version.tags.get("dataset", ""),
        "dataset.digest": record.settings.get("questions", ""),
        "data.version": data_version or version.tags.get("data-version", ""),
        "baseline": baseline.kind,
        "baseline-run": baseline.run_id,
        "baseline-version": str(baseline.version or ""),
        "witness": record.witness.agreement.value,
        **baselines.environment_tags(record.environment),
    }


def _files(record: load_results.LoadResults, thresholds: gates.LoadThresholds, arguments: argparse.Namespace) -> list[Path]:
    """Copies under the names by which readers of the MLflow run know them."""
    own = arguments.output_dir
    own.mkdir(parents=True, exist_ok=True)
    job.write_atomically(own / "results.json", records.read_text(arguments.results_file))
    job.write_atomically(own / "samples.parquet", records.read_bytes(arguments.samples_file))
    points = [asdict(point) for point in saturation.points(record.sweep, thresholds)]
    job.write_atomically(own / "sweep.json", json.dumps(points, indent=2))
    return [own / "results.json", own / "samples.parquet", own / "sweep.json"]


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
    result.add_argument("--samples-file", type=Path, required=True, help="samples.parquet of run_load_test")
    result.add_argument("--eval-file", type=Path, help="the questions that were asked, for the record")
    result.add_argument("--data-source", default="", help="where they came from, noted on the run")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--version", type=job.positive_integer, help="version under test; none: the one with eval-passed")
    result.add_argument("--data-version", default="", help="version of the data, noted on the run; empty: the version's own")
    result.add_argument("--baseline", choices=workflow_parameters.BASELINES, default="auto", help="none: the floors alone decide")
    result.add_argument("--rules", choices=workflow_parameters.RULE_SETS, default="interval", help="which decide; both are computed")
    result.add_argument("--max-p95-latency", type=float, default=own.max_p95_latency_seconds, help="seconds")
    result.add_argument("--max-p95-ttft", type=float, default=own.max_p95_ttft_seconds, help="seconds")
    result.add_argument("--min-throughput", type=float, default=own.min_throughput, help="requests/s")
    result.add_argument("--min-success-rate", type=float, default=own.min_success_rate, help="fraction of one")
    result.add_argument("--latency-regression-factor", type=float, default=own.latency_regression_factor, help="of the baseline")
    result.add_argument("--throughput-regression-factor", type=float, default=own.throughput_regression_factor, help="of the baseline")
    result.add_argument("--success-margin", type=float, default=own.success_margin, help="lower than the baseline's that is no worse")
    result.add_argument("--level", type=float, default=own.level, help="level of the confidence intervals")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--mlflow-experiment", default="vllm-lora-performance", help="MLflow experiment of the load tests")
    return result


if __name__ == "__main__":
    job.run("perf-decision", main, parser().parse_args())
