"""Gate 1 by confidence intervals: no worse than live by more than a margin, prompt by prompt. Pure.

A check passes when its whole interval lies on the right side of its limit, fails when all of it lies on the wrong side, and is inconclusive
in between, with the number of rows that would decide it. All checks must pass, so that the chance to pass a version that is worse by the
margin in one of them is at most half of what the level leaves: 2.5% at 95%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controlplane.core import evidence, gates, intervals, judging

RULES = evidence.RuleSet.INTERVAL


@dataclass(frozen=True)
class Judged:
    """At one of several looks: the rows whose grades count, and the level that intervals of grades must have there (see `sequential`)."""

    ids: frozenset[str]
    level: float


@dataclass(frozen=True)
class Measured:
    """A check with the rows it stands on and the rows in all that would decide it, when it is open."""

    check: evidence.Check
    rows: int
    rows_to_decide: int | None = None


def evaluate(
    candidate: Sequence[judging.GradedRow],
    live: Sequence[judging.GradedRow] | None,
    thresholds: gates.AnswerThresholds,
    judged: Judged | None = None,
) -> evidence.Verdict:
    """Against live, row by row; against the floors when nothing is live. An error when too many rows could not be graded.

    Args:
        judged: where not every row has been to the judge; the checks of grades keep to it, those of refusals stand on all rows.
    """
    gate = evidence.Gate.EVALUATION
    graded, graded_live = _within(candidate, judged), None if live is None else _within(live, judged)
    for role, rows in (("candidate", graded), ("live", graded_live)):
        if reason := gates.unreadable(role, judging.scores(rows)) if rows else "":
            return evidence.error(gate, RULES, reason)
    level = judged.level if judged else thresholds.level
    if live is None or graded_live is None:
        measured = _floors(judging.scores(graded), judging.scores(candidate), thresholds, level)
    else:
        refusals = refusal_checks(judging.paired(candidate, live).refusal, judging.scores(candidate), thresholds)
        measured = [*grade_checks(judging.paired(graded, graded_live), thresholds, level), *refusals]
    return combine(measured, (scale(thresholds),) if live is not None else (gates.FIRST_DEPLOY,))


def combine(measured: Sequence[Measured], notes: tuple[str, ...]) -> evidence.Verdict:
    """The verdict of all checks together; an inconclusive one says what is open and what would decide it."""
    checks = tuple(one.check for one in measured)
    verdict = evidence.combine(evidence.Gate.EVALUATION, RULES, checks, notes)
    if verdict.outcome is evidence.Outcome.INCONCLUSIVE:
        return replace(verdict, reason=_what_is_open(measured))
    return verdict


def scale(thresholds: gates.AnswerThresholds) -> str:
    return f"Margin {thresholds.margin:.1%}, level {100 * thresholds.level:.4g}%."


def grade_checks(pairs: judging.PairedScores, thresholds: gates.AnswerThresholds, level: float) -> list[Measured]:
    """Against live, of what the judge said, by intervals of `level`."""
    return [
        against_live("A-rate, candidate - live", pairs.a, ">=", -thresholds.margin, level),
        against_live("C-rate, candidate - live", pairs.c, "<=", thresholds.margin, level),
    ]


def refusal_checks(pairs: judging.Pairs, own: judging.AnswerScores, thresholds: gates.AnswerThresholds) -> list[Measured]:
    """Against live, of the refusals, by intervals of the thresholds' level. `own`: the candidate's scores."""
    return [
        against_live("refusal rate, candidate - live", pairs, ">=", -thresholds.margin, thresholds.level),
        _refusal_floor(own, thresholds),
    ]


def _floors(graded: judging.AnswerScores, own: judging.AnswerScores, thresholds: gates.AnswerThresholds, level: float) -> list[Measured]:
    return [
        _against_floor("A-rate", graded.a_rate, graded.scored, ">=", thresholds.min_a_rate, level),
        _against_floor("C-rate", graded.c_rate, graded.scored, "<=", thresholds.max_c_rate, level),
        _refusal_floor(own, thresholds),
    ]


def _refusal_floor(own: judging.AnswerScores, thresholds: gates.AnswerThresholds) -> Measured:
    return _against_floor("refusal rate", own.refusal_rate, own.unanswerable, ">=", thresholds.min_refusal_rate, thresholds.level)


def _within(rows: Sequence[judging.GradedRow], judged: Judged | None) -> Sequence[judging.GradedRow]:
    return rows if judged is None else [row for row in rows if row.id in judged.ids]


def _against_floor(name: str, value: float | None, rows: int, comparison: str, limit: float, level: float) -> Measured:
    part = (value or 0.0) * rows
    interval = intervals.rate(part, rows, level)
    outcome = _outcome(interval, comparison, limit)
    needed = intervals.rows_to_decide_rate(part, rows, limit, level) if outcome is evidence.Outcome.INCONCLUSIVE else None
    return Measured(evidence.Check(name, value, comparison, limit, "%", outcome, "floor", interval), rows, needed)


def against_live(name: str, pairs: judging.Pairs, comparison: str, limit: float, level: float) -> Measured:
    """One check of the difference of two shares on the same rows."""
    interval = intervals.paired_difference(pairs.gained, pairs.lost, pairs.rows, level)
    outcome = _outcome(interval, comparison, limit)
    is_open = outcome is evidence.Outcome.INCONCLUSIVE
    needed = intervals.rows_to_decide(pairs.gained, pairs.lost, pairs.rows, limit, level) if is_open else None
    return Measured(evidence.Check(name, pairs.difference, comparison, limit, "%", outcome, "live", interval), pairs.rows, needed)


def _outcome(interval: evidence.Interval | None, comparison: str, limit: float) -> evidence.Outcome:
    if interval is None:
        return evidence.Outcome.INCONCLUSIVE
    low, high = (interval.low, interval.high) if comparison == ">=" else (-interval.high, -interval.low)
    bound = limit if comparison == ">=" else -limit
    if low >= bound:
        return evidence.Outcome.PASS
    return evidence.Outcome.FAIL if high < bound else evidence.Outcome.INCONCLUSIVE


def _what_is_open(measured: Sequence[Measured]) -> str:
    return " ".join(_open(one) for one in measured if one.check.outcome is evidence.Outcome.INCONCLUSIVE)


def _open(one: Measured) -> str:
    interval = one.check.interval
    if interval is None:
        return f"No row tells {one.check.name}."
    sign = "+" if one.check.against == "live" else ""
    low, high, limit = (f"{value:{sign}.1%}" for value in (interval.low, interval.high, one.check.limit))
    lies = f"{one.check.name} lies between {low} and {high} (limit {limit})"
    if one.rows_to_decide is None:
        return f"{lies}; it sits so close to the limit that no eval set would decide."
    more = one.rows_to_decide - one.rows
    return f"{lies}; about {more} more row{'' if more == 1 else 's'} would decide, were the rates to stay."
