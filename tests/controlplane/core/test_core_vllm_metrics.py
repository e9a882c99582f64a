"""What samples of vLLM's metrics say of a load test."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from controlplane.core import counters, exposition, series, vllm_metrics, witness

WINDOW = counters.Window(100.0, 200.0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLAIM = witness.Claim(NOW, NOW, sent=20, succeeded=20, most_in_flight=4)


def text(done: int, *, aborted: int = 0, created: float = 1.7e9) -> str:
    """A server's /metrics after `done` requests of 0.7 s, one second of waiting each."""
    return f"""
vllm:request_success_total{{engine="0",finished_reason="stop"}} {done}
vllm:request_success_total{{engine="0",finished_reason="abort"}} {aborted}
vllm:request_success_created{{engine="0",finished_reason="stop"}} {created}
vllm:e2e_request_latency_seconds_bucket{{le="0.5"}} 0
vllm:e2e_request_latency_seconds_bucket{{le="1.0"}} {done}
vllm:e2e_request_latency_seconds_bucket{{le="+Inf"}} {done}
vllm:e2e_request_latency_seconds_sum {0.7 * done}
vllm:e2e_request_latency_seconds_count {done}
vllm:request_queue_time_seconds_sum {done}
vllm:request_queue_time_seconds_count {done}
vllm:time_to_first_token_seconds_sum NaN
vllm:time_to_first_token_seconds_count {done}
vllm:prefix_cache_queries_total {10 * done}
vllm:prefix_cache_hits_total {2 * done}
vllm:num_preemptions_total 3
vllm:generation_tokens_total {16 * done}
"""


def between(before: str, after: str) -> list[series.Series]:
    return exposition.joined(exposition.parse(before, 100), exposition.parse(after, 200))


def gauge(name: str, *points: tuple[float, float], **labels: str) -> series.Series:
    return series.Series({"__name__": name, **labels}, points)


def saw(found: list[series.Series]) -> witness.Witness:
    return vllm_metrics.testify("here", found, WINDOW, CLAIM)


def test_a_test_alone_on_the_server() -> None:
    seen = saw(between(text(5), text(25)))
    assert (seen.agreement, seen.finished, seen.notes) == (witness.Agreement.AGREES, 20.0, ())
    assert seen.quantiles["p95_latency_seconds"] == witness.Quantile(0.5, 1.0, pytest.approx(0.975))
    assert set(seen.quantiles) == {f"p{percent}_latency_seconds" for percent in (50, 95, 99)}
    assert seen.values == pytest.approx(
        {
            **{"mean_latency_seconds": 0.7, "mean_queue_seconds": 1.0, "prefix_cache_hit_share": 0.2, "preemptions": 0.0},
            **{"generation_tokens": 320.0, "aborted_requests": 0.0},
        }
    )


@pytest.mark.parametrize(
    ("found", "agreement", "finished", "note"),
    [
        pytest.param(between(text(5), text(28)), "contaminated", 23.0, "3 more than the test sent", id="others' requests"),
        pytest.param(between(text(5), text(24)), "missing", 19.0, "19 requests of the 20 that succeeded", id="another server's metrics"),
        pytest.param(between("", text(25)), "missing", None, "only part", id="not read before"),
        pytest.param(between(text(5), ""), "missing", None, "only part", id="not read after"),
        pytest.param(between(text(25), text(20)), "unknown", None, "restarted", id="restarted"),
        pytest.param(between(text(5), text(25, created=1.8e9)), "unknown", None, "restarted", id="restarted, and served many since"),
        pytest.param([], "unknown", None, "no vLLM metrics", id="nothing"),
        pytest.param(between("up 1", "up 1"), "unknown", None, "no vLLM metrics", id="of something else"),
        pytest.param(
            between("vllm:x_total 1", "vllm:x_total 1"), "unknown", None, "no count of requests", id="a vLLM without that counter"
        ),
        pytest.param(
            between(text(5), text(25).replace("} 25\n", "} NaN\n")), "unknown", None, "no count of requests", id="a count that is no number"
        ),
    ],
)
def test_what_is_wrong_is_said(found: list[series.Series], agreement: str, finished: float | None, note: str) -> None:
    seen = saw(found)
    assert (seen.agreement.value, seen.finished) == (agreement, finished)
    assert note in " ".join(seen.notes)
    assert all(math.isfinite(value) for value in seen.values.values())


@pytest.mark.parametrize("found", [between("", text(25)), between(text(25), text(20))], ids=["part of the time", "restarted"])
def test_part_of_a_test_has_no_quantiles_and_no_means(found: list[series.Series]) -> None:
    seen = saw(found)
    assert (seen.quantiles, seen.values) == ({}, {})


def test_gauges_count_within_the_test_only_and_are_summed_over_engines() -> None:
    points = ((90, 99), (110, 1), (150, 3), (190, 2), (210, 99))
    found = [
        gauge(vllm_metrics.RUNNING, *points, engine="0"),
        gauge(vllm_metrics.RUNNING, *points, engine="1"),
        gauge(vllm_metrics.KV_CACHE, (110, 0.2), (150, 0.6), (190, math.nan)),
    ]
    values = saw(found).values
    assert values == {"max_running_requests": 6.0, "mean_running_requests": 4.0, "max_kv_cache_share": 0.6}


def test_more_at_once_than_the_test_had_is_contamination_though_the_counts_agree() -> None:
    found = [*between(text(5), text(25)), gauge(vllm_metrics.RUNNING, (150, 4)), gauge(vllm_metrics.WAITING, (150, 1))]
    seen = saw(found)
    assert seen.agreement is witness.Agreement.CONTAMINATED
    assert "5 requests at once; the test had 4 at most" in seen.notes[0]


def test_two_servers_scraped_one_after_the_other_say_nothing_of_what_ran_at_once() -> None:
    found = [gauge(vllm_metrics.RUNNING, (140, 4), (160, 0), instance="a"), gauge(vllm_metrics.RUNNING, (145, 4), (165, 4), instance="b")]
    assert saw(found).agreement is witness.Agreement.UNKNOWN


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            [gauge("DCGM_FI_DEV_GPU_UTIL", (110, 50), (150, 100), gpu="0"), gauge("DCGM_FI_DEV_FB_USED", (110, 2), (150, 4), gpu="0")],
            {"gpu_mean_utilization_share": 0.75, "gpu_max_memory_used_bytes": 4 * 2.0**20},
        ),
        (
            [gauge("nvidia_smi_utilization_gpu_ratio", (110, 0.5)), gauge("nvidia_smi_power_draw_watts", (110, 300))],
            {"gpu_mean_utilization_share": 0.5, "gpu_mean_power_watts": 300.0},
        ),
        ([gauge("DCGM_FI_DEV_GPU_UTIL", (110, math.nan))], {}),
    ],
    ids=["DCGM", "nvidia-smi", "no number"],
)
def test_gpus(found: list[series.Series], expected: dict[str, float]) -> None:
    assert saw(found).values == pytest.approx(expected)


@pytest.mark.parametrize(
    "matcher", ['pod=~"vllm-.*",namespace="ml"', ' {pod=~"vllm-.*",namespace="ml"} ', '{pod=~"vllm-.*",namespace="ml",}']
)
def test_a_matcher_narrows_the_selector_with_or_without_braces(matcher: str) -> None:
    assert vllm_metrics.selector(("a", "b"), matcher) == '{__name__=~"a|b",pod=~"vllm-.*",namespace="ml"}'
    assert vllm_metrics.selector(("a", "b")) == '{__name__=~"a|b"}'
