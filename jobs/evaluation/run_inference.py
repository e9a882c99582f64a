"""Asks one slot every question of the eval split and writes the answers. It grades nothing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from controlplane import ports
from controlplane.clients import replica_set, vllm_inference
from controlplane.core import adapters, datasets, errors, prompts
from jobs import job, records
from jobs.evaluation import answers

# Above this share of failed requests the server is at fault, and grading what is left would say nothing about the adapter.
MAX_FAILED_RATE = 0.10


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    rows = datasets.parse(records.read_text(arguments.eval_file), str(arguments.eval_file))
    return infer(vllm_inference.VllmReplica(replica_set.first(arguments.vllm_url)), rows, arguments, log)


def infer(replica: ports.Inference, rows: Sequence[datasets.Row], arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    answers_file = arguments.output_dir / "answers.jsonl"
    if arguments.role == "base" and arguments.allow_missing and not (arguments.compare_base or arguments.adapter_name):
        return _skipped(answers_file, "", "The base model is not asked: nobody wished to compare with it.", log)
    served = {one.name: one for one in replica.served()}
    slot = slot_name(arguments.adapter_name, arguments.model_name, arguments.role, list(served.values()))
    if slot not in served:
        if arguments.allow_missing:
            return _skipped(answers_file, slot, f"Nothing is served as {slot}, so nothing is asked.", log)
        raise errors.NotFound(
            f"vLLM at {replica.address} serves no {slot!r}.", hint=f"It serves: {', '.join(served)}. Run the deployment workflow."
        )
    log.info(f"Asking {slot} {len(rows)} questions.", slot=slot, root=served[slot].root, max_concurrent=arguments.max_concurrent)
    answered = asyncio.run(
        ask_all(
            replica,
            slot,
            rows,
            role=arguments.role,
            max_concurrent=arguments.max_concurrent,
            max_tokens=arguments.max_tokens,
            on_done=lambda done: log.progress(done, len(rows), f"{done} of {len(rows)} questions answered"),
        )
    )
    records.write(answers_file, answered)
    failed = [row for row in answered if row.error]
    _check_failures(failed, len(answered), replica.address, log)
    return {"status": "done", "slot": slot, "root": served[slot].root, "answered": len(answered) - len(failed), "failed": len(failed)}


def slot_name(adapter_name: str, model_name: str, role: str, served: Sequence[ports.Served]) -> str:
    """The name to ask: as given, else the slot of the role; the base model is the first served that has no parent.

    Raises:
        NotFound: the server has no base model to ask.
    """
    if adapter_name:
        return adapter_name
    match role:
        case "candidate":
            return adapters.candidate_slot(model_name)
        case "live":
            return adapters.live_slot(model_name)
        case _:
            base = [one.name for one in served if not one.parent]
            if not base:
                raise errors.NotFound("The server lists no base model.", hint="Name it with --adapter-name.")
            return base[0]


async def ask_all(
    replica: ports.Inference,
    slot: str,
    rows: Sequence[datasets.Row],
    *,
    role: str,
    max_concurrent: int,
    max_tokens: int,
    on_done: Callable[[int], None],
) -> list[answers.Answered]:
    """Answers in the rows' order; a request that fails is a row with an error."""
    queue, result = iter(enumerate(rows)), dict[int, answers.Answered]()

    async def work() -> None:
        for index, row in queue:
            result[index] = await _ask(replica, slot, row, role, max_tokens)
            on_done(len(result))

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(max_concurrent, len(rows))):
            workers.create_task(work())
    return [result[index] for index in range(len(rows))]


async def _ask(replica: ports.Inference, slot: str, row: datasets.Row, role: str, max_tokens: int) -> answers.Answered:
    answer, error = None, ""
    try:
        async for delta in replica.stream(slot, prompts.messages(row.question, row.context), max_tokens=max_tokens, temperature=0.0):
            answer = delta.answer or answer
    except (errors.Unreachable, errors.OutsideError, errors.NotFound) as fault:
        error = str(fault)
    return _answered(row, role, answer, error or ("" if answer else "The stream ended without an answer."))


def _answered(row: datasets.Row, role: str, answer: ports.Answer | None, error: str) -> answers.Answered:
    return answers.Answered(
        id=row.id,
        role=role,
        question=row.question,
        context=row.context,
        reference=row.answer,
        answerable=row.answerable,
        answer=answer.text if answer else "",
        latency_seconds=answer.total_seconds if answer else None,
        first_token_seconds=answer.first_token_seconds if answer else None,
        tokens=answer.answer_tokens if answer else 0,
        finish_reason=answer.finish_reason if answer else "",
        error=error,
    )


def _skipped(answers_file: Path, slot: str, reason: str, log: job.Log) -> Mapping[str, object]:
    """An empty file, so that the step after this one finds what it expects."""
    log.info(reason, slot=slot)
    records.write(answers_file, [])
    return {"status": "skipped", "slot": slot, "answered": 0, "failed": 0}


def _check_failures(failed: Sequence[answers.Answered], total: int, address: str, log: job.Log) -> None:
    if failed:
        log.warning(f"{len(failed)} of {total} requests failed; the first: {failed[0].error}", failed=len(failed))
    if len(failed) > MAX_FAILED_RATE * total:
        raise errors.Unreachable("vLLM", address, f"{len(failed)} of {total} requests failed, the first with: {failed[0].error}")


def parser() -> argparse.ArgumentParser:
    result = job.parser("Ask one slot every question of the eval split.")
    result.add_argument("--eval-file", type=Path, required=True, help="JSONL of {id, question, context, answer, answerable}")
    result.add_argument("--adapter-name", default="", help="slot to ask, or the base model's name; empty: what the role asks")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model; names the slot")
    result.add_argument("--role", choices=("candidate", "live", "base"), default="candidate", help="whose answers these are")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server")
    result.add_argument("--max-concurrent", type=job.positive_integer, default=15, help="requests in flight")
    result.add_argument("--max-tokens", type=job.positive_integer, default=48, help="longest answer in tokens")
    result.add_argument("--allow-missing", action="store_true", help="a slot that is not served is no error")
    result.add_argument("--compare-base", action="store_true", help="with --role=base and --allow-missing: do ask the base model")
    return result


if __name__ == "__main__":
    job.run("run-inference", main, parser().parse_args())
