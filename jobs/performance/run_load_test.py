"""Loads the candidate's slot, in turns with live's, times each request and asks the server for its own view. It decides nothing."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy

from controlplane.clients import load_generator, replica_set, vllm_inference
from controlplane.core import (
    datasets,
    errors,
    latency,
    load_plan,
    load_progress,
    load_results,
    prompts,
    sample_table,
    witness,
    workflow_parameters,
)
from jobs import job, records
from jobs.performance import device, plans, server_view

TELL_SECONDS = 5.0


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    text = records.read_text(arguments.eval_file)
    rows = datasets.parse(text, str(arguments.eval_file))
    replica = vllm_inference.VllmReplica(replica_set.first(arguments.vllm_url))
    plan = plans.plan(arguments, plans.slots(_roots(replica), arguments), len(rows))
    sweep = plans.sweep(arguments, plan)
    questions = [load_generator.Prompt(row.id, prompts.messages(row.question, row.context)) for row in rows]
    target = Target(replica, questions, datasets.digest(text))
    log.info(_announced(plan), slots={slot.role: slot.name for slot in plan.slots})
    record = _measure(target, plan, arguments, log)
    record = replace(record, sweep=tuple(_sweep(target, sweep, record.seed, log)))
    _write(record, arguments.output_dir)
    return _outputs(record)


@dataclass(frozen=True)
class Target:
    """The server under test and what it is asked."""

    replica: vllm_inference.VllmReplica
    prompts: Sequence[load_generator.Prompt]
    questions_digest: str


def _measure(target: Target, plan: load_plan.Plan, arguments: argparse.Namespace, log: job.Log) -> load_results.LoadResults:
    """The test between two looks at the server, without the sweep."""
    replica, seed = target.replica, arguments.seed or secrets.randbits(31)
    environment = {**replica.environment(), "device": arguments.device or device.name(replica.address)}
    server_view.settle(arguments.prometheus_url, arguments.prometheus_matcher)
    roots, before = _roots(replica), replica.metrics_text()
    test = _run(target, plan, seed, log)
    if failures := latency.errors_by_class(test.samples):
        log.warning(f"Of {len(test.samples)} requests failed: {', '.join(f'{count} x {name}' for name, count in failures.items())}.")
    claim = witness.claim_of(test, plan.most_in_flight)
    after, roots_after = server_view.read_after(replica.metrics_text, claim, before), _roots_after(replica)
    seen = server_view.watch(
        claim,
        before,
        after,
        vllm_address=replica.address,
        prometheus_url=arguments.prometheus_url,
        matcher=arguments.prometheus_matcher,
    )
    for note in seen.notes:
        log.warning(note)
    return load_results.LoadResults(
        test=test,
        slots={slot.role: load_results.Slot(slot.name, roots[slot.name]) for slot in plan.slots},
        settings=plans.settings(plan, target.questions_digest),
        environment=environment,
        seed=seed,
        sent=claim.sent,
        witness=seen,
        faults=_moved(plan, roots, roots_after),
    )


def _run(target: Target, plan: load_plan.Plan, seed: int, log: job.Log) -> latency.LoadTest:
    rng, teller = numpy.random.default_rng(seed), _Teller(log)
    return load_generator.measure(plan, target.replica.address, target.prompts, rng, on_progress=teller.tell)


def _sweep(target: Target, steps: Sequence[tuple[float, load_plan.Plan]], seed: int, log: job.Log) -> Sequence[load_results.SweepStep]:
    found = []
    for number, (load, plan) in enumerate(steps, start=1):
        log.info(f"Sweep, step {number} of {len(steps)}: {_announced(plan)}")
        found.append(load_results.SweepStep(load, _run(target, plan, seed + number, log)))
    return found


def _roots(replica: vllm_inference.VllmReplica) -> dict[str, str]:
    return {one.name: one.root for one in replica.served()}


def _roots_after(replica: vllm_inference.VllmReplica) -> Mapping[str, str] | None:
    """None for a server that died in the test."""
    try:
        return _roots(replica)
    except (errors.Unreachable, errors.OutsideError):
        return None


def _moved(plan: load_plan.Plan, before: Mapping[str, str], after: Mapping[str, str] | None) -> tuple[str, ...]:
    """Slots that did not answer with one and the same version throughout."""
    if after is None:
        return ("After the test the server did not answer any more.",)
    return tuple(
        f"While the test ran, {slot.name} went from {before[slot.name]} to {after.get(slot.name) or 'nothing'}."
        for slot in plan.slots
        if after.get(slot.name) != before[slot.name]
    )


class _Teller:
    """Progress for the run's page at each call, percentiles for the log now and then."""

    def __init__(self, log: job.Log) -> None:
        self._log = log
        self._told_seconds = 0.0

    def tell(self, now: load_progress.Progress) -> None:
        self._log.progress(now.requests, now.of_requests or now.requests)
        if now.elapsed_seconds - self._told_seconds < TELL_SECONDS:
            return
        self._told_seconds = now.elapsed_seconds
        for slot in now.slots:
            self._log.metric(
                f"{slot.role}: {slot.requests} requests so far",
                p50_latency_seconds=slot.p50_latency_seconds,
                p95_latency_seconds=slot.p95_latency_seconds,
                p95_ttft_seconds=slot.p95_ttft_seconds,
                throughput=slot.throughput,
                errors=dict(slot.errors),
            )


def _announced(plan: load_plan.Plan) -> str:
    if isinstance(plan.loop, load_plan.ClosedLoop):
        load = f"{plan.loop.concurrency} at a time"
    else:
        load = f"{plan.loop.requests_per_second:g} a second ({plan.loop.arrivals} arrivals)"
    names = " and ".join(slot.name for slot in plan.slots)
    turns = f", taking turns in {plan.blocks_per_slot * len(plan.slots)} blocks" if len(plan.slots) > 1 else ""
    return f"Loading {names} with {plan.counted_requests} requests, {load}{turns}."


def _write(record: load_results.LoadResults, output_dir: Path) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    job.write_atomically(output_dir / "samples.parquet", sample_table.to_parquet(record.samples))
    job.write_atomically(output_dir / "results.json", load_results.to_json(record))


def _outputs(record: load_results.LoadResults) -> dict[str, object]:
    summary = latency.summarize_role(record.test, latency.CANDIDATE)
    return {
        "p95-latency": summary.p95_latency_seconds,
        "p95-ttft": summary.p95_ttft_seconds,
        "throughput": summary.throughput,
        "success-rate": summary.success_rate,
        "requests": summary.requests,
        "stopped-by": record.test.stopped_by,
        "server-metrics": record.witness.source,
    }


def parser() -> argparse.ArgumentParser:
    result = job.parser("Load one slot, in turns with live's, and time every request.")
    result.add_argument("--eval-file", type=Path, required=True, help="JSONL of {id, question, context, answer, answerable}")
    result.add_argument("--adapter-name", default="", help="slot to load; empty: <model-name>-candidate")
    result.add_argument("--live-adapter", default="", help="slot to compare with; empty: <model-name>-live")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model; names the slots")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server")
    result.add_argument("--device", default="", help="what the server computes on, such as its GPU; empty: as this machine tells")
    result.add_argument("--prometheus-url", default="", help="Prometheus, for the server's own measures; empty: vLLM's /metrics")
    result.add_argument("--prometheus-matcher", default="", help='labels of the server in Prometheus, such as namespace="ml"')
    _add_load_arguments(result)
    return result


def _add_load_arguments(result: argparse.ArgumentParser) -> None:
    result.add_argument(
        "--baseline", choices=workflow_parameters.BASELINES, default="auto", help="auto: live in turns where its slot has another version"
    )
    result.add_argument("--endpoint", choices=workflow_parameters.ENDPOINTS, default="chat", help="chat or text completions")
    result.add_argument(
        "--loop", choices=workflow_parameters.LOOPS, default="closed", help="closed: a number in flight; open: a rate, however slow"
    )
    result.add_argument("--concurrency", type=job.positive_integer, default=10, help="requests in flight (closed loop)")
    result.add_argument("--rate", type=job.positive_number, default=1.0, help="requests/s (open loop)")
    result.add_argument("--arrivals", choices=workflow_parameters.ARRIVALS, default="poisson", help="of an open loop")
    result.add_argument("--max-in-flight", type=job.positive_integer, default=1000, help="above it an open loop's requests wait")
    result.add_argument("--max-tokens", type=job.positive_integer, default=256, help="most tokens per answer")
    result.add_argument(
        "--requests", type=job.count, default=0, help="of each slot, asking again where questions run out; 0: --max-samples"
    )
    result.add_argument("--max-samples", type=job.count, default=0, help="most questions of each slot; 0: every row once")
    result.add_argument("--blocks", type=job.positive_integer, default=4, help="turns of each slot")
    result.add_argument("--ramp-seconds", type=job.number, default=0.0, help="in which each block's load grows; does not count")
    result.add_argument("--warmup-requests", type=job.count, default=4, help="of each slot, sent first; they do not count")
    result.add_argument("--request-timeout", type=job.positive_number, default=120.0, help="longest time of one request (seconds)")
    result.add_argument("--max-seconds", type=job.number, default=0.0, help="no request begins later; 0: no limit")
    result.add_argument("--precision", type=job.number, default=0.0, help="end when P95 is known to this share, such as 0.1; 0: never")
    result.add_argument("--sweep", type=plans.loads, default=(), help="loads to try after the test on the candidate, such as 1,2,4,8")
    result.add_argument("--seed", type=job.count, default=0, help="of the order of the questions; 0: a fresh one")


if __name__ == "__main__":
    job.run("run-load-test", main, parser().parse_args())
