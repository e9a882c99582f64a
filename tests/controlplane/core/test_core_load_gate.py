"""Gate 2 by both rule sets, as tables of whole tests: pass, fail, inconclusive, error, each with its reason; missing data never passes."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.core import evidence, gates, latency, load_gate, load_measures, witness

PASS, FAIL, INCONCLUSIVE, ERROR = evidence.Outcome.PASS, evidence.Outcome.FAIL, evidence.Outcome.INCONCLUSIVE, evidence.Outcome.ERROR
POINT, INTERVAL = evidence.RuleSet.POINT, evidence.RuleSet.INTERVAL
OWN = gates.LoadThresholds()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Slot:
    """How a slot answers: mean seconds, share of failures and their class, spread of log times."""

    seconds: float = 1.0
    failures: float = 0.0
    error: str = "http 500"
    spread: float = 0.25


@functools.cache
def run(candidate: Slot, live: Slot | None = None, requests: int = 1000, clients: int = 10, seed: int = 1) -> latency.LoadTest:
    """A closed loop in four blocks, or in one of the candidate alone; `requests` for each role."""
    generator = numpy.random.default_rng(seed)
    order = (latency.CANDIDATE, latency.LIVE) * 2 if live else (latency.CANDIDATE,)
    samples: list[latency.Sample] = []
    blocks: list[latency.Block] = []
    for number, role in enumerate(order):
        begins = blocks[-1].ended_seconds if blocks else 0.0
        slot = live if live and role == latency.LIVE else candidate
        found = block(slot, role, number, requests // (len(order) // len({*order})), clients, begins, generator)
        samples += found[0]
        blocks.append(found[1])
    return latency.LoadTest(tuple(samples), tuple(blocks), NOW, NOW, "count")


def block(
    slot: Slot, role: str, number: int, requests: int, clients: int, begins: float, generator: numpy.random.Generator
) -> tuple[list[latency.Sample], latency.Block]:
    free, samples = [begins] * clients, []
    for at in range(requests + clients):
        due, taken = heapq.heappop(free), slot.seconds * generator.lognormal(0, slot.spread)
        error = slot.error if generator.random() < slot.failures else ""
        first = None if error else taken / 5
        samples.append(latency.Sample(due, first, taken, 12, "stop", error, role=role, block=number, is_counted=at >= clients))
        heapq.heappush(free, due + taken)
    begun = samples[clients].at_seconds if requests else begins
    return samples, latency.Block(number, role, begun, samples[-1].at_seconds, max(free))


def source(test: latency.LoadTest, role: str, thresholds: gates.LoadThresholds = OWN) -> load_measures.Source:
    return load_measures.measure(test, role, thresholds, numpy.random.default_rng(7))


def both(
    test: latency.LoadTest, thresholds: gates.LoadThresholds = OWN, seen: witness.Witness | None = None
) -> dict[evidence.RuleSet, evidence.Verdict]:
    has_live = any(one.role == latency.LIVE for one in test.blocks)
    baseline = source(test, latency.LIVE, thresholds) if has_live else None
    return dict(load_gate.evaluate_both(source(test, latency.CANDIDATE, thresholds), baseline, thresholds, seen))


@pytest.mark.parametrize(
    ("candidate", "live", "point", "interval"),
    [
        (Slot(), Slot(), PASS, PASS),
        (Slot(0.8), Slot(), PASS, PASS),
        (Slot(1.6), Slot(), FAIL, FAIL),
        (Slot(1.2), Slot(), FAIL, INCONCLUSIVE),
        (Slot(failures=0.03), Slot(), FAIL, FAIL),
        (Slot(failures=0.2), Slot(), FAIL, FAIL),
        (Slot(failures=0.2, error="timeout"), Slot(), FAIL, FAIL),
        (Slot(failures=1.0), Slot(), FAIL, FAIL),
        (Slot(failures=1.0, error="timeout"), Slot(), FAIL, FAIL),
        (Slot(failures=1.0, error="connection"), Slot(), ERROR, ERROR),
        (Slot(failures=0.2, error="connection"), Slot(), ERROR, ERROR),
        (Slot(), Slot(failures=1.0, error="connection"), ERROR, ERROR),
        (Slot(), Slot(failures=1.0), INCONCLUSIVE, INCONCLUSIVE),
        (Slot(9.0), Slot(9.0), FAIL, FAIL),
        (Slot(1.0, spread=0.0), Slot(1.0, spread=0.0), PASS, PASS),
    ],
    ids=[
        "same",
        "quicker",
        "much slower",
        "on the limit",
        "some failures",
        "many failures",
        "many timeouts",
        "all failed",
        "all timed out",
        "server gone",
        "server gone midway",
        "live slot gone",
        "live slot failed",
        "both too slow",
        "regular as a clock",
    ],
)
def test_against_live(candidate: Slot, live: Slot, point: evidence.Outcome, interval: evidence.Outcome) -> None:
    found = both(run(candidate, live))
    assert (found[POINT].outcome, found[INTERVAL].outcome) == (point, interval), [one.reason for one in found.values()]
    assert all(one.reason for one in found.values())


def test_a_server_that_stopped_at_the_end_is_a_broken_tool() -> None:
    test = run(Slot(), Slot())
    ends = test.samples[-20].at_seconds

    def stopped(after: float, error: str) -> latency.LoadTest:
        samples = [replace(one, error=error, first_token_seconds=None) if one.at_seconds > after else one for one in test.samples]
        unsent = replace(samples[-1], error="not sent", at_seconds=samples[-1].at_seconds + 1)
        return replace(test, samples=(*samples, unsent))

    found = both(stopped(ends, "connection"))[INTERVAL]
    assert found.outcome is ERROR
    assert "See whether it still runs" in found.reason
    assert both(stopped(ends, "http 500"))[INTERVAL].outcome is not ERROR
    assert both(stopped(test.samples[-5].at_seconds, "connection"))[INTERVAL].outcome is not ERROR


@pytest.mark.parametrize(
    ("candidate", "requests", "outcome", "says"),
    [
        (Slot(), 1000, PASS, "All 4 checks passed."),
        (Slot(8.5), 1000, FAIL, "P95 latency is"),
        (Slot(5.3), 1000, INCONCLUSIVE, "P95 latency lies between"),
        (Slot(), 100, INCONCLUSIVE, "success rate lies between 96.3% and 100.0% (limit 99.0%); about 281 more requests would decide"),
        (Slot(), 50, INCONCLUSIVE, "50 requests are too few to bound it; at least"),
        (Slot(), 20, INCONCLUSIVE, "throughput has no bounds (limit 2 req/s): "),
        (Slot(), 0, INCONCLUSIVE, "Nothing was measured for P95 latency."),
    ],
    ids=["fast", "slow", "near the limit", "too few for success", "too few for a P95", "too few for throughput", "nothing"],
)
def test_a_first_deploy_is_held_against_the_floors(candidate: Slot, requests: int, outcome: evidence.Outcome, says: str) -> None:
    verdict = both(run(candidate, requests=requests, clients=20, seed=4))[INTERVAL]
    assert verdict.outcome is outcome, verdict.reason
    assert says in verdict.reason
    assert [check.against for check in verdict.checks] == ["floor"] * 4


def test_a_baseline_of_an_earlier_test_is_compared_too() -> None:
    earlier = source(run(Slot(), seed=9), latency.CANDIDATE)
    assert load_gate.evaluate(source(run(Slot()), latency.CANDIDATE), earlier, OWN).outcome is PASS
    assert load_gate.evaluate(source(run(Slot(1.6)), latency.CANDIDATE), earlier, OWN).outcome is FAIL


def seen(agreement: witness.Agreement) -> witness.Witness:
    return witness.Witness("prometheus http://p", agreement, 1000, {}, {})


@pytest.mark.parametrize(
    ("agreement", "candidate", "outcome", "says"),
    [
        (witness.Agreement.AGREES, Slot(), PASS, ""),
        (witness.Agreement.MISSING, Slot(), PASS, "counted fewer requests than succeeded"),
        (witness.Agreement.UNKNOWN, Slot(), PASS, "No count of the server's own"),
        (witness.Agreement.CONTAMINATED, Slot(), INCONCLUSIVE, "Were it to count: pass."),
        (witness.Agreement.CONTAMINATED, Slot(1.6), INCONCLUSIVE, "Were it to count: fail."),
        (witness.Agreement.CONTAMINATED, Slot(failures=1.0, error="connection"), ERROR, ""),
    ],
)
@pytest.mark.parametrize("rules", list(evidence.RuleSet))
def test_the_second_witness(
    agreement: witness.Agreement, candidate: Slot, outcome: evidence.Outcome, says: str, rules: evidence.RuleSet
) -> None:
    verdict = both(run(candidate, Slot()), seen=seen(agreement))[rules]
    assert verdict.outcome is outcome
    assert says in " ".join(verdict.notes)
    assert ("prometheus http://p counted more requests" in verdict.reason) is (outcome is INCONCLUSIVE)


def test_without_any_witness_it_says_so() -> None:
    assert "No count of the server's own" in " ".join(both(run(Slot(), Slot()))[INTERVAL].notes)


@pytest.mark.parametrize(
    ("deciding", "outcome", "other"), [(POINT, FAIL, (INTERVAL, INCONCLUSIVE)), (INTERVAL, INCONCLUSIVE, (POINT, FAIL))]
)
def test_what_the_other_rules_say_is_kept(
    deciding: evidence.RuleSet, outcome: evidence.Outcome, other: tuple[evidence.RuleSet, evidence.Outcome]
) -> None:
    test = run(Slot(1.2), Slot())
    sources = (source(test, latency.CANDIDATE), source(test, latency.LIVE))
    verdict = load_gate.decide(*sources, OWN, None, deciding, ("Of the caller.",))
    assert (verdict.rules, verdict.outcome) == (deciding, outcome)
    assert verdict.notes[0] == "Of the caller."
    assert [(one.rules, one.outcome) for one in verdict.others] == [other]


def test_lowered_floors_and_correlated_requests_are_noted() -> None:
    calm = both(run(Slot(), Slot()), replace(OWN, min_throughput=0.5))
    assert all("Lowered: throughput floor 0.5 req/s instead of 2 req/s." in one.notes for one in calm.values())
    assert "independent ones" not in " ".join(calm[INTERVAL].notes)
    test = run(Slot(), Slot())
    waves = replace(
        test, samples=tuple(replace(one, total_seconds=one.total_seconds * (1 + one.at_seconds % 40 / 40)) for one in test.samples)
    )
    assert "1000 count like" in " ".join(both(waves)[INTERVAL].notes)


def test_warm_up_changes_nothing() -> None:
    test = run(Slot(), Slot())
    slow = [replace(one, first_token_seconds=50.0, error="http 503") if not one.is_counted else one for one in test.samples]
    found = source(replace(test, samples=tuple(slow)), latency.CANDIDATE).measured
    kept = source(test, latency.CANDIDATE).measured
    assert (found.p95_latency, found.p95_ttft, found.success, found.failures) == (kept.p95_latency, kept.p95_ttft, kept.success, {})


def test_timeouts_do_not_make_a_server_look_quicker() -> None:
    """The slowest 4% are cut off by the client: of what is left the P95 is lower, of what was sent it is not."""
    test = run(Slot(), spread_of := Slot(spread=0.5))
    slowest = sorted((one.total_seconds for one in test.samples if one.role == latency.LIVE), reverse=True)[40]
    cut = [replace(one, error="timeout") if one.role == latency.LIVE and one.total_seconds > slowest else one for one in test.samples]
    whole, less = source(test, latency.LIVE).measured, source(replace(test, samples=tuple(cut)), latency.LIVE).measured
    assert whole.p95_latency is not None
    assert less.p95_latency is not None
    assert less.p95_latency.value >= whole.p95_latency.value > spread_of.seconds
    summaries = [latency.summarize_role(one, latency.LIVE).p95_latency_seconds for one in (test, replace(test, samples=tuple(cut)))]
    assert None not in summaries
    assert summaries[1] < summaries[0]  # type: ignore[operator]


def test_goodput_is_the_share_within_all_limits() -> None:
    samples = [
        latency.Sample(float(number), first, total, 5, "stop", error)
        for number, (first, total, error) in enumerate([(0.1, 1.0, ""), (3.0, 4.0, ""), (0.1, 9.0, ""), (None, 1.0, "timeout")])
    ]
    window = latency.Block(0, latency.CANDIDATE, 0.0, 10.0, 20.0)
    test = latency.LoadTest(tuple(samples), (window,), NOW, NOW, "count")
    found = source(test, latency.CANDIDATE).measured.goodput
    assert found is not None
    assert (found.value, found.requests) == (0.25, 4)
    assert found.low < 0.25 < found.high
    assert load_measures.goodput_per_second(test, latency.CANDIDATE, OWN) == pytest.approx(0.1)


@pytest.mark.parametrize("failures", [0.0, 0.2])
def test_metrics_keep_the_summarys_names_and_each_lies_within_its_bounds(failures: float) -> None:
    test = run(Slot(failures=failures), Slot())
    found = load_measures.metrics(source(test, latency.CANDIDATE), OWN)
    assert found.items() >= latency.to_metrics(latency.summarize_role(test, latency.CANDIDATE)).items()
    bounded = [name.removesuffix("_low") for name in found if name.endswith("_low")]
    assert {"p50_latency_seconds", "p95_ttft_seconds", "p99_ttft_seconds", "throughput", "success_rate", "goodput_share"} <= {*bounded}
    assert all(found[f"{name}_low"] <= found[name] <= found[f"{name}_high"] for name in bounded)


def test_metrics_of_nothing_are_few() -> None:
    assert load_measures.metrics(source(run(Slot(), requests=0), latency.CANDIDATE), OWN)["requests"] == 0


def right_side(check: evidence.Check) -> bool:
    assert check.interval is not None
    bounds: Sequence[float] = (check.interval.low, check.interval.high)
    return all(evidence.holds(bound, check.comparison, check.limit) for bound in bounds)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.5, 2.0), st.floats(0.5, 2.0), st.sampled_from([0.0, 0.01, 0.1]), st.sampled_from([40, 200, 500]), st.integers(0, 2**32 - 1)
)
def test_a_check_passes_only_with_every_bound_on_the_right_side(
    mine: float, theirs: float, failures: float, requests: int, seed: int
) -> None:
    verdict = both(run(Slot(mine, failures), Slot(theirs), requests, seed=seed))[INTERVAL]
    for check in verdict.checks:
        assert check.outcome is not PASS or right_side(check)
        if check.interval and check.value is not None:
            assert check.interval.low <= check.value <= check.interval.high
    assert (verdict.outcome is PASS) == all(check.outcome is PASS for check in verdict.checks)
