"""Grades the answers of candidate and live (and base, when given) as they come, compares them, writes what it found. It decides nothing.

With several looks it stops as soon as the verdict stands; what the judge has not seen is written down as such.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from controlplane import ports
from controlplane.clients import replica_set
from controlplane.core import adapters, calibration, errors, judging, pairwise, panel, row_order, sequential
from jobs import job, records
from jobs.evaluation import answers, golden, grading, judges, rules


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    tested = replica_set.every(arguments.vllm_url)
    return grade(judges.choose(arguments, tested, _slots(arguments)), arguments, log)


def grade(chosen: judges.Chosen, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    rules.thresholds(arguments)
    answered = _answered(arguments)
    calibrated = _calibrated(chosen.judge, arguments, log)
    log.info(f"Grading with the {chosen.judge.name}.", judge=chosen.judge.name)
    tally = _Tally(arguments.expected_rows, log)
    grades, comparisons = (arguments.output_dir / name for name in ("grades.jsonl", "comparisons.jsonl"))
    with records.appending(grades) as add_grade, records.appending(comparisons) as add_comparison:
        for finding in _findings(chosen.judge, answered, arguments):
            if isinstance(finding, pairwise.ComparedRow):
                add_comparison(finding)
            else:
                add_grade(finding)
            tally.add(finding)
        if not tally.by_role.get("candidate"):
            raise errors.InvalidInput(f"{arguments.candidate_file} holds no answers of the candidate.", hint="Run run_inference first.")
    tally.report()
    if chosen.caches:
        log.info(f"{chosen.known} findings were known already.", known=chosen.known)
    return {"judge": chosen.judge.name, "judge-identity": chosen.identity, **calibrated, **tally.outputs()}


def _answered(arguments: argparse.Namespace) -> Iterator[answers.Answered]:
    files = [file for file in (arguments.candidate_file, arguments.live_file, arguments.base_file) if file is not None]
    missing = [str(file) for file in files if not file.exists()]
    if missing and not arguments.follow:
        raise errors.InvalidInput(f"{missing[0]} does not exist.", hint="Give the path of a file that run_inference wrote.")
    return answers.follow(files)


def _calibrated(judge: ports.Judge, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    """The judge's agreement with trusted grades, measured before its own count."""
    rows = golden.read(arguments.golden_file)
    found = golden.calibrate(judge, rows, arguments.max_concurrent, lambda done: log.progress(done, len(rows), f"calibrating: {done}"))
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    job.write_atomically(arguments.output_dir / "calibration.json", json.dumps(calibration.to_dict(found), ensure_ascii=False))
    log.metric(f"{found.judge}: {calibration.shown(found)}", kappa=found.kappa, agreement=found.agreement)
    return {"kappa": "" if found.kappa is None else found.kappa}


def _findings(judge: ports.Judge, answered: Iterable[answers.Answered], arguments: argparse.Namespace) -> Iterator[grading.Finding]:
    if arguments.looks > 1:
        yield from _in_looks(judge, list(answered), arguments)
    else:
        yield from grading.carry_out(grading.tasks(judge, answered, compares=arguments.pairwise), arguments.max_concurrent)


def _in_looks(judge: ports.Judge, answered: Sequence[answers.Answered], arguments: argparse.Namespace) -> Iterator[grading.Finding]:
    """Look by look, until one decides. Refusals of all rows count at every look, so all answers must be there before the first."""
    thresholds = rules.thresholds(arguments)
    ordered = row_order.order({one.id for one in answered if one.role == "candidate"})
    rows = {(one.role, one.id): _unseen(one) for one in answered}
    judged: set[str] = set()
    for size in sequential.look_sizes(len(ordered), arguments.looks):
        due = set(ordered[:size]) - judged
        tasks = grading.tasks(judge, (one for one in answered if one.id in due), compares=arguments.pairwise)
        for finding in grading.carry_out(tasks, arguments.max_concurrent):
            if isinstance(finding, judging.GradedRow):
                rows[finding.role, finding.id] = finding
            else:
                yield finding
        judged |= due
        candidate, live = ([row for (role, _), row in rows.items() if role == wanted] for wanted in ("candidate", "live"))
        if sequential.decide(candidate, live or None, thresholds, arguments.looks).is_decided:
            break
    yield from rows.values()


def _unseen(one: answers.Answered) -> judging.GradedRow:
    reason = f"No answer: {one.error}" if one.error else sequential.NOT_JUDGED
    return grading.row(one, judging.Grade("", reason))


class _Tally:
    """What was found so far, and how far it has come as the log is told. Keeps no answer."""

    def __init__(self, expected_rows: int, log: job.Log) -> None:
        self.by_role: dict[str, judging.Tally] = {}
        self._expected_rows, self._log = expected_rows, log
        self._done = self._unscored = self._compared = self._not_judged = 0
        self._votes: list[str] = []

    def add(self, finding: grading.Finding) -> None:
        if isinstance(finding, pairwise.ComparedRow):
            self._compared += 1
            return
        self._done += 1
        if finding.reason == sequential.NOT_JUDGED:
            self._not_judged += 1
            return
        self.by_role.setdefault(finding.role, judging.Tally()).add(finding)
        self._unscored += not finding.grade
        if finding.votes:
            self._votes.append(finding.votes)
        total = max(self._done, self._expected_rows * len(self.by_role))
        self._log.progress(self._done, total, f"{self._done} of {total} graded")

    def report(self) -> None:
        for role, tally in sorted(self.by_role.items()):
            _report(role, tally.scores(), self._log)
        agreed = panel.agreement(self._votes)
        if agreed.observed is not None:
            self._log.metric(f"The judges agree on {agreed.observed:.1%} of pairs.", observed=agreed.observed, kappa=agreed.kappa)
        if self._not_judged:
            self._log.info(f"{self._not_judged} answers were not judged: the verdict stood before.", not_judged=self._not_judged)

    def outputs(self) -> dict[str, int]:
        graded = self._done - self._unscored - self._not_judged
        return {"graded": graded, "unscored": self._unscored, "not-judged": self._not_judged, "compared": self._compared}


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


def _slots(arguments: argparse.Namespace) -> list[str]:
    candidate = arguments.candidate_adapter or adapters.candidate_slot(arguments.model_name)
    return [candidate, arguments.live_adapter or adapters.live_slot(arguments.model_name)]


def parser() -> argparse.ArgumentParser:
    result = job.parser("Grade answers A (right), B (partly) or C (wrong), and say which of two is better.")
    result.add_argument("--candidate-file", type=Path, required=True, help="answers.jsonl of the candidate")
    result.add_argument("--live-file", type=Path, help="answers.jsonl of live; may be empty")
    result.add_argument("--base-file", type=Path, help="answers.jsonl of the base model, to show its scores beside")
    result.add_argument("--follow", action="store_true", help="wait for files that run_inference is still writing, and grade as they grow")
    result.add_argument("--expected-rows", type=job.count, default=0, help="rows of the eval split, to say how far it has come")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model; names the slots under test")
    result.add_argument("--candidate-adapter", default="", help="slot of the candidate; empty: that of the model")
    result.add_argument("--live-adapter", default="", help="slot of live; empty: that of the model")
    result.add_argument("--vllm-url", default="", help="vLLM servers under test, which must not judge themselves")
    result.add_argument("--pairwise", action=argparse.BooleanOptionalAction, default=True, help="also ask which of two answers is better")
    result.add_argument("--golden-file", type=Path, help="JSONL of answers with trusted grades; none: the set shipped for ops-qa")
    judges.add_arguments(result)
    rules.add_arguments(result)
    return result


if __name__ == "__main__":
    job.run("judge-answers", main, parser().parse_args())
