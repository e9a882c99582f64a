"""One run of Gate 1 as MLflow holds it: verdict, both readings, how far the judge can be trusted. Reads only, and judges nothing anew.

Runs of older versions lack some artifacts; what they would say stays empty.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane import ports, wire
from controlplane.core import differences, errors, evidence, gates, intervals, judge_trust, judging, pairwise, preference_bias, sequential
from controlplane.services import verdicts


@dataclass(frozen=True)
class Found:
    """What a run holds."""

    run: ports.TrackedRun
    verdict: evidence.Verdict
    rows: Sequence[judging.GradedRow]
    compared: Sequence[pairwise.ComparedRow]
    calibration: Mapping[str, Any] | None

    def of(self, role: str) -> list[judging.GradedRow]:
        return [row for row in self.rows if row.role == role]


def read(tracking: ports.Tracking, run: ports.TrackedRun, verdict: evidence.Verdict) -> Found:
    """Raises OutsideError where an artifact is not what it should be."""
    calibration = _artifact(tracking, run, "calibration.json")
    try:
        return Found(
            run=run,
            verdict=verdict,
            rows=[_graded(line) for line in _lines(tracking.artifact(run.id, "grades.jsonl"))],
            compared=[
                pairwise.ComparedRow(**_known(pairwise.ComparedRow, line)) for line in _lines(_artifact(tracking, run, "comparisons.jsonl"))
            ],
            calibration=json.loads(calibration) if calibration else None,
        )
    except (TypeError, ValueError, AttributeError) as fault:
        raise _unreadable(run) from fault


def shown(found: Found, model: str, number: int) -> wire.Evaluation:
    """Raises OutsideError where the calibration is not what it should be."""
    run, candidate = found.run, found.of("candidate")
    return wire.Evaluation(
        model=model,
        version=number,
        mlflow_run=run.id,
        at=run.started_at,
        judge=run.tags.get("judge", ""),
        verdict=verdicts.shown(found.verdict),
        metrics=run.metrics,
        parameters=run.parameters,
        rows=tuple(_answer(row) for row in found.rows),
        asked=len(candidate),
        judged=sum(_is_judged(row) for row in candidate),
        reading=run.parameters.get("reading", "pointwise"),
        others=verdicts.others(found.verdict),
        differences=_differences(found),
        comparisons=tuple(wire.ComparedRow.model_validate(dataclasses.asdict(row)) for row in found.compared),
        pairwise=_pairwise(found),
        trust=_trust(found),
        agreement=_agreement(found),
        dataset=None if run.dataset is None else wire.EvalData.model_validate(dataclasses.asdict(run.dataset)),
        judge_identity=run.parameters.get("judge_identity", ""),
        judge_prompt_digest=run.parameters.get("judge_prompt_digest", ""),
    )


def _differences(found: Found) -> tuple[wire.Difference, ...]:
    thresholds = _thresholds(found.run.parameters)
    if thresholds is None:
        return ()
    measured = differences.find(found.verdict, found.of("candidate"), found.of("live"), found.compared, thresholds)
    return tuple(wire.Difference(check=verdicts.shown_check(one.check), reading=one.reading, decides=one.decides) for one in measured)


def _pairwise(found: Found) -> wire.Pairwise | None:
    if not found.compared:
        return None
    scores, bias = pairwise.scores(found.compared), preference_bias.measure(found.compared)
    thresholds = _thresholds(found.run.parameters) or gates.AnswerThresholds()
    interval = intervals.paired_difference(scores.wins, scores.losses, scores.pairs.rows, thresholds.level)
    return wire.Pairwise(
        rows=scores.rows,
        wins=scores.wins,
        losses=scores.losses,
        ties=scores.ties,
        unread=scores.unread,
        net=scores.pairs.difference,
        interval=verdicts.shown_interval(interval),
        asked=bias.asked,
        consistency=bias.consistency,
        first_share=scores.first_share,
        mean_length_difference=scores.mean_length_difference,
        winner_excess=bias.winner_excess,
        cautions=preference_bias.cautions(bias),
    )


def _trust(found: Found) -> wire.JudgeTrust | None:
    if found.calibration is None:
        return None
    try:
        judge, rows, kappa = (found.calibration[name] for name in ("judge", "rows", "kappa"))
        interval = evidence.Interval(**found.calibration["interval"]) if found.calibration["interval"] else None
        kinds = [judge_trust.KindAgreement(**kind) for kind in found.calibration["kinds"]]
        required = float(found.run.parameters.get("min_kappa", judge_trust.MIN_KAPPA))
        return wire.JudgeTrust(
            judge=judge,
            rows=rows,
            kappa=kappa,
            interval=verdicts.shown_interval(interval),
            min_kappa=required,
            refusal=judge_trust.refusal(judge, rows, kappa, interval, required),
            warnings=judge_trust.warnings(judge, kinds),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise _unreadable(found.run) from fault


def _agreement(found: Found) -> wire.JudgesAgreement | None:
    """As the gate measured it; the number of judges from the rows, which carry a letter of each."""
    metrics = found.run.metrics
    if "judges_agreement" not in metrics:
        return None
    judges = max((len(row.votes) for row in found.rows), default=0)
    return wire.JudgesAgreement(judges=judges, observed=metrics["judges_agreement"], kappa=metrics.get("judges_kappa"))


def _thresholds(parameters: Mapping[str, str]) -> gates.AnswerThresholds | None:
    """Those the gate decided by; None where the run does not say."""
    names = [field.name for field in dataclasses.fields(gates.AnswerThresholds)]
    try:
        return gates.AnswerThresholds(**{name: float(parameters[name]) for name in names})
    except (KeyError, ValueError, errors.InvalidInput):
        return None


def _answer(row: judging.GradedRow) -> wire.GradedAnswer:
    return wire.GradedAnswer(
        **{name: getattr(row, name) for name in wire.GradedAnswer.model_fields if name != "is_judged"}, is_judged=_is_judged(row)
    )


def _is_judged(row: judging.GradedRow) -> bool:
    return row.reason != sequential.NOT_JUDGED


def _graded(line: Mapping[str, Any]) -> judging.GradedRow:
    return judging.GradedRow(**{"reason": "", "grade": "", "is_refusal": False, **_known(judging.GradedRow, line)})


def _known(kind: type[judging.GradedRow] | type[pairwise.ComparedRow], line: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a row has and the line says."""
    return {field.name: line[field.name] for field in dataclasses.fields(kind) if line.get(field.name) is not None}


def _artifact(tracking: ports.Tracking, run: ports.TrackedRun, name: str) -> bytes:
    """Empty where the run has none."""
    try:
        return tracking.artifact(run.id, name)
    except errors.NotFound:
        return b""


def _lines(content: bytes) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in content.splitlines() if line.strip()]


def _unreadable(run: ports.TrackedRun) -> errors.OutsideError:
    return errors.OutsideError("MLflow", f"run {run.id}", "its artifacts cannot be read", hint="Launch the evaluation workflow again.")
