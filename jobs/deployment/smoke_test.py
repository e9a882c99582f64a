"""Asks a slot a few questions with known contexts: does it answer, and fast enough? Whether the answers are good is Gate 1's business."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane import ports
from controlplane.clients import replica_set, vllm_inference
from controlplane.core import datasets, errors, fingerprints, prompts
from jobs import job, records

# What the slot answers to the fixed prompts; later swaps are held against it.
FINGERPRINT_FILE = "fingerprint.json"

QUESTIONS = (
    datasets.Row("smoke-1", "Which port does ssh use?", "The ssh service listens on port 22 over tcp.", "22", True),
    datasets.Row("smoke-2", "What does HTTP status 404 mean?", "HTTP status 404 means Not Found.", "Not Found", True),
    datasets.Row("smoke-3", "Who wrote the first ntp server?", "The ntp service listens on port 123 over udp.", prompts.REFUSAL, False),
)


@dataclass(frozen=True)
class Reply:
    """One request; `fault` is empty when the reply passes."""

    id: str
    question: str
    answer: str
    latency_seconds: float | None
    fault: str


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    address = replica_set.first(arguments.vllm_url)
    return smoke(vllm_inference.VllmReplica(address, answer_seconds=arguments.max_latency + 5), arguments, log)


def smoke(replica: ports.Inference, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    served = [one.name for one in replica.served()]
    if arguments.adapter_name not in served:
        raise errors.NotFound(
            f"vLLM at {replica.address} serves no {arguments.adapter_name!r}.",
            hint=f"It serves: {', '.join(served)}. Run load_adapter first.",
        )
    replies = []
    for number in range(arguments.num_requests):
        reply = _ask(replica, arguments.adapter_name, QUESTIONS[number % len(QUESTIONS)], arguments.max_tokens, arguments.max_latency)
        replies.append(reply)
        log.progress(number + 1, arguments.num_requests, reply.fault or f"answered {reply.answer!r}", latency_seconds=reply.latency_seconds)
    records.write(arguments.output_dir / "replies.jsonl", replies)
    found = replica.fingerprint(arguments.adapter_name)
    job.write_atomically(arguments.output_dir / FINGERPRINT_FILE, fingerprints.to_text(found))
    failed = [reply for reply in replies if reply.fault]
    times = [reply.latency_seconds for reply in replies if reply.latency_seconds is not None]
    outputs = {"passed": len(replies) - len(failed), "requests": len(replies), "longest-seconds": max(times, default="")}
    if failed:
        raise job.GateNotPassed(f"{len(failed)} of {len(replies)} smoke requests failed; the first: {failed[0].fault}", outputs)
    return outputs


def _ask(replica: ports.Inference, slot: str, row: datasets.Row, max_tokens: int, max_latency_seconds: float) -> Reply:
    """A request that failed or timed out is a finding about the slot, not a reason to try the step again."""
    try:
        answer = replica.chat(slot, prompts.messages(row.question, row.context), max_tokens=max_tokens)
    except (errors.Unreachable, errors.OutsideError) as fault:
        return Reply(row.id, row.question, "", None, str(fault))
    fault_text = ""
    if not answer.text.strip():
        fault_text = "The answer is empty."
    elif answer.total_seconds > max_latency_seconds:
        fault_text = f"The answer took {answer.total_seconds:.1f} s, more than {max_latency_seconds:g} s."
    return Reply(row.id, row.question, answer.text, answer.total_seconds, fault_text)


def parser() -> argparse.ArgumentParser:
    result = job.parser("Ask a slot a few questions; check that it answers in time.")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server; of several the first is asked")
    result.add_argument("--adapter-name", default="aws-rag-qa-candidate", help="slot to ask")
    result.add_argument("--num-requests", type=job.positive_integer, default=3, help="number of questions")
    result.add_argument("--max-latency", type=job.positive_number, default=30.0, help="longest answer time (seconds)")
    result.add_argument("--max-tokens", type=job.positive_integer, default=24, help="longest answer in tokens")
    return result


if __name__ == "__main__":
    job.run("smoke-test", main, parser().parse_args())
