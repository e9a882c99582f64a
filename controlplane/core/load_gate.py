"""Gate 2 by confidence intervals, and by both rule sets at once. Pure; it measures nothing (`load_measures`) and moves no alias.

A check passes when its whole interval lies on the right side of its limit, fails when all of it lies on the wrong side, and is inconclusive
in between, with the number of requests that would decide it. All checks must pass, so that the chance to pass a version that is on the
limit in one of them is at most half of what the level leaves: 2.5% at 95%.

No request reached the server: the tool is broken (error). Requests that reached it and failed there are the version's own: the success rate
fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controlplane.core import drift, estimates, evidence, gates, latency, load_measures, witness

GATE = evidence.Gate.PERFORMANCE
RULES = evidence.RuleSet.INTERVAL
# Whoever loses more than this share of connections measures the way to the server, not what it serves.
MAX_UNREACHED_RATE = 0.10
MAX_UNREACHED_AT_END = 10
# Classes of failure (`latency.Sample.error`): no connection was to be had; no request was sent.


@dataclass(frozen=True)
class Limit:
    """What a value is held against; see `evidence.Check`."""

    name: str
    comparison: str
    value: float
    unit: str
    against: str = "floor"


@dataclass(frozen=True)
class Measured:
    """A check with what it stands on, and the requests in all (of each role) that would decide it were it open."""

    check: evidence.Check
    found: estimates.Estimate | None
    requests_to_decide: int | None = None


def decide(
    candidate: load_measures.Source,
    baseline: load_measures.Source | None,
    thresholds: gates.LoadThresholds,
    seen: witness.Witness | None,
    deciding: evidence.RuleSet,
    notes: tuple[str, ...] = (),
) -> evidence.Verdict:
    """The verdict by the deciding rules, with what the others would say."""
    by_rules = evaluate_both(candidate, baseline, thresholds, seen, notes)
    others = tuple(evidence.other(found) for rules, found in by_rules.items() if rules is not deciding)
    return replace(by_rules[deciding], others=others)


def evaluate_both(
    candidate: load_measures.Source,
    baseline: load_measures.Source | None,
    thresholds: gates.LoadThresholds,
    seen: witness.Witness | None,
    notes: tuple[str, ...] = (),
) -> Mapping[evidence.RuleSet, evidence.Verdict]:
    """By each rule set, as far as the second witness lets it stand."""
    sources = (candidate,) if baseline is None else (candidate, baseline)
    if reason := unreached(sources):
        return {rules: evidence.error(GATE, rules, reason) for rules in evidence.RuleSet}
    summary, *others = (latency.summarize_role(source.test, source.role) for source in sources)
    point = gates.evaluate_performance(summary, others[0] if others else None, thresholds, notes)
    found = {evidence.RuleSet.POINT: point, RULES: evaluate(candidate, baseline, thresholds, notes)}
    return {rules: witnessed(verdict, seen) for rules, verdict in found.items()}


def evaluate(
    candidate: load_measures.Source,
    baseline: load_measures.Source | None,
    thresholds: gates.LoadThresholds,
    notes: tuple[str, ...] = (),
) -> evidence.Verdict:
    """By intervals: the floors always; relative to the baseline when there is one."""
    measured = floors(candidate.measured, thresholds)
    notes = (*notes, *gates.lowered(thresholds), *_correlated(candidate.measured))
    if baseline is not None:
        compared = load_measures.compare(candidate, baseline, thresholds.level)
        measured += against_baseline(candidate.measured, baseline.measured, compared, thresholds)
        notes = (*notes, *_drifted(compared.drift), f"Success margin {thresholds.success_margin:.1%}, level {thresholds.level:.4g}.")
    verdict = evidence.combine(GATE, RULES, tuple(one.check for one in measured), notes)
    if verdict.outcome is evidence.Outcome.INCONCLUSIVE:
        return replace(verdict, reason=" ".join(_open(one) for one in measured if one.check.outcome is evidence.Outcome.INCONCLUSIVE))
    return verdict


def unreached(sources: Sequence[load_measures.Source]) -> str:
    """Why requests that never reached the server decide nothing; empty when nearly all of them did, to the end."""
    for source in sources:
        lost, sent = source.measured.failures.get(latency.UNREACHED, 0), source.measured.requests
        if lost > MAX_UNREACHED_RATE * sent or _is_gone(source.test):
            return (
                f"{lost} of {sent} requests of the {source.role} found no server; at most {MAX_UNREACHED_RATE:.0%} may, and not the last "
                f"{MAX_UNREACHED_AT_END} in a row. See whether it still runs, and why it stopped, then test again."
            )
    return ""


def _is_gone(test: latency.LoadTest) -> bool:
    """A test ends early where nobody answers, so that few of its requests are lost to a server that has stopped."""
    last = [sample.error for sample in test.samples if sample.error != latency.NOT_SENT][-MAX_UNREACHED_AT_END:]
    return len(last) == MAX_UNREACHED_AT_END and set(last) == {latency.UNREACHED}


def witnessed(verdict: evidence.Verdict, seen: witness.Witness | None) -> evidence.Verdict:
    """What stands of a verdict after the server's own count of requests: other traffic leaves neither a pass nor a fail."""
    agreement = seen.agreement if seen else witness.Agreement.UNKNOWN
    source = seen.source if seen else "The server"
    if agreement is witness.Agreement.CONTAMINATED:
        reason = f"{source} counted more requests than the test sent: somebody else loaded the server. Test again while it is idle."
        return undecided(verdict, reason)
    found = {
        witness.Agreement.AGREES: (),
        witness.Agreement.MISSING: (f"{source} counted fewer requests than succeeded, so it is no second witness.",),
        witness.Agreement.UNKNOWN: ("No count of the server's own confirms that the load was the test's alone.",),
    }[agreement]
    return replace(verdict, notes=(*verdict.notes, *found))


def undecided(verdict: evidence.Verdict, reason: str) -> evidence.Verdict:
    """Inconclusive, with what it would be otherwise; an error stays one."""
    if verdict.outcome is evidence.Outcome.ERROR:
        return verdict
    believed = f"Were it to count: {verdict.outcome}. {verdict.reason}"
    return replace(verdict, outcome=evidence.Outcome.INCONCLUSIVE, reason=reason, notes=(*verdict.notes, believed))


def floors(own: load_measures.Measured, thresholds: gates.LoadThresholds) -> list[Measured]:
    level = thresholds.level
    checks = [
        _check(Limit("P95 latency", "<", thresholds.max_p95_latency_seconds, "s"), own.p95_latency, level),
        _check(Limit("P95 TTFT", "<", thresholds.max_p95_ttft_seconds, "s"), own.p95_ttft, level),
        _check(Limit("throughput", ">", thresholds.min_throughput, "req/s"), own.throughput, level),
    ]
    needed = estimates.requests_to_decide_share(own.success, thresholds.min_success_rate, level) if own.success else None
    success = _check(Limit("success rate", ">=", thresholds.min_success_rate, "%"), own.success, level)
    return [*checks, replace(success, requests_to_decide=needed)]


def against_baseline(
    own: load_measures.Measured, other: load_measures.Measured, compared: load_measures.Compared, thresholds: gates.LoadThresholds
) -> list[Measured]:
    level, slower, less = thresholds.level, thresholds.latency_regression_factor, thresholds.throughput_regression_factor
    margin, by = -thresholds.success_margin, "baseline"
    checks = [
        _check(Limit("P95 latency, candidate / baseline", "<=", slower, "x", by), compared.p95_latency, level),
        _check(Limit("P95 TTFT, candidate / baseline", "<=", slower, "x", by), compared.p95_ttft, level),
        _check(Limit("throughput, candidate / baseline", ">=", less, "x", by), compared.throughput, level),
    ]
    one, two = own.success, other.success
    needed = estimates.requests_to_decide_difference(one, two, margin, level) if one and two else None
    success = _check(Limit("success rate, candidate - baseline", ">=", margin, "%", by), compared.success, level)
    return [*checks, replace(success, requests_to_decide=needed)]


def _check(limit: Limit, found: estimates.Estimate | None, level: float) -> Measured:
    """An interval is shown where it has both ends, a value where it is finite."""
    check = evidence.Check(limit.name, None, limit.comparison, limit.value, limit.unit, evidence.Outcome.INCONCLUSIVE, limit.against)
    if found is None:
        return Measured(check, None)
    is_whole = math.isfinite(found.low) and math.isfinite(found.high)
    interval = evidence.Interval(found.low, found.high, level) if is_whole else None
    value = found.value if math.isfinite(found.value) else None
    check = replace(check, value=value, interval=interval, outcome=outcome(found, limit))
    return Measured(check, found, estimates.requests_to_decide(found, limit.value))


def outcome(found: estimates.Estimate, limit: Limit) -> evidence.Outcome:
    """By the end of the interval that is nearest to failing, then by the one that is nearest to passing."""
    worst, best = (found.high, found.low) if limit.comparison.startswith("<") else (found.low, found.high)
    if evidence.holds(worst, limit.comparison, limit.value):
        return evidence.Outcome.PASS
    return evidence.Outcome.INCONCLUSIVE if evidence.holds(best, limit.comparison, limit.value) else evidence.Outcome.FAIL


def _correlated(own: load_measures.Measured) -> tuple[str, ...]:
    found = own.p95_latency
    if found is None or found.independent >= 0.5 * found.requests:
        return ()
    return (f"Neighbouring requests were quick or slow together: {found.requests} count like {found.independent:.0f} independent ones.",)


def _drifted(found: drift.Drift) -> tuple[str, ...]:
    if not found.is_seen:
        return ()
    word = "slower" if found.share > 0 else "quicker"
    return (f"The server's own drift made the candidate look {abs(found.share):.1%} {word} than it is; the comparison leaves that out.",)


def _open(one: Measured) -> str:
    check, found = one.check, one.found
    if found is None or math.isnan(found.value):
        return f"Nothing was measured for {check.name}."
    lies = f"{check.name} {_range(found, check)} (limit {_shown(check.limit, check)})"
    if one.requests_to_decide is None:
        return f"{lies}; it sits so close to the limit that no test would decide."
    more = one.requests_to_decide - found.requests
    each = " of each" if check.against != "floor" else ""
    many = f"{more} more request{'' if more == 1 else 's'}{each}"
    if found.high == math.inf:
        return f"{lies}: {found.requests} requests are too few to bound it; at least {many} would."
    return f"{lies}; about {many} would decide, were the values to stay."


def _range(found: estimates.Estimate, check: evidence.Check) -> str:
    low, high = _shown(found.low, check), _shown(found.high, check)
    if found.high < math.inf:
        return f"lies between {low} and {high}"
    return f"is at least {low}" if found.low > 0 else "has no bounds"


def _shown(value: float, check: evidence.Check) -> str:
    if check.unit == "%":
        return f"{value:{'+' if check.against == 'baseline' else ''}.1%}"
    return f"{value:.3g}{'' if check.unit == 'x' else ' '}{check.unit}"
