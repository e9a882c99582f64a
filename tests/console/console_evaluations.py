"""Evaluations as the real rules make them out of answers drawn by chance, for tests of the page: open, passed, ended early, mistrusted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from controlplane import ports, wire
from controlplane.core import evidence, gates, judge_trust, judging, pairwise, pairwise_gate, row_order, sequential
from controlplane.services import evaluations

AT = datetime(2026, 3, 2, 14, 2, tzinfo=UTC)
THRESHOLDS = gates.AnswerThresholds()
DATA = ports.LoggedDataset(
    "ops-qa v2 eval", "s3://gatewright/datasets/ops-qa/v2/eval.jsonl", "9f3c51d7e06a" * 5, 112, {"id": "string", "answerable": "boolean"}
)


def evaluation(
    rows: int = 112, skill: float = 0.93, *, judges: int = 1, kappa: float = 0.88, looks: int = 1, steady: float = 0.97
) -> wire.Evaluation:
    """Of a candidate right on this share of rows, beside a live one right on 0.85 of them."""
    draw = random.Random(7)
    graded = list(_graded(draw, rows, {"candidate": skill, "live": 0.85}, judges))
    if looks > 1:
        graded = _ended_early(graded, looks)
    compared = list(_compared(draw, graded, steady))
    by_role = {role: [row for row in graded if row.role == role] for role in ("candidate", "live")}
    verdict = sequential.decide(by_role["candidate"], by_role["live"], THRESHOLDS, looks).verdict
    seen = {role: judging.scores(row for row in rows if row.reason != sequential.NOT_JUDGED) for role, rows in by_role.items()}
    point = gates.evaluate_answers(seen["candidate"], seen["live"], THRESHOLDS)
    others = [("pointwise", point)] + [
        ("pairwise", pairwise_gate.evaluate(compared, by_role["candidate"], by_role["live"], THRESHOLDS, rules))
        for rules in evidence.RuleSet
    ]
    verdict = replace(verdict, others=tuple(evidence.other(one, reading) for reading, one in others))
    if reason := judge_trust.refusal("llm judge (small)", 144, kappa, evidence.Interval(kappa - 0.06, kappa + 0.06)):
        believed = f"Were its grades to count: {verdict.outcome}. {verdict.reason}"
        verdict = replace(verdict, outcome=evidence.Outcome.INCONCLUSIVE, reason=reason, notes=(believed, *verdict.notes))
    run = _run(looks, {"judges_agreement": 0.94, "judges_kappa": 0.81} if judges > 1 else {})
    return evaluations.shown(evaluations.Found(run, verdict, graded, compared, _calibration(kappa)), "ops-qa", 6)


def _graded(draw: random.Random, rows: int, skills: dict[str, float], judges: int) -> Iterator[judging.GradedRow]:
    for n in range(rows):
        is_answerable = n % 4 != 0
        right = f"Port {1000 + n}." if is_answerable else "Not in the context."
        luck = draw.random()
        for role, skill in skills.items():
            own = luck if draw.random() < 0.8 else draw.random()
            grade = "A" if own < skill else "B" if own < skill + 0.06 else "C"
            answer = right if grade == "A" else f"Port {1000 + n}, or perhaps port {n}." if grade == "B" else f"Port {n}."
            yield judging.GradedRow(
                id=f"q-{n:03}",
                role=role,
                question=f"Which port does service {n} use?",
                context=f"Service {n} listens on TCP port {1000 + n}." if is_answerable else "The service is started at boot.",
                reference=right,
                answerable=is_answerable,
                answer=answer,
                grade=grade,
                reason="Names the port that the context gives." if grade == "A" else "Names another port than the context.",
                is_refusal=answer.startswith("Not in"),
                latency_seconds=0.4 + draw.random(),
                votes=(grade * (judges - 1) + draw.choice("AAB")) if judges > 1 else "",
            )


def _ended_early(graded: Sequence[judging.GradedRow], looks: int) -> list[judging.GradedRow]:
    order = row_order.order({row.id for row in graded})
    seen = set(order[: sequential.look_sizes(len(order), looks)[0]])
    return [row if row.id in seen else replace(row, grade="", reason=sequential.NOT_JUDGED, votes="") for row in graded]


def _compared(draw: random.Random, graded: Sequence[judging.GradedRow], steady: float) -> Iterator[pairwise.ComparedRow]:
    live = {row.id: row for row in graded if row.role == "live" and row.grade}
    for row in graded:
        if row.role != "candidate" or not row.grade:
            continue
        other = live[row.id]
        if row.answer == other.answer:
            yield pairwise.same(row.id, row.answer)
            continue
        said = ("TIE", "TIE") if row.grade == other.grade else ("1", "2") if row.grade < other.grade else ("2", "1")
        first, second = said if draw.random() < steady else ("1", "1")
        one, two = pairwise.Preference(first, "It names the right port."), pairwise.Preference(second, "It is nearer to the answer.")
        yield pairwise.settle(row.id, row.answer, other.answer, one, two)


def _run(looks: int, metrics: dict[str, float]) -> ports.TrackedRun:
    thresholds = {name: str(getattr(THRESHOLDS, name)) for name in ("min_a_rate", "max_c_rate", "min_refusal_rate", "margin", "level")}
    decided = {"reading": "pointwise", "rules": "interval", "looks": str(looks), "min_kappa": "0.6"}
    judge = {"judge_identity": "llm judge (small) at http://judge:8000, temperature 0", "judge_prompt_digest": "77ac01be12f94d1b" * 4}
    return ports.TrackedRun(
        id="77ac01be12f94d1b",
        name="evaluation ops-qa v6",
        experiment="vllm-lora-evaluation",
        status="FINISHED",
        started_at=AT,
        metrics=metrics,
        parameters={**thresholds, **decided, **judge},
        tags={"judge": "llm judge (small)"},
        dataset=DATA,
    )


def _calibration(kappa: float) -> dict[str, object]:
    interval = {"low": kappa - 0.06, "high": min(1.0, kappa + 0.06), "level": 0.95}
    kinds = [{"kind": "exact", "rows": 18, "agreed": 18}, {"kind": "number-words", "rows": 18, "agreed": 3}]
    return {"judge": "llm judge (small)", "rows": 144, "kappa": kappa, "interval": interval, "kinds": kinds}
