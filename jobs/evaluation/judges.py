"""The judge that a job's arguments name, behind the cache of grades given before. It grades nothing itself."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from controlplane import ports, settings
from controlplane.clients import grade_cache, openai_judge
from controlplane.core import errors, judging, workflows
from jobs import job


@dataclass(frozen=True)
class Chosen:
    """`identity` is everything about the judge that may change a grade, besides the question."""

    judge: ports.Judge
    identity: str


def choose(arguments: argparse.Namespace) -> Chosen:
    """
    Raises:
        InvalidInput: the judge llm has no address.
        Unreachable, NotFound: nobody judges there.
    """
    if arguments.judge == "reference":
        return Chosen(judging.ReferenceJudge(), judging.REFERENCE_NAME)
    if not arguments.judge_url:
        raise errors.InvalidInput("The judge llm needs --judge-url.", hint="Give the judge's address, or use --judge=reference.")
    judge = openai_judge.OpenAiJudge(arguments.judge_url, arguments.judge_model)
    if not arguments.cache:
        return Chosen(judge, judge.identity)
    cached = grade_cache.CachedJudge(judge, judge.identity, settings.load().home / "cache" / "grades.db")
    return Chosen(cached, judge.identity)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--judge", choices=workflows.JUDGES, default="llm", help="llm: a model grades; reference: deterministic")
    parser.add_argument("--judge-url", default="http://judge-vllm-service.ml-models:8000", help="judge server (OpenAI-compatible)")
    parser.add_argument("--judge-model", default="", help="judge model; empty: the first the server lists")
    parser.add_argument(
        "--cache", action=argparse.BooleanOptionalAction, default=True, help="ask the llm judge nothing that it graded before"
    )
    parser.add_argument("--max-concurrent", type=job.positive_integer, default=15, help="requests in flight")
