"""Loads one slot with concurrent questions, times each request and asks the server for its own view. It decides nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy

from controlplane.clients import load_generator, replica_set, vllm_inference
from controlplane.core import adapters, datasets, errors, latency, load_plan, load_progress, prompts, witness
from jobs import job, records
from jobs.performance import server_view


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    rows = datasets.parse(records.read_text(arguments.eval_file), str(arguments.eval_file))
    slot = arguments.adapter_name or adapters.candidate_slot(arguments.model_name)
    replica = vllm_inference.VllmReplica(replica_set.first(arguments.vllm_url))
    root = _root(replica, slot)
    questions = [load_generator.Prompt(row.id, prompts.messages(row.question, row.context)) for row in rows]
    plan = load_plan.Plan(
        slots=(load_plan.Slot(latency.CANDIDATE, slot),),
        loop=load_plan.ClosedLoop(arguments.concurrency),
        max_tokens=arguments.max_tokens,
        requests_per_block=min(arguments.max_samples or len(rows), len(rows)),
        blocks_per_slot=1,
        warmup_requests=arguments.warmup_requests,
        deadline_seconds=arguments.request_timeout,
    )
    log.info(f"Loading {slot} with {plan.counted_requests} requests, {arguments.concurrency} at a time.", slot=slot, root=root)
    before = replica.metrics_text()
    rng = numpy.random.default_rng(arguments.seed)
    measured = load_generator.measure(plan, replica.address, questions, rng, on_progress=lambda now: _tell(log, now))
    claim = witness.claim_of(measured, plan.most_in_flight)
    after = server_view.read_after(replica.metrics_text, claim, before)
    samples = [sample for sample in measured.samples if sample.is_counted]
    summary = latency.summarize(samples, sum(block.ended_seconds - block.steady_from_seconds for block in measured.blocks))
    _check_some_succeeded(measured.samples, replica.address)
    server = server_view.watch(claim, before, after, vllm_address=replica.address, prometheus_url=arguments.prometheus_url)
    for note in server.notes:
        log.warning(note)
    records.write(arguments.output_dir / "samples.jsonl", samples)
    results = {
        "started_at": measured.started_at.isoformat(),
        "ended_at": measured.ended_at.isoformat(),
        "summary": asdict(summary),
        "errors": latency.errors_by_class(samples),
        "settings": {**asdict(plan), "concurrency": arguments.concurrency, "requests": len(samples), "stopped_by": measured.stopped_by},
        "environment": {"vllm_version": replica.version(), "root": root},
        "server": {**witness.to_record(server), "foreign": witness.foreign(claim, server)},
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


def _tell(log: job.Log, progress: load_progress.Progress) -> None:
    log.progress(progress.requests, progress.of_requests or progress.requests)


def _root(replica: vllm_inference.VllmReplica, slot: str) -> str:
    served = {one.name: one.root for one in replica.served()}
    if slot not in served:
        raise errors.NotFound(
            f"vLLM at {replica.address} serves no {slot!r}.", hint=f"It serves: {', '.join(served)}. Run the deployment workflow."
        )
    return served[slot]


def _check_some_succeeded(samples: Sequence[latency.Sample], address: str) -> None:
    if all(sample.error for sample in samples):
        classes = ", ".join(f"{count} x {name}" for name, count in latency.errors_by_class(samples).items())
        raise errors.Unreachable("vLLM", address, f"all {len(samples)} requests failed ({classes})")


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
