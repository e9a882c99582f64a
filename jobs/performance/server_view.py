"""What the server itself measured during a load test: through Prometheus, or from vLLM's own counters. Evidence; no verdict rests on it."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane import ports
from controlplane.clients import prometheus
from controlplane.core import errors, exposition, latency
from jobs import job

E2E = "vllm:e2e_request_latency_seconds"
TTFT = "vllm:time_to_first_token_seconds"
FINISHED = "vllm:request_success_total"


@dataclass(frozen=True)
class ServerView:
    """P95s are interpolated within histogram buckets, so they are coarse. `finished` counts every request the server ended, ours or not."""

    source: str
    p95_latency_seconds: float | None
    p95_ttft_seconds: float | None
    finished: float | None
    foreign: float | None


def ask(prometheus_url: str, measured: latency.LoadTest, before: str, after: str, log: job.Log) -> ServerView:
    """Prometheus' answer, or the counters' when it is not there or has scraped too little; says which."""
    finished = exposition.growth(before, after, FINISHED)
    foreign = None if finished is None else max(0.0, finished - len(measured.samples))
    if foreign:
        log.warning(f"The server finished {foreign:.0f} requests more than this test sent.", foreign=foreign)
    found = _from_prometheus(prometheus_url, measured, log) if prometheus_url else None
    if found is not None:
        return ServerView(f"prometheus {prometheus_url}", *found, finished, foreign)
    if not prometheus_url:
        log.info("No Prometheus was named; the server's own counters are read instead.")
    p95s = (exposition.quantile(before, after, E2E, 0.95), exposition.quantile(before, after, TTFT, 0.95))
    return ServerView("vllm /metrics", *p95s, finished, foreign)


def p95_query(histogram: str, duration_seconds: float) -> str:
    """PromQL for the P95 over the test's time; a shorter window than two scrapes would hold no increase at all."""
    return f"histogram_quantile(0.95, sum by (le) (increase({histogram}_bucket[{max(30, round(duration_seconds))}s])))"


def _from_prometheus(address: str, measured: latency.LoadTest, log: job.Log) -> tuple[float | None, float | None] | None:
    client = prometheus.Prometheus(address)
    seconds = (measured.ended_at - measured.started_at).total_seconds()
    try:
        values = [_value(client.instant(p95_query(name, seconds), measured.ended_at)) for name in (E2E, TTFT)]
    except (errors.Unreachable, errors.OutsideError) as fault:
        log.warning(f"{fault} The server's own counters are read instead.")
        return None
    finally:
        client.close()
    if None in values:
        log.warning(f"Prometheus at {address} has no vLLM metrics for the test's time; the server's own counters are read instead.")
        return None
    return values[0], values[1]


def _value(series: list[ports.Series]) -> float | None:
    value = series[0].points[-1][1] if series and series[0].points else None
    return value if value is not None and value == value else None
