"""What separates the candidate from live, with intervals, under both readings, whichever of them decides. Pure; it decides nothing.

A check that decided is taken from the verdict as it was recorded; the others are measured here by the same rules, to stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.core import evidence, gates, interval_gate, judging, pairwise, pairwise_gate


@dataclass(frozen=True)
class Difference:
    """Candidate minus live, against how much worse is no worse. `reading`: pointwise or pairwise; `decides`: it is part of the verdict."""

    check: evidence.Check
    reading: str
    decides: bool


def find(
    verdict: evidence.Verdict,
    candidate: Sequence[judging.GradedRow],
    live: Sequence[judging.GradedRow],
    compared: Sequence[pairwise.ComparedRow],
    thresholds: gates.AnswerThresholds,
) -> tuple[Difference, ...]:
    """None without live, nor beside an error: then the rows say nothing."""
    if verdict.outcome is evidence.Outcome.ERROR or not candidate or not live:
        return ()
    decided = {check.name: check for check in verdict.checks if check.against == "live" and check.interval}
    measured = [("pointwise", check) for check in _pointwise(candidate, live, thresholds)]
    measured += [("pairwise", check) for check in _pairwise(compared, thresholds)]
    return tuple(
        Difference(decided.get(check.name, check), reading, check.name in decided) for reading, check in measured if check.interval
    )


def _pointwise(
    candidate: Sequence[judging.GradedRow], live: Sequence[judging.GradedRow], thresholds: gates.AnswerThresholds
) -> list[evidence.Check]:
    pairs = judging.paired(candidate, live)
    refusals = interval_gate.refusal_checks(pairs.refusal, judging.scores(candidate), thresholds)
    found = [*interval_gate.grade_checks(pairs, thresholds, thresholds.level), *refusals]
    return [one.check for one in found if one.check.against == "live"]


def _pairwise(compared: Sequence[pairwise.ComparedRow], thresholds: gates.AnswerThresholds) -> list[evidence.Check]:
    if not compared:
        return []
    pairs = pairwise.scores(compared).pairs
    return [interval_gate.against_live(pairwise_gate.PREFERENCE, pairs, ">=", -thresholds.margin, thresholds.level).check]
