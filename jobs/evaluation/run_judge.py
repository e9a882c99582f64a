"""Grades the answers of candidate and live (and base, when given) with one judge and writes the grades. It decides nothing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from controlplane import ports, settings
from controlplane.clients import grade_cache, openai_judge
from controlplane.core import errors, judging, reference_judge, workflows
from jobs import job, records
from jobs.evaluation import answers, grading


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    return grade(_judge(arguments), arguments, log)


def grade(judge: ports.Judge, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    files = [file for file in (arguments.candidate_file, arguments.live_file, arguments.base_file) if file is not None]
    answered = [row for file in files for row in records.read(file, answers.Answered)]
    if not any(row.role == "candidate" for row in answered):
        raise errors.InvalidInput(f"{arguments.candidate_file} holds no answers of the candidate.", hint="Run run_inference first.")
    name = judge.name
    log.info(f"Grading {len(answered)} answers with the {name}.", judge=name)
    graded = grading.grade_all(
        judge, answered, arguments.max_concurrent, lambda done: log.progress(done, len(answered), f"{done} of {len(answered)} graded")
    )
    records.write(arguments.output_dir / "grades.jsonl", graded)
    for role in sorted({row.role for row in graded}):
        _report(role, judging.scores([row for row in graded if row.role == role]), log)
    unscored = sum(row.grade == "" for row in graded)
    if isinstance(judge, grade_cache.CachedJudge):
        log.info(f"{judge.hits} of {len(graded)} grades were known already.", known=judge.hits)
    return {"judge": name, "graded": len(graded) - unscored, "unscored": unscored}


def _judge(arguments: argparse.Namespace) -> ports.Judge:
    if arguments.judge == "reference":
        return reference_judge.ReferenceJudge()
    if not arguments.judge_url:
        raise errors.InvalidInput("The judge llm needs --judge-url.", hint="Give the judge's address, or use --judge=reference.")
    judge = openai_judge.OpenAiJudge(arguments.judge_url, arguments.judge_model)
    if not arguments.cache:
        return judge
    return grade_cache.CachedJudge(judge, judge.identity, settings.load().home / "cache" / "grades.db")


def _report(role: str, scores: judging.AnswerScores, log: job.Log) -> None:
    log.metric(
        f"{role}: {scores.rows} answers",
        role=role,
        a_rate=scores.a_rate,
        b_rate=scores.b_rate,
        c_rate=scores.c_rate,
        refusal_rate=scores.refusal_rate,
        unscored=scores.unscored,
    )


def parser() -> argparse.ArgumentParser:
    result = job.parser("Grade answers A (right), B (partly) or C (wrong).")
    result.add_argument("--candidate-file", type=Path, required=True, help="answers.jsonl of the candidate")
    result.add_argument("--live-file", type=Path, help="answers.jsonl of live; may be empty")
    result.add_argument("--base-file", type=Path, help="answers.jsonl of the base model, to show its scores beside")
    result.add_argument("--judge", choices=workflows.JUDGES, default="llm", help="llm: a model grades; reference: deterministic")
    result.add_argument("--judge-url", default="http://judge-vllm-service.ml-models:8000", help="judge server (OpenAI-compatible)")
    result.add_argument("--judge-model", default="", help="judge model; empty: the first the server lists")
    result.add_argument(
        "--cache", action=argparse.BooleanOptionalAction, default=True, help="ask the llm judge nothing that it graded before"
    )
    result.add_argument("--max-concurrent", type=job.positive_integer, default=15, help="requests in flight")
    return result


if __name__ == "__main__":
    job.run("judge-answers", main, parser().parse_args())
