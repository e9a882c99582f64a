"""What the server itself saw of a load test: through Prometheus, or from its own counters. It decides nothing and fails no test."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from controlplane import ports
from controlplane.clients import prometheus
from controlplane.core import counters, errors, exposition, vllm_metrics, witness

# Prometheus' usual interval is at most a minute: two scrapes before the test lie within this.
LOOK_BACK = timedelta(seconds=150)
UNKNOWN_INTERVAL_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 90.0
LARGEST_DIFFERENCE = timedelta(days=1)
SETTLING_READS, SETTLING_SECONDS = 5, 0.2

Sleep = Callable[[float], None]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def watch(
    claim: witness.Claim,
    before: str,
    after: str,
    *,
    vllm_address: str,
    prometheus_url: str = "",
    matcher: str = "",
    sleep: Sleep = time.sleep,
    clock: Clock = _now,
) -> witness.Witness:
    """The witness to believe. It waits for one more scrape, 1.5 intervals and 90 s at most, and raises nothing for what Prometheus does.

    Args:
        before, after: the server's /metrics, read right before the test's first request and right after its last; empty: not read.
        matcher: labels of the servers under test, such as `namespace="ml",pod=~"vllm-.*"`; empty: every vLLM that Prometheus knows.
    """
    read = from_readings(claim, before, after, vllm_address)
    if not prometheus_url:
        return read
    try:
        client = prometheus.Prometheus(prometheus_url)
    except errors.InvalidInput as fault:
        return _instead(read, fault)
    with contextlib.closing(client):
        return beside(claim, read, client, matcher, sleep=sleep, clock=clock)


def settle(prometheus_url: str, matcher: str = "", *, sleep: Sleep = time.sleep) -> bool:
    """Before a test: waits for one scrape, so that what ran earlier stays out of its count. False when none came; it raises nothing."""
    try:
        with contextlib.closing(prometheus.Prometheus(prometheus_url)) as metrics:
            now = metrics.now()
            return await_scrape(metrics, now, now, matcher, sleep=sleep)
    except (errors.InvalidInput, errors.Unreachable, errors.OutsideError):
        return False


def read_after(read: Callable[[], str], claim: witness.Claim, before: str, *, sleep: Sleep = time.sleep) -> str:
    """The server's /metrics once all that succeeded is in it, or a second later; empty where the server no longer answers.

    vLLM counts an answer in the round of its loop that sends the end; with many requests or stop words a client may see that end first.
    """
    after = ""
    for _ in range(SETTLING_READS):
        try:
            after = read()
        except (errors.Unreachable, errors.OutsideError):
            return ""
        if from_readings(claim, before, after, "").agreement is not witness.Agreement.MISSING:
            break
        sleep(SETTLING_SECONDS)
    return after


def beside(
    claim: witness.Claim,
    read: witness.Witness,
    metrics: ports.Metrics,
    matcher: str = "",
    *,
    sleep: Sleep = time.sleep,
    clock: Clock = _now,
) -> witness.Witness:
    """The one to believe of what was read from the server and what Prometheus saw; without Prometheus the former, saying why."""
    try:
        return witness.choose(from_prometheus(claim, metrics, matcher, sleep=sleep, clock=clock), read)
    except (errors.Unreachable, errors.OutsideError) as fault:
        return _instead(read, fault)


def from_readings(claim: witness.Claim, before: str, after: str, vllm_address: str) -> witness.Witness:
    """From two readings of one server's /metrics. What changes while the test runs (running requests, cache use) is not in them."""
    source, start = f"vllm {vllm_address}/metrics", claim.started_at.timestamp()
    window = counters.Window(start, max(claim.ended_at.timestamp(), math.nextafter(start, math.inf)))
    try:
        found = exposition.joined(exposition.parse(before, window.start_seconds), exposition.parse(after, window.end_seconds))
    except errors.InvalidInput as fault:
        return witness.with_note(vllm_metrics.testify(source, [], window, claim), f"{source}: {fault}")
    changing = (vllm_metrics.RUNNING, vllm_metrics.WAITING, vllm_metrics.KV_CACHE)
    return vllm_metrics.testify(source, [one for one in found if one.name not in changing], window, claim)


def from_prometheus(
    claim: witness.Claim, metrics: ports.Metrics, matcher: str = "", *, sleep: Sleep = time.sleep, clock: Clock = _now
) -> witness.Witness:
    """From the samples that Prometheus scraped.

    Raises:
        Unreachable, OutsideError: Prometheus does not answer, or refuses.
    """
    ahead, unsure = _clock_difference(metrics, clock)
    # Our own clock may have gone back while the test ran.
    start, end = claim.started_at + ahead - unsure, max(claim.started_at, claim.ended_at) + ahead + unsure
    window = counters.Window(start.timestamp(), end.timestamp())
    await_scrape(metrics, start, end, matcher, sleep=sleep)
    found = metrics.samples(vllm_metrics.selector(matcher=matcher), start - LOOK_BACK, end + LOOK_BACK)
    seen = vllm_metrics.testify(f"prometheus {metrics.address}", found, window, claim)
    if abs(ahead) + unsure < timedelta(seconds=1):
        return seen
    said = f"Prometheus' clock is {ahead.total_seconds():+.1f} s from ours, known to {unsure.total_seconds():.1f} s; times are put right."
    return witness.with_note(seen, said)


def await_scrape(metrics: ports.Metrics, start: datetime, end: datetime, matcher: str = "", *, sleep: Sleep = time.sleep) -> bool:
    """Waits until every server was scraped at or after `end` (times on Prometheus' clock); False when it was not in time.

    Raises:
        Unreachable, OutsideError: Prometheus does not answer, or refuses.
    """
    selector = vllm_metrics.selector((vllm_metrics.FINISHED,), matcher)
    found = metrics.samples(selector, start - LOOK_BACK, end + LOOK_BACK)
    interval = counters.interval_seconds(found) or UNKNOWN_INTERVAL_SECONDS
    longest = min(1.5 * interval, LONGEST_WAIT_SECONDS)
    pause, deadline = min(5.0, max(0.1, interval / 4)), time.monotonic() + longest
    for _ in range(math.ceil(longest / pause) if found else 0):
        if counters.is_scraped_since(found, end.timestamp()) or time.monotonic() > deadline:
            break
        sleep(pause)
        found = metrics.samples(selector, start - LOOK_BACK, end + LOOK_BACK)
    return counters.is_scraped_since(found, end.timestamp())


def _clock_difference(metrics: ports.Metrics, clock: Clock) -> tuple[timedelta, timedelta]:
    """(how far its clock is ahead of ours, how surely). It answered some time between our asking and its answer's coming."""
    asked = clock()
    theirs = metrics.now()
    half = abs(clock() - asked) / 2
    ahead = theirs - (asked + half)
    if abs(ahead) > LARGEST_DIFFERENCE:
        raise errors.OutsideError("Prometheus", metrics.address, f"its clock is {ahead} from ours", hint="Set the clocks of both machines.")
    return ahead, half


def _instead(read: witness.Witness, fault: errors.GatewrightError) -> witness.Witness:
    return witness.with_note(read, f"{fault} The server's own counters are believed instead.")
