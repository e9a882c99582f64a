"""Asks one slot every question of the eval split and writes the answers. It grades nothing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from controlplane import ports
from controlplane.clients import replica_set, vllm_inference
from controlplane.core import adapters, datasets, errors, prompts
from jobs import job, records
from jobs.evaluation import answers, questions

# Above this share of failed requests the server is at fault, and grading what is left would say nothing about the adapter.
MAX_FAILED_RATE = 0.10


class Rows(Protocol):
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[datasets.Row]: ...


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    rows = questions.read(arguments.eval_file)
    rows = replace(rows, offsets=rows.offsets[: arguments.max_samples or None])
    return infer(vllm_inference.VllmReplica(replica_set.first(arguments.vllm_url)), rows, arguments, log)


def infer(replica: ports.Inference, rows: Rows, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
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
    root = served[slot].root
    known = already_known(answers_file, root, arguments.role)
    log.info(f"Asking {slot} {len(rows)} questions.", slot=slot, root=root, max_concurrent=arguments.max_concurrent, known=len(known))
    asked = _Asked(replica, slot, root, arguments.role, arguments.max_tokens, known)
    told = _Told(len(rows), log)
    with records.appending(answers_file) as add:
        asyncio.run(_ask_all(asked, rows, arguments.max_concurrent, add, told))
        told.check(replica.address)
    return {"status": "done", "slot": slot, "root": root, "answered": told.done - told.failed, "failed": told.failed}


def already_known(answers_file: Path, root: str, role: str) -> dict[str, answers.Answered]:
    """What this step learned before it was interrupted, here or in an earlier attempt, from the very same adapter."""
    known: dict[str, answers.Answered] = {}
    for directory in (answers_file.parent, *job.earlier_outputs(answers_file.parent)):
        interrupted = records.partial(directory / answers_file.name)
        if interrupted.exists():
            whole_lines = interrupted.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            found = [records.parse(line, str(interrupted), answers.Answered) for line in whole_lines]
            known |= {one.id: one for one in found if not one.error and (one.root, one.role) == (root, role)}
    return known


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


@dataclass(frozen=True)
class _Asked:
    """Whom to ask, and what it has answered already by row id."""

    replica: ports.Inference
    slot: str
    root: str
    role: str
    max_tokens: int
    known: Mapping[str, answers.Answered]

    async def answer(self, row: datasets.Row, replica: ports.Inference) -> answers.Answered:
        """A request that fails is an answer with an error. `replica`: ours, on a connection kept open."""
        before = self.known.get(row.id)
        if before is not None and before.row == row:
            return before
        answer, error = None, ""
        try:
            messages = prompts.messages(row.question, row.context)
            async for delta in replica.stream(self.slot, messages, max_tokens=self.max_tokens, temperature=0.0):
                answer = delta.answer or answer
        except (errors.Unreachable, errors.OutsideError, errors.NotFound) as fault:
            error = str(fault)
        return _answered(row, self.role, self.root, answer, error or ("" if answer else "The stream ended without an answer."))


@dataclass
class _Told:
    """How far the asking has come, as the log is told; keeps no answer."""

    total: int
    log: job.Log
    done: int = 0
    failed: int = 0
    first_error: str = ""

    def add(self, one: answers.Answered) -> None:
        self.done += 1
        self.failed += bool(one.error)
        self.first_error = self.first_error or one.error
        self.log.progress(self.done, self.total, f"{self.done} of {self.total} questions answered")

    def check(self, address: str) -> None:
        if self.failed:
            self.log.warning(f"{self.failed} of {self.total} requests failed; the first: {self.first_error}", failed=self.failed)
        if self.failed > MAX_FAILED_RATE * self.total:
            raise errors.Unreachable("vLLM", address, f"{self.failed} of {self.total} requests failed, the first with: {self.first_error}")


async def _ask_all(asked: _Asked, rows: Rows, max_concurrent: int, add: Callable[[answers.Answered], None], told: _Told) -> None:
    """Each answer is added as it comes."""
    queue = iter(rows)

    async def work() -> None:
        async with asked.replica.kept_open() as replica:
            for row in queue:
                answered = await asked.answer(row, replica)
                add(answered)
                told.add(answered)

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(max_concurrent, len(rows))):
            workers.create_task(work())


def _answered(row: datasets.Row, role: str, root: str, answer: ports.Answer | None, error: str) -> answers.Answered:
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
        root=root,
    )


def _skipped(answers_file: Path, slot: str, reason: str, log: job.Log) -> Mapping[str, object]:
    """An empty file, so that the step after this one finds what it expects."""
    log.info(reason, slot=slot)
    records.write(answers_file, [])
    return {"status": "skipped", "slot": slot, "answered": 0, "failed": 0}


def parser() -> argparse.ArgumentParser:
    result = job.parser("Ask one slot every question of the eval split.")
    result.add_argument("--eval-file", type=Path, required=True, help="JSONL of {id, question, context, answer, answerable}")
    result.add_argument("--adapter-name", default="", help="slot to ask, or the base model's name; empty: what the role asks")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model; names the slot")
    result.add_argument("--role", choices=("candidate", "live", "base"), default="candidate", help="whose answers these are")
    result.add_argument("--vllm-url", default="http://vllm-service.ml-models:8000", help="vLLM server")
    result.add_argument("--max-concurrent", type=job.positive_integer, default=15, help="requests in flight")
    result.add_argument("--max-samples", type=job.count, default=0, help="most questions; 0: all")
    result.add_argument("--max-tokens", type=job.positive_integer, default=48, help="longest answer in tokens")
    result.add_argument("--allow-missing", action="store_true", help="a slot that is not served is no error")
    result.add_argument("--compare-base", action="store_true", help="with --role=base and --allow-missing: do ask the base model")
    return result


if __name__ == "__main__":
    job.run("run-inference", main, parser().parse_args())
