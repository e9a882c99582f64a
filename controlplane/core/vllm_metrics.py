"""What vLLM's metrics are called (0.32) and what they say of a load test. Samples in, a witness out; it asks nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from controlplane.core import counters, histograms, series, witness

_Value = TypeVar("_Value")

FINISHED = "vllm:request_success_total"
FINISHED_SINCE = "vllm:request_success_created"
RUNNING, WAITING, KV_CACHE = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"
CACHE_QUERIES, CACHE_HITS = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"

QUANTILES = {
    "latency_seconds": "vllm:e2e_request_latency_seconds",
    "ttft_seconds": "vllm:time_to_first_token_seconds",
    "inter_token_seconds": "vllm:inter_token_latency_seconds",
}
MEANS = {
    **QUANTILES,
    "queue_seconds": "vllm:request_queue_time_seconds",
    "prefill_seconds": "vllm:request_prefill_time_seconds",
    "decode_seconds": "vllm:request_decode_time_seconds",
}
PERCENTS = (50, 95, 99)
COUNTS = {
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generation_tokens": "vllm:generation_tokens_total",
    "preemptions": "vllm:num_preemptions_total",
    "refused_requests": "vllm:admission_rejections_total",
}
# NVIDIA's DCGM exporter, and nvidia_gpu_exporter: our name, theirs, and what makes theirs our unit.
GPUS = (
    ("gpu_mean_utilization_share", "DCGM_FI_DEV_GPU_UTIL", 0.01),
    ("gpu_mean_utilization_share", "nvidia_smi_utilization_gpu_ratio", 1.0),
    ("gpu_max_memory_used_bytes", "DCGM_FI_DEV_FB_USED", 2.0**20),
    ("gpu_max_memory_used_bytes", "nvidia_smi_memory_used_bytes", 1.0),
    ("gpu_mean_power_watts", "DCGM_FI_DEV_POWER_USAGE", 1.0),
    ("gpu_mean_power_watts", "nvidia_smi_power_draw_watts", 1.0),
)
NAMES = (
    *(FINISHED, FINISHED_SINCE, RUNNING, WAITING, KV_CACHE, CACHE_QUERIES, CACHE_HITS, *COUNTS.values()),
    *(f"{name}_bucket" for name in QUANTILES.values()),
    *(f"{name}_{part}" for name in MEANS.values() for part in ("sum", "count")),
    *(name for _, name, _ in GPUS),
)


def selector(names: Sequence[str] = NAMES, matcher: str = "") -> str:
    """PromQL that selects the named series of the servers under test.

    Args:
        matcher: label matchers such as `namespace="ml",pod=~"vllm-.*"`, with or without braces; empty: every server there is.
    """
    own = matcher.strip().removeprefix("{").removesuffix("}").strip().strip(",")
    return f'{{__name__=~"{"|".join(names)}"{"," if own else ""}{own}}}'


def testify(source: str, found: Iterable[series.Series], window: counters.Window, claim: witness.Claim) -> witness.Witness:
    """What the samples say of a test. What is missing or no number is absent.

    Args:
        found: of all servers under test together; of GPUs, every one that is in it counts.
        window: the test's time on the clock that dates the samples.
    """
    every = list(found)
    servers = [one for one in every if one.name.startswith("vllm:")]
    grown = counters.growth(servers, window)
    count = _count(servers, grown, window)
    is_known = grown.is_whole and not grown.has_restarted
    values = {**_gauges(every, window), **(_growths(grown) if is_known else {})}
    return witness.Witness(
        source=source,
        agreement=witness.agreement(claim, count),
        finished=count.finished,
        quantiles=_quantiles(grown) if is_known else {},
        values={name: value for name, value in values.items() if math.isfinite(value)},
        notes=_notes(source, claim, count, grown),
    )


def _count(servers: Sequence[series.Series], grown: counters.Growth, window: counters.Window) -> witness.Count:
    counted = counters.total(grown, FINISHED)
    in_flight = _max(_total_over_time(_named(servers, RUNNING, WAITING), window)) if grown.servers == 1 else None
    # Servers are scraped one after the other: a request may show at two of them, so only a single one tells how many were in flight.
    return witness.Count(counted if grown.is_whole else None, counted, in_flight)


def _quantiles(grown: counters.Growth) -> dict[str, witness.Quantile]:
    found = {
        f"p{percent}_{name}": histograms.quantile(histograms.counts(grown, histogram), percent / 100)
        for name, histogram in QUANTILES.items()
        for percent in PERCENTS
    }
    return _present(found)


def _growths(grown: counters.Growth) -> dict[str, float]:
    means = {f"mean_{name}": histograms.mean(grown, histogram) for name, histogram in MEANS.items()}
    counts = {name: counters.total(grown, theirs) for name, theirs in COUNTS.items()}
    aborted = counters.total(grown, FINISHED, finished_reason="abort")
    queries, hits = counters.total(grown, CACHE_QUERIES), counters.total(grown, CACHE_HITS)
    share = hits / queries if hits is not None and queries else None
    return _present({**means, **counts, "aborted_requests": aborted, "prefix_cache_hit_share": share})


def _gauges(found: Sequence[series.Series], window: counters.Window) -> dict[str, float]:
    running, waiting = (_total_over_time(_named(found, name), window) for name in (RUNNING, WAITING))
    own = {
        "max_running_requests": _max(running),
        "mean_running_requests": _mean(running),
        "max_waiting_requests": _max(waiting),
        "mean_waiting_requests": _mean(waiting),
        "max_kv_cache_share": _max(_values(_named(found, KV_CACHE), window)),
    }
    gpus: dict[str, float | None] = {}
    for name, theirs, scale in GPUS:
        values = _values(_named(found, theirs), window)
        value = _max(values) if "_max_" in name else _mean(values)
        gpus[name] = value * scale if value is not None else gpus.get(name)
    return _present({**own, **gpus})


def _notes(source: str, claim: witness.Claim, count: witness.Count, grown: counters.Growth) -> tuple[str, ...]:
    notes = []
    if grown.has_restarted:
        notes.append(f"{source}: a server restarted in the test's time, so its count is unknown.")
    elif not grown.servers:
        notes.append(f"{source} has no vLLM metrics of the test's time.")
    elif count.at_least is None:
        notes.append(f"{source} has no count of requests ({FINISHED}).")
    elif not grown.is_whole:
        notes.append(f"{source} saw only part of the test's time, {count.at_least:.0f} requests.")
    if count.finished is not None and count.finished > claim.sent:
        notes.append(f"{source} counted {count.finished:.0f} requests, {count.finished - claim.sent:.0f} more than the test sent.")
    if count.finished is not None and count.finished < claim.succeeded:
        notes.append(
            f"{source} counted {count.finished:.0f} requests of the {claim.succeeded} that succeeded: is it the server under test?"
        )
    if count.most_in_flight is not None and claim.most_in_flight is not None and count.most_in_flight > claim.most_in_flight:
        notes.append(f"{source} saw {count.most_in_flight:.0f} requests at once; the test had {claim.most_in_flight} at most.")
    return tuple(notes)


def _named(found: Iterable[series.Series], *names: str) -> list[series.Series]:
    return [one for one in found if one.name in names]


def _values(found: Iterable[series.Series], window: counters.Window) -> list[float]:
    return [value for one in found for time, value in one.points if _is_within(time, window) and math.isfinite(value)]


def _total_over_time(found: Iterable[series.Series], window: counters.Window) -> list[float]:
    """The sum of the series' latest values at each scrape in the window, from when all of them were seen."""
    every = [{time: value for time, value in one.points if _is_within(time, window) and math.isfinite(value)} for one in found]
    latest: dict[int, float] = {}
    totals = []
    for moment in sorted({time for one in every for time in one}):
        latest |= {number: one[moment] for number, one in enumerate(every) if moment in one}
        if len(latest) == len(every):
            totals.append(math.fsum(latest.values()))
    return totals


def _is_within(time: float, window: counters.Window) -> bool:
    return window.start_seconds <= time <= window.end_seconds


def _max(values: Sequence[float]) -> float | None:
    return max(values, default=None)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _present(values: Mapping[str, _Value | None]) -> dict[str, _Value]:
    return {name: value for name, value in values.items() if value is not None}
