"""Gate 1: adds the grades up, decides, records the evidence and sets eval-passed or eval-failed. It asks no model."""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from controlplane import ports, settings
from controlplane.clients import mlflow_registry
from controlplane.core import (
    calibration,
    datasets,
    evidence,
    gates,
    judging,
    lifecycle,
    pairwise,
    pairwise_gate,
    panel,
    sequential,
    workflows,
)
from jobs import job, lineage, records, verdicts
from jobs.evaluation import calibrate_judge, rules

RULES = tuple(itertools.product(workflows.READINGS, evidence.RuleSet))
UNSEEN = sequential.NOT_JUDGED
OUTPUT_RATES = ("a_rate", "b_rate", "c_rate", "refusal_rate")


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    url = arguments.mlflow_tracking_uri or settings.load().mlflow_url
    return decide(mlflow_registry.MlflowRegistry(url), mlflow_registry.MlflowTracking(url), arguments, log)


def decide(registry: ports.Registry, tracking: ports.Tracking, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    thresholds = rules.thresholds(arguments)
    found = read(arguments)
    version = registry.resolve(arguments.model_name, f"version:{arguments.version}" if arguments.version else "alias:staged")
    scores = {role: judging.scores(seen(rows)) for role, rows in found.by_role.items()}
    verdicts_by_rule = {(reading, rule): judge(found, thresholds, reading, rule, arguments.looks) for reading, rule in RULES}
    verdict = choose(verdicts_by_rule, (arguments.reading, evidence.RuleSet(arguments.rules)))
    verdict = _without_live(registry, version, scores, verdict.rules) or trusted(verdict, found.calibration, arguments.min_kappa)
    verdict = replace(verdict, notes=(*verdict.notes, *_mixed_data(registry, version)))
    verdicts.report(log, verdict)
    interval = verdicts_by_rule["pointwise", evidence.RuleSet.INTERVAL]
    proof = verdicts.Evidence(
        experiment=arguments.mlflow_experiment,
        parameters=_parameters(arguments, thresholds),
        metrics={**metrics(scores), **bounds(interval), **_judge_metrics(found)},
        tags=_tags(arguments, version),
        files=[_copy(file, arguments.output_dir / file.name) for file in _files(arguments)],
        dataset=_dataset(arguments, version),
        table=arguments.grades_file,
    )
    run_id = verdicts.record(registry, tracking, version, verdict, proof, arguments.output_dir)
    registry.tag(version, _measured(scores.get("candidate")))
    return verdicts.finish(verdict, {"mlflow-run": run_id, "version": version.number, **_outputs(scores)})


@dataclass(frozen=True)
class Found:
    """What inference and judge found. `fault` says why these are not the rows that should have been graded; then rates mean nothing."""

    by_role: Mapping[str, Sequence[judging.GradedRow]]
    compared: Sequence[pairwise.ComparedRow]
    votes: Sequence[str]
    calibration: calibration.Calibration | None
    fault: str = ""


def read(arguments: argparse.Namespace) -> Found:
    """Raises InvalidInput."""
    by_role: dict[str, list[judging.GradedRow]] = {}
    for row in records.stream(arguments.grades_file, judging.GradedRow):
        # Texts decide nothing here, and there may be many.
        short = replace(row, question="", context="", reference="", answer="", reason=row.reason if row.reason == UNSEEN else "")
        by_role.setdefault(row.role, []).append(short)
    compared = records.read(arguments.comparisons_file, pairwise.ComparedRow) if arguments.comparisons_file else []
    votes = [row.votes for rows in by_role.values() for row in rows if row.votes]
    calibrated = calibration.from_dict(json.loads(records.read_text(arguments.calibration_file))) if arguments.calibration_file else None
    return Found(by_role, compared, votes, calibrated, _fault(by_role, arguments.eval_file))


def seen(rows: Sequence[judging.GradedRow]) -> list[judging.GradedRow]:
    """Without those that no judge saw because the verdict stood before."""
    return [row for row in rows if row.reason != UNSEEN]


def judge(found: Found, thresholds: gates.AnswerThresholds, reading: str, rule: evidence.RuleSet, looks: int = 1) -> evidence.Verdict:
    """The verdict of one reading by one set of rules. Without live there is nothing to compare, and the grades decide."""
    gate = evidence.Gate.EVALUATION
    candidate, live = found.by_role.get("candidate", ()), found.by_role.get("live")
    if found.fault:
        return evidence.error(gate, rule, found.fault)
    if not candidate:
        return evidence.combine(gate, rule, (), ("No answer of the candidate was graded.",))
    if reading == "pairwise" and live:
        return pairwise_gate.evaluate(found.compared, candidate, live, thresholds, rule)
    if rule is evidence.RuleSet.INTERVAL:
        return sequential.decide(candidate, live, thresholds, looks).verdict
    live_scores = judging.scores(seen(live)) if live else None
    return gates.evaluate_answers(judging.scores(seen(candidate)), live_scores, thresholds)


def choose(by_rule: Mapping[tuple[str, evidence.RuleSet], evidence.Verdict], deciding: tuple[str, evidence.RuleSet]) -> evidence.Verdict:
    """The deciding verdict with what the others would have said."""
    others = tuple(evidence.other(verdict, reading) for (reading, rule), verdict in by_rule.items() if (reading, rule) != deciding)
    return replace(by_rule[deciding], others=others)


def trusted(verdict: evidence.Verdict, calibrated: calibration.Calibration | None, min_kappa: float) -> evidence.Verdict:
    """Inconclusive where the judge's grades do not count; else the verdict with how far the judge can be trusted."""
    if calibrated is None:
        return verdict
    reason = calibration.trust(calibrated, min_kappa)
    notes = (*verdict.notes, *calibration.warnings(calibrated))
    if not reason or verdict.outcome is evidence.Outcome.ERROR:
        return replace(verdict, notes=notes)
    believed = f"Were its grades to count: {verdict.outcome}. {verdict.reason}"
    return replace(verdict, outcome=evidence.Outcome.INCONCLUSIVE, reason=reason, notes=(believed, *notes))


def _fault(by_role: Mapping[str, Sequence[judging.GradedRow]], eval_file: Path | None) -> str:
    wanted = _ids(eval_file) if eval_file else {row.id for row in by_role.get("candidate", ())}
    for role in ("candidate", "live"):
        rows = by_role.get(role, ())
        if rows and ({row.id for row in rows} != wanted or len(rows) != len(wanted)):
            return f"The {role} was graded on {len(rows)} rows, not on each of the {len(wanted)} once."
    return ""


def _without_live(
    registry: ports.Registry, version: ports.Version, scores: Mapping[str, judging.AnswerScores], rules: evidence.RuleSet
) -> evidence.Verdict | None:
    """The laxer rules of a first deploy are not for a candidate whose live rival just did not answer."""
    live = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if live is None or live == version.number or "live" in scores:
        return None
    reason = f"Version {live} is live, but its slot gave no answers to compare with; restore the live slot and evaluate again."
    return evidence.Verdict(evidence.Gate.EVALUATION, rules, evidence.Outcome.INCONCLUSIVE, reason)


def _mixed_data(registry: ports.Registry, version: ports.Version) -> tuple[str, ...]:
    """A note when live learned from other data: then the eval rows may be among what it was trained on."""
    number = registry.model(version.model).aliases.get(lifecycle.Alias.LIVE)
    if number is None or number == version.number:
        return ()
    live = registry.resolve(version.model, f"version:{number}")
    own, other = (f"{one.tags.get('dataset', '')} v{one.tags.get('data-version', '?')}" for one in (version, live))
    if own == other:
        return ()
    return (f"The candidate learned from {own}, live from {other}; both were asked the eval split of {own}.",)


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


def _judge_metrics(found: Found) -> dict[str, float]:
    """Of the judge itself and of the comparisons; unknown values are left out."""
    agreed, compared, calibrated = panel.agreement(found.votes), pairwise.scores(found.compared), found.calibration
    values = {
        "judges_agreement": agreed.observed,
        "judges_kappa": agreed.kappa,
        "judge_kappa": calibrated.kappa if calibrated else None,
        "judge_kappa_low": calibrated.interval.low if calibrated and calibrated.interval else None,
        "judge_kappa_high": calibrated.interval.high if calibrated and calibrated.interval else None,
    }
    if compared.rows:
        values |= {f"pairwise_{name}": value for name, value in asdict(compared).items()}
    return {name: float(value) for name, value in values.items() if value is not None}


def _parameters(arguments: argparse.Namespace, thresholds: gates.AnswerThresholds) -> dict[str, str]:
    own = {name: str(value) for name, value in asdict(thresholds).items()}
    decided = {"reading": arguments.reading, "rules": arguments.rules, "looks": str(arguments.looks), "min_kappa": str(arguments.min_kappa)}
    judge = {"judge": arguments.judge_name, "judge_identity": arguments.judge_identity, "judge_prompt_digest": calibration.prompt_digest()}
    return own | decided | judge


def _files(arguments: argparse.Namespace) -> list[Path]:
    files = (arguments.grades_file, arguments.comparisons_file, arguments.calibration_file)
    return [file for file in files if file is not None]


def _ids(eval_file: Path) -> set[str]:
    return {row.id for row in datasets.parse(records.read_text(eval_file), str(eval_file))}


def _dataset(arguments: argparse.Namespace, version: ports.Version) -> ports.LoggedDataset | None:
    if not arguments.eval_file:
        return None
    return lineage.dataset(version, arguments.eval_file, arguments.data_version, arguments.data_source)


def _data_version(arguments: argparse.Namespace, version: ports.Version) -> str:
    return str(arguments.data_version or version.tags.get("data-version", ""))


def _tags(arguments: argparse.Namespace, version: ports.Version) -> dict[str, str]:
    tags = {
        "judge": arguments.judge_name,
        "digest": version.digest,
        "dataset": version.tags.get("dataset", ""),
        "data.version": _data_version(arguments, version),
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
    result = job.parser("Gate 1: decide on the grades and record the verdict.")
    result.add_argument("--grades-file", type=Path, required=True, help="grades.jsonl of run_judge")
    result.add_argument("--eval-file", type=Path, help="the eval split; every row must have been graded")
    result.add_argument("--model-name", default="mistral-7b-lora", help="MLflow registered model")
    result.add_argument("--version", type=job.positive_integer, help="version under test; none: the staged one")
    result.add_argument("--data-version", default="", help="version of the data, noted on the run; empty: the version's own")
    result.add_argument("--judge-name", default="", help="who graded, noted on the run")
    result.add_argument("--judge-identity", default="", help="everything that may change its grades, noted on the run")
    result.add_argument("--comparisons-file", type=Path, help="comparisons.jsonl of run_judge")
    result.add_argument("--calibration-file", type=Path, help="calibration.json of run_judge")
    result.add_argument(
        "--min-kappa", type=calibrate_judge.kappa, default=calibration.MIN_KAPPA, help="lowest agreement at which the judge's grades count"
    )
    result.add_argument("--data-source", default="", help="where the eval split came from, noted on the run")
    rules.add_arguments(result)
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--mlflow-experiment", default="vllm-lora-evaluation", help="MLflow experiment of the evaluations")
    return result


if __name__ == "__main__":
    job.run("compare-decision", main, parser().parse_args())
