"""A real Prometheus scrapes a real vLLM during a real load test: the counts agree exactly, and others' requests are found."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import numpy
import pytest

from controlplane.clients import load_generator, prometheus, vllm_inference
from controlplane.core import exposition, gates, histogram_bounds, latency, load_plan, profiles, statistics, vllm_metrics, witness
from jobs.performance import server_view

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

CONCURRENCY, REQUESTS, WARM_UP = 4, 40, 4
# The server's time ends where it hands a piece on, ours where it came: on cores that server, test and other tests share.
ON_THE_WAY_SECONDS = 1.0


@dataclass(frozen=True)
class Servers:
    replica: vllm_inference.VllmReplica
    metrics: prometheus.Prometheus


@dataclass(frozen=True)
class Seen:
    """A load test, and what both witnesses saw of it."""

    test: latency.LoadTest
    scraped: witness.Witness
    read: witness.Witness

    def exact(self, percent: float, *, of_first_token: bool = False) -> float:
        """From every request, warm-up included: the server cannot tell them apart."""
        times = [sample.first_token_seconds if of_first_token else sample.total_seconds for sample in self.test.samples]
        found = statistics.percentile([time for time in times if time is not None], percent)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def servers(vllm_server: str, start_prometheus) -> Iterator[Servers]:  # type: ignore[no-untyped-def]
    address = start_prometheus({"vllm": [urlsplit(vllm_server).netloc]})
    with (
        contextlib.closing(vllm_inference.VllmReplica(vllm_server)) as replica,
        contextlib.closing(prometheus.Prometheus(address)) as metrics,
    ):
        deadline = time.monotonic() + 60
        while not metrics.instant(f"count_over_time({vllm_metrics.KV_CACHE}[1m]) > 2", datetime.now(UTC)):
            assert time.monotonic() < deadline, "Prometheus did not scrape vLLM in a minute"
            time.sleep(0.3)
        yield Servers(replica, metrics)


@pytest.fixture(scope="module")
def alone(servers: Servers) -> Seen:
    return load(servers)


def load(servers: Servers, strangers: int = 0) -> Seen:
    """A closed loop of short answers, with as many requests of somebody else in between."""
    slot = load_plan.Slot(latency.CANDIDATE, profiles.LOCAL_BASE_MODEL)
    plan = load_plan.Plan(
        (slot,), load_plan.ClosedLoop(CONCURRENCY), max_tokens=8, requests_per_block=REQUESTS, blocks_per_slot=1, warmup_requests=WARM_UP
    )
    questions = [load_generator.Prompt(str(i), [{"role": "user", "content": f"Count from {i} to {i + 9}."}]) for i in range(REQUESTS)]
    stranger = threading.Thread(target=ask, args=(servers.replica, strangers))
    assert server_view.settle(servers.metrics.address), "no scrape between what ran before and the test"
    before = servers.replica.metrics_text()
    stranger.start()
    test = load_generator.measure(plan, servers.replica.address, questions, numpy.random.default_rng(1))
    stranger.join()
    claim = witness.claim_of(test, plan.most_in_flight)
    after = server_view.read_after(servers.replica.metrics_text, claim, before)
    assert (claim.sent, claim.succeeded) == (REQUESTS + WARM_UP, REQUESTS + WARM_UP), latency.errors_by_class(test.samples)
    read = server_view.from_readings(claim, before, after, servers.replica.address)
    return Seen(test, server_view.from_prometheus(claim, servers.metrics), read)


def ask(replica: vllm_inference.VllmReplica, times: int) -> None:
    for _ in range(times):
        replica.chat(profiles.LOCAL_BASE_MODEL, [{"role": "user", "content": "Who else is here?"}], max_tokens=4)


def test_both_witnesses_count_exactly_what_was_sent(alone: Seen) -> None:
    for seen in (alone.scraped, alone.read):
        assert (seen.agreement, seen.finished, seen.notes) == (witness.Agreement.AGREES, REQUESTS + WARM_UP, ())
    assert alone.scraped.quantiles == alone.read.quantiles
    believed = witness.choose(alone.scraped, alone.read)
    assert believed.source == alone.scraped.source


@pytest.mark.parametrize(("name", "of_first_token"), [("latency_seconds", False), ("ttft_seconds", True)])
@pytest.mark.parametrize("percent", [50, 95])
def test_the_exact_percentile_lies_between_the_edges_of_the_server_s(alone: Seen, name: str, of_first_token: bool, percent: int) -> None:
    seen, exact = alone.scraped.quantiles[f"p{percent}_{name}"], alone.exact(percent, of_first_token=of_first_token)
    assert seen.low <= seen.interpolated <= seen.high
    assert seen.low <= exact <= seen.high + ON_THE_WAY_SECONDS


def test_the_server_tells_where_the_time_went(alone: Seen) -> None:
    values = alone.scraped.values
    exact = statistics.mean([sample.total_seconds for sample in alone.test.samples])
    assert exact is not None
    assert values["mean_latency_seconds"] <= exact <= values["mean_latency_seconds"] + ON_THE_WAY_SECONDS
    parts = values["mean_queue_seconds"] + values["mean_prefill_seconds"] + values["mean_decode_seconds"]
    assert 0 < parts <= values["mean_latency_seconds"]
    assert values["generation_tokens"] == sum(sample.answer_tokens for sample in alone.test.samples)
    assert 1 <= values["max_running_requests"] <= CONCURRENCY
    assert 0 < values["max_kv_cache_share"] < 1
    assert (values["aborted_requests"], values["preemptions"]) == (0.0, 0.0)
    assert set(alone.read.values) >= {"mean_ttft_seconds", "mean_inter_token_seconds", "prefix_cache_hit_share"}


def test_requests_of_somebody_else_are_found_by_both(servers: Servers) -> None:
    tested = load(servers, strangers=3)
    for seen in (tested.scraped, tested.read):
        assert (seen.agreement, seen.finished) == (witness.Agreement.CONTAMINATED, REQUESTS + WARM_UP + 3)
        assert "3 more than the test sent" in " ".join(seen.notes)


def test_the_server_s_histograms_have_their_bounds_where_the_gate_has_its_floors(servers: Servers) -> None:
    found = exposition.parse(servers.replica.metrics_text(), 0)
    wanted = histogram_bounds.for_gate(gates.LoadThresholds())
    for family, name in (("request_latency", "latency_seconds"), ("time_to_first_token", "ttft_seconds")):
        bounds = [float(one.labels["le"]) for one in found if one.name == f"{vllm_metrics.QUANTILES[name]}_bucket"]
        assert bounds == [*wanted[family], float("inf")]
