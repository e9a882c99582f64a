"""Loads one slot with concurrent questions, times each request and asks the server for its own view. It decides nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from controlplane.clients import load_generator, replica_set, vllm_inference
from controlplane.core import adapters, datasets, errors, latency, prompts, witness
from jobs import job, records
from jobs.performance import server_view

Prompts = Sequence[load_generator.Prompt]


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    rows = datasets.parse(records.read_text(arguments.eval_file), str(arguments.eval_file))
    slot = arguments.adapter_name or adapters.candidate_slot(arguments.model_name)
    replica = vllm_inference.VllmReplica(replica_set.first(arguments.vllm_url))
    root = _root(replica, slot)
    load = load_generator.Load(
        replica.address, slot, arguments.concurrency, arguments.max_tokens, arguments.request_timeout, seed=arguments.seed
    )
    warm, measured_prompts = split_prompts(rows, arguments.max_samples, arguments.warmup_requests)
    log.info(f"Loading {slot} with {len(measured_prompts)} requests, {load.concurrency} at a time.", slot=slot, root=root)
    before, started_at = replica.metrics_text(), datetime.now(UTC)
    warmed = asyncio.run(load_generator.run(load, warm)).samples if warm else ()
    if warm:
        log.info(f"Warmed up with {len(warm)} requests, which do not count.")
    measured = asyncio.run(load_generator.run(load, measured_prompts, lambda done: log.progress(done, len(measured_prompts))))
    after = replica.metrics_text()
    summary = latency.summarize(measured.samples, measured.duration_seconds)
    _check_some_succeeded(measured.samples, load)
    every = (*warmed, *measured.samples)
    succeeded = sum(not sample.error for sample in every)
    claim = witness.Claim(started_at, measured.ended_at, len(every), succeeded, load.concurrency)
    server = server_view.watch(claim, before, after, vllm_address=replica.address, prometheus_url=arguments.prometheus_url)
    for note in server.notes:
        log.warning(note)
    records.write(arguments.output_dir / "samples.jsonl", measured.samples)
    results = {
        "started_at": measured.started_at.isoformat(),
        "ended_at": measured.ended_at.isoformat(),
        "summary": asdict(summary),
        "errors": latency.errors_by_class(measured.samples),
        "settings": {**asdict(load), "requests": len(measured_prompts), "warmup_requests": len(warm)},
        "environment": {"vllm_version": replica.version(), "root": root},
        "server": {**witness.to_record(server), "foreign": max(0.0, server.finished - len(every)) if server.finished is not None else None},
    }
    job.write_atomically(arguments.output_dir / "results.json", json.dumps(results, indent=2))
    log.metric("load test done", **latency.to_metrics(summary), errors=results["errors"])
    return {
        "p95-latency": summary.p95_latency_seconds,
        "p95-ttft": summary.p95_ttft_seconds,
        "throughput": summary.throughput,
        "success-rate": summary.success_rate,
        "requests": summary.requests,
        "server-metrics": server.source,
    }


def split_prompts(rows: Sequence[datasets.Row], max_samples: int, warmup_requests: int) -> tuple[Prompts, Prompts]:
    """(warm-up, measured). They share no prompt where the rows allow it, so that the prefix cache helps no measured request."""
    count = min(max_samples, len(rows)) if max_samples else len(rows)
    every = [load_generator.Prompt(row.id, prompts.messages(row.question, row.context)) for row in rows]
    spare = every[count:] or every
    return spare[:warmup_requests], every[:count]


def _root(replica: vllm_inference.VllmReplica, slot: str) -> str:
    served = {one.name: one.root for one in replica.served()}
    if slot not in served:
        raise errors.NotFound(
            f"vLLM at {replica.address} serves no {slot!r}.", hint=f"It serves: {', '.join(served)}. Run the deployment workflow."
        )
    return served[slot]


def _check_some_succeeded(samples: Sequence[latency.Sample], load: load_generator.Load) -> None:
    if all(sample.error for sample in samples):
        classes = ", ".join(f"{count} x {name}" for name, count in latency.errors_by_class(samples).items())
        raise errors.Unreachable("vLLM", load.address, f"all {len(samples)} requests failed ({classes})")


def parser() -> argparse.ArgumentParser:
    result = job.parser("Load one slot with concurrent questions and time every request.")
    result.add_argument("--eval-file", type=Path, required=True, help="JSONL of {id, question, context, answer, answerable}")
    result.add_argument("--adapter-name", default="", help="slot to load; empty: <model-name>-candidate")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model; names the slot")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server")
    result.add_argument("--prometheus-url", default="", help="Prometheus, for the server's own measures; empty: vLLM's /metrics")
    result.add_argument("--concurrency", type=job.positive_integer, default=10, help="requests in flight")
    result.add_argument("--max-tokens", type=job.positive_integer, default=256, help="most tokens per answer")
    result.add_argument("--max-samples", type=job.count, default=0, help="most requests; 0: every row once")
    result.add_argument("--warmup-requests", type=job.count, default=4, help="requests sent first that do not count")
    result.add_argument("--request-timeout", type=job.positive_number, default=120.0, help="longest time of one request (seconds)")
    result.add_argument("--seed", type=int, default=0, help="seed of the order of the questions")
    return result


if __name__ == "__main__":
    job.run("run-load-test", main, parser().parse_args())
