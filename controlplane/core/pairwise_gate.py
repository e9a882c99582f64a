"""Gate 1 by the pairwise reading: is the candidate preferred at least as often as live? Refusals count as in the other reading. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.core import evidence, gates, interval_gate, judging, pairwise

PREFERENCE = "net preference, candidate - live"


def evaluate(
    compared: Sequence[pairwise.ComparedRow],
    candidate: Sequence[judging.GradedRow],
    live: Sequence[judging.GradedRow],
    thresholds: gates.AnswerThresholds,
    rules: evidence.RuleSet,
) -> evidence.Verdict:
    """By measured values, or by intervals with the margin. An error when too many comparisons could not be read."""
    found = pairwise.scores(compared)
    if found.unread > gates.MAX_UNSCORED_RATE * found.rows:
        reason = f"{found.unread} of {found.rows} comparisons could not be read; at most {gates.MAX_UNSCORED_RATE:.0%} may."
        return evidence.error(evidence.Gate.EVALUATION, rules, reason)
    own = judging.scores(candidate)
    if rules is evidence.RuleSet.POINT:
        preference = evidence.check(PREFERENCE, found.pairs.difference, ">=", 0.0, "%", "live")
        checks = (preference, *gates.refusal_checks(own, judging.scores(live), thresholds))
        return evidence.combine(evidence.Gate.EVALUATION, rules, checks, (shown(found),))
    measured = [
        interval_gate.against_live(PREFERENCE, found.pairs, ">=", -thresholds.margin, thresholds.level),
        *interval_gate.refusal_checks(judging.paired(candidate, live).refusal, own, thresholds),
    ]
    return interval_gate.combine(measured, (interval_gate.scale(thresholds), shown(found)))


def shown(found: pairwise.Scores) -> str:
    """`Candidate preferred on 12 rows, live on 3, 90 ties; both orders agreed on 97%; candidate's answers 4.0 characters longer.`"""
    said = f"Candidate preferred on {found.wins} rows, live on {found.losses}, {found.ties} ties"
    if found.consistency is None or found.mean_length_difference is None:
        return f"{said}."
    longer = found.mean_length_difference
    length = f"{abs(longer):.1f} characters {'longer' if longer >= 0 else 'shorter'} on average"
    return f"{said}; both orders agreed on {found.consistency:.0%} of those asked; the candidate's answers are {length}."
