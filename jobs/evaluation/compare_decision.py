"""Gate 1: adds the grades up, decides, records the evidence and sets eval-passed or eval-failed. It asks no model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from controlplane import ports, settings
from controlplane.clients import mlflow_registry
from controlplane.core import datasets, evidence, gates, interval_gate, judging, lifecycle
from jobs import job, records, verdicts

OUTPUT_RATES = ("a_rate", "b_rate", "c_rate", "refusal_rate")


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    url = arguments.mlflow_tracking_uri or settings.load().mlflow_url
    return decide(mlflow_registry.MlflowRegistry(url), mlflow_registry.MlflowTracking(url), arguments, log)


def decide(registry: ports.Registry, tracking: ports.Tracking, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    thresholds = gates.AnswerThresholds(
        arguments.min_a_rate, arguments.max_c_rate, arguments.min_refusal_rate, arguments.margin, arguments.level
    )
    graded = records.read(arguments.grades_file, judging.GradedRow)
    version = registry.resolve(arguments.model_name, f"version:{arguments.version}" if arguments.version else "alias:staged")
    scores = scores_by_role(graded)
    both = {rules: judge_answers(graded, thresholds, arguments.eval_file, rules) for rules in evidence.RuleSet}
    deciding = evidence.RuleSet(arguments.rules)
    other = both[evidence.RuleSet.POINT if deciding is evidence.RuleSet.INTERVAL else evidence.RuleSet.INTERVAL]
    verdict = _without_live(registry, version, scores, deciding) or beside(both[deciding], other)
    verdicts.report(log, verdict)
    proof = verdicts.Evidence(
        experiment=arguments.mlflow_experiment,
        parameters={**{name: str(value) for name, value in asdict(thresholds).items()}, "rules": verdict.rules},
        metrics={**metrics(scores), **bounds(both[evidence.RuleSet.INTERVAL])},
        tags=_tags(arguments, version),
        files=[_copy(arguments.grades_file, arguments.output_dir / "grades.jsonl")],
    )
    run_id = verdicts.record(registry, tracking, version, verdict, proof, arguments.output_dir)
    registry.tag(version, _measured(scores.get("candidate")))
    return verdicts.finish(verdict, {"mlflow-run": run_id, "version": version.number, **_outputs(scores)})


def scores_by_role(graded: Sequence[judging.GradedRow]) -> dict[str, judging.AnswerScores]:
    """A role that answered nothing at all has no scores."""
    roles = sorted({row.role for row in graded})
    return {role: judging.scores([row for row in graded if row.role == role]) for role in roles}


def judge_answers(
    graded: Sequence[judging.GradedRow], thresholds: gates.AnswerThresholds, eval_file: Path | None, rules: evidence.RuleSet
) -> evidence.Verdict:
    """The verdict; an error when the rows are not those that should have been graded, since then rates mean nothing."""
    gate, by_role = evidence.Gate.EVALUATION, {role: [row for row in graded if row.role == role] for role in {row.role for row in graded}}
    if "candidate" not in by_role:
        return evidence.combine(gate, rules, (), ("No answer of the candidate was graded.",))
    wanted = _ids(eval_file) if eval_file else {row.id for row in by_role["candidate"]}
    for role in ("candidate", "live"):
        found = [row.id for row in by_role.get(role, ())]
        if found and (set(found) != wanted or len(found) != len(wanted)):
            return evidence.error(gate, rules, f"The {role} was graded on {len(found)} rows, not on each of the {len(wanted)} once.")
    if rules is evidence.RuleSet.INTERVAL:
        return interval_gate.evaluate(by_role["candidate"], by_role.get("live"), thresholds)
    scores = scores_by_role(graded)
    return gates.evaluate_answers(scores["candidate"], scores.get("live"), thresholds)


def beside(deciding: evidence.Verdict, other: evidence.Verdict) -> evidence.Verdict:
    """The deciding verdict with a note on what the other rules would have said."""
    note = f"The {other.rules} rules alone would say {other.outcome}: {other.reason}"
    return replace(deciding, notes=(*deciding.notes, note))


def _without_live(
    registry: ports.Registry, version: ports.Version, scores: Mapping[str, judging.AnswerScores], rules: evidence.RuleSet
) -> evidence.Verdict | None:
    """The laxer rules of a first deploy are not for a candidate whose live rival just did not answer."""
    live = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if live is None or live == version.number or "live" in scores:
        return None
    reason = f"Version {live} is live, but its slot gave no answers to compare with; restore the live slot and evaluate again."
    return evidence.Verdict(evidence.Gate.EVALUATION, rules, evidence.Outcome.INCONCLUSIVE, reason)


def metrics(scores: Mapping[str, judging.AnswerScores]) -> dict[str, float]:
    """`candidate_a_rate`, `live_a_rate`, ...; unknown values are left out."""
    return {f"{role}_{name}": float(value) for role, one in scores.items() for name, value in asdict(one).items() if value is not None}


def bounds(verdict: evidence.Verdict) -> dict[str, float]:
    """The interval of each check, as metrics like `interval_a_rate_candidate_live_low`."""
    found: dict[str, float] = {}
    for check in verdict.checks:
        if check.interval is not None:
            name = "_".join(re.findall("[a-z]+", check.name.lower()))
            found |= {f"interval_{name}_low": check.interval.low, f"interval_{name}_high": check.interval.high}
    return found


def _ids(eval_file: Path) -> set[str]:
    return {row.id for row in datasets.parse(records.read_text(eval_file), str(eval_file))}


def _tags(arguments: argparse.Namespace, version: ports.Version) -> dict[str, str]:
    tags = {
        "judge": arguments.judge_name,
        "digest": version.digest,
        "dataset": version.tags.get("dataset", ""),
        "data.version": arguments.data_version or version.tags.get("data-version", ""),
    }
    if arguments.eval_file:
        tags["dataset.digest"] = datasets.digest(records.read_text(arguments.eval_file))
    return tags


def _copy(source: Path, target: Path) -> Path:
    """Under the name by which readers of the MLflow run know it."""
    if source.absolute() != target.absolute():
        target.parent.mkdir(parents=True, exist_ok=True)
        job.write_atomically(target, records.read_text(source))
    return target


def _measured(candidate: judging.AnswerScores | None) -> dict[str, str]:
    values = asdict(candidate) if candidate else {}
    return {name: str(values[name]) for name in OUTPUT_RATES if values.get(name) is not None}


def _outputs(scores: Mapping[str, judging.AnswerScores]) -> dict[str, object]:
    """`a-rate` is the candidate's; the others carry their role in front."""
    outputs = {}
    for role, one in scores.items():
        prefix = "" if role == "candidate" else f"{role}-"
        values = asdict(one)
        outputs.update({f"{prefix}{name.replace('_', '-')}": values[name] for name in OUTPUT_RATES if values[name] is not None})
    return outputs


def parser() -> argparse.ArgumentParser:
    own = gates.AnswerThresholds()
    result = job.parser("Gate 1: decide on the grades and record the verdict.")
    result.add_argument("--grades-file", type=Path, required=True, help="grades.jsonl of run_judge")
    result.add_argument("--eval-file", type=Path, help="the eval split; every row must have been graded")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--version", type=job.positive_integer, help="version under test; none: the staged one")
    result.add_argument("--data-version", default="", help="version of the data, noted on the run; empty: the version's own")
    result.add_argument("--judge-name", default="", help="who graded, noted on the run")
    result.add_argument("--min-a-rate", type=float, default=own.min_a_rate, help="lowest share of correct answers (first deploy)")
    result.add_argument("--max-c-rate", type=float, default=own.max_c_rate, help="highest share of wrong answers (first deploy)")
    result.add_argument("--min-refusal-rate", type=float, default=own.min_refusal_rate, help="lowest share of unanswerable refused")
    result.add_argument("--rules", choices=tuple(evidence.RuleSet), default=gates.POINT_RULES, help="which rules decide; both are computed")
    result.add_argument("--margin", type=float, default=own.margin, help="how much worse than live is no worse (interval rules)")
    result.add_argument("--level", type=float, default=own.level, help="level of the confidence intervals (interval rules)")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--mlflow-experiment", default="vllm-lora-evaluation", help="MLflow experiment of the evaluations")
    return result


if __name__ == "__main__":
    job.run("compare-decision", main, parser().parse_args())
