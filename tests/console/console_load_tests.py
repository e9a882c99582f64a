"""Load tests of a simulated server, for tests of the page: passed by turns, open, contaminated, swept, beside a stored one."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from controlplane import wire

AT = datetime(2026, 3, 2, 14, 2, tzinfo=UTC)
RAMP_SECONDS = 4.0


def passed(requests: int = 320) -> wire.Performance:
    """Candidate and live took turns; every bound is on the right side."""
    return _alternated(requests, slower=1.0)


def inconclusive(requests: int = 110) -> wire.Performance:
    """So few requests that success rate and the ratio of latencies may be on either side of their limits."""
    test = _alternated(requests, slower=1.06, failing=0.03)
    found = {
        "success rate": ("inconclusive", 0.982, 0.941, 0.997),
        "P95 latency, candidate / baseline": ("inconclusive", 1.06, 0.81, 1.39),
        "P95 TTFT, candidate / baseline": ("pass", 1.01, 0.91, 1.12),
        "success rate, candidate - baseline": ("pass", 0.004, -0.012, 0.018),
    }
    checks = tuple(_found(one, *found[one.name]) if one.name in found else one for one in test.verdict.checks)
    reason = (
        "success rate lies between 94.1% and 99.7% (limit 99.0%); about 640 more requests would decide, were the values to stay. "
        "P95 latency, candidate / baseline lies between 0.81x and 1.39x (limit 1.15x); about 410 more requests of each would decide, "
        "were the values to stay."
    )
    verdict = test.verdict.model_copy(update={"outcome": "inconclusive", "reason": reason, "checks": checks})
    return test.model_copy(update={"verdict": verdict})


def _found(check: wire.Check, outcome: str, value: float, low: float, high: float) -> wire.Check:
    interval = wire.Interval(low=low, high=high, level=0.95)
    margin = check.limit - value if check.comparison.startswith("<") else value - check.limit
    return check.model_copy(update={"outcome": outcome, "value": value, "interval": interval, "margin": margin})


def contaminated() -> wire.Performance:
    """Somebody else loaded the server."""
    test = passed()
    reason = (
        "prometheus http://127.0.0.1:9090 counted more requests than the test sent: somebody else loaded the server. "
        "Test again while it is idle."
    )
    believed = f"Were it to count: pass. {test.verdict.reason}"
    verdict = test.verdict.model_copy(update={"outcome": "inconclusive", "reason": reason, "notes": (believed, *test.verdict.notes)})
    assert test.witness is not None
    more = "prometheus http://127.0.0.1:9090 counted 1,204 requests, 548 more than the test sent."
    seen = test.witness.model_copy(update={"agreement": "contaminated", "finished": 1204.0, "notes": (more,)})
    return test.model_copy(update={"verdict": verdict, "witness": seen})


def swept() -> wire.Performance:
    """With a sweep over six loads, of which the fifth is too much; requests left late in the end."""
    test = passed()
    late = tuple(
        sample.model_copy(update={"delay_seconds": 0.4 * max(0.0, sample.at_seconds / test.samples[-1].at_seconds - 0.6)})
        for sample in test.samples
    )
    points = tuple(_load_point(load) for load in (1, 2, 4, 8, 16, 32))
    return test.model_copy(update={"sweep": points, "samples": late})


def stored() -> wire.Performance:
    """Beside an earlier test of live, by the point rules, with no second witness."""
    test = passed()
    return test.model_copy(
        update={
            "baseline": "stored",
            "baseline_run": "1f2e3d4c5b6a7980",
            "blocks": (),
            "witness": None,
            "verdict": test.verdict.model_copy(update={"rules": "point"}),
            "others": (wire.OtherVerdict(reading="", rules="interval", outcome="pass", reason="All 8 checks passed."),),
        }
    )


def _alternated(requests: int, slower: float, failing: float = 0.0) -> wire.Performance:
    samples, blocks = _played(random.Random(11), requests, slower, failing)
    sides = {role: tuple(sample for kept, sample in samples if kept == role) for role in ("candidate", "live")}
    ended = max(block.ended_seconds for block in blocks)
    return wire.Performance(
        model="ops-qa",
        version=6,
        mlflow_run="c90d7be0441f4f5a",
        at=AT,
        ended_at=AT + timedelta(seconds=ended),
        verdict=_verdict(sides, blocks),
        metrics={},
        parameters={"concurrency": "10", "max-tokens": "64", "max-samples": str(requests)},
        samples=sides["candidate"],
        baseline="alternated",
        baseline_version=5,
        baseline_run="c90d7be0441f4f5a",
        baseline_samples=sides["live"],
        others=(wire.OtherVerdict(reading="", rules="point", outcome="pass", reason="All 8 checks passed."),),
        load="10 requests in flight",
        measures=tuple(_measures(sides)),
        blocks=blocks,
        witness=_witness(len(samples)),
        environment={"vllm": "0.32.0", "device": "cpu", "base_model": "SmolLM2-135M-Instruct", "max_loras": "2"},
        dataset=wire.EvalData(name="ops-qa v2 eval", source="datasets/ops-qa/v2/eval.jsonl", digest="9f3c51d7", rows=112, columns={}),
    )


def _played(
    draw: random.Random, requests: int, slower: float, failing: float
) -> tuple[list[tuple[str, wire.Sample]], tuple[wire.LoadBlock, ...]]:
    """A closed loop of ten against a server that has slow spells, in four turns."""
    samples, blocks, clock = [], [], 0.0
    for number, role in enumerate(("candidate", "live", "live", "candidate")):
        begun, free = clock, [clock + 0.1 * n for n in range(10)]
        for _ in range(requests // 2 + 8):
            free.sort()
            due = free[0]
            spell = 1.35 if math.sin(due / 9) > 0.8 else 1.0
            total = draw.lognormvariate(0.35, 0.33) * spell * (slower if role == "candidate" else 1.0)
            first = total * draw.uniform(0.08, 0.2)
            tokens = draw.randint(12, 64)
            is_failed = draw.random() < failing
            free[0] = due + total
            samples.append(
                (
                    role,
                    wire.Sample(
                        at_seconds=due,
                        first_token_seconds=None if is_failed else first,
                        total_seconds=total,
                        answer_tokens=0 if is_failed else tokens,
                        error=("http 503" if draw.random() < 0.7 else "timeout") if is_failed else "",
                        row_id=f"q-{len(samples) % 112:03}",
                        block=number,
                        is_counted=due - begun >= RAMP_SECONDS,
                        gap_seconds=None if is_failed else (total - first) / tokens,
                    ),
                )
            )
        ended = max(free)
        blocks.append(
            wire.LoadBlock(
                number=number, role=role, steady_from_seconds=begun + RAMP_SECONDS, steady_until_seconds=min(free), ended_seconds=ended
            )
        )
        clock = ended + 0.5
    return samples, tuple(blocks)


def _verdict(sides: dict[str, tuple[wire.Sample, ...]], blocks: Sequence[wire.LoadBlock]) -> wire.Verdict:
    own, other = (_summary(sides[role], [block for block in blocks if block.role == role]) for role in ("candidate", "live"))
    names = (
        ("P95 latency", "<", 8.0, "s"),
        ("P95 TTFT", "<", 2.0, "s"),
        ("throughput", ">", 2.0, "req/s"),
        ("success rate", ">=", 0.99, "%"),
    )
    floors = [_check(name, own[name], comparison, limit, unit, "floor") for name, comparison, limit, unit in names]
    ratios = [
        _check(f"{name}, candidate / baseline", own[name] / other[name], comparison, limit, "x", "baseline", 0.06)
        for name, comparison, limit in (("P95 latency", "<=", 1.15), ("P95 TTFT", "<=", 1.15), ("throughput", ">=", 0.85))
    ]
    success = _check("success rate, candidate - baseline", own["success rate"] - other["success rate"], ">=", -0.02, "%", "baseline", 0.0)
    return wire.Verdict(
        gate="performance",
        rules="interval",
        outcome="pass",
        reason="All 8 checks passed.",
        checks=(*floors, *ratios, success),
        notes=("Success margin 2.0%, level 0.95.",),
    )


def _summary(samples: Sequence[wire.Sample], blocks: Sequence[wire.LoadBlock]) -> dict[str, float]:
    good = [sample for sample in samples if sample.is_counted and not sample.error]
    counted = [sample for sample in samples if sample.is_counted]
    seconds = sum(block.steady_until_seconds - block.steady_from_seconds for block in blocks)
    return {
        "P95 latency": _percentile([sample.total_seconds for sample in good], 0.95),
        "P95 TTFT": _percentile([sample.first_token_seconds or 0.0 for sample in good], 0.95),
        "throughput": len(good) / seconds,
        "success rate": len(good) / len(counted),
    }


def _check(name: str, value: float, comparison: str, limit: float, unit: str, against: str, width: float = 0.04) -> wire.Check:
    is_share = unit == "%"
    low = value - 0.012 if is_share else value * (1 - width)
    high = min(1.0, value + 0.008) if is_share else value * (1 + 1.4 * width)
    return wire.Check(
        name=name,
        value=value,
        comparison=comparison,
        limit=limit,
        unit=unit,
        outcome="pass",
        against=against,
        margin=limit - value if comparison.startswith("<") else value - limit,
        interval=wire.Interval(low=low, high=high, level=0.95),
    )


def _measures(sides: dict[str, tuple[wire.Sample, ...]]) -> Iterator[wire.Measure]:
    for role, samples in sides.items():
        good = [sample for sample in samples if sample.is_counted and not sample.error]
        times = {
            "latency": [sample.total_seconds for sample in good],
            "ttft": [sample.first_token_seconds or 0.0 for sample in good],
            "token_gap": [sample.gap_seconds or 0.0 for sample in good],
        }
        for stem, values in times.items():
            for percent in (50, 95, 99):
                value = _percentile(values, percent / 100)
                interval = wire.Interval(low=value * 0.95, high=value * 1.07, level=0.95)
                yield wire.Measure(name=f"p{percent}_{stem}_seconds", role=role, unit="s", value=value, interval=interval)
        for name, unit, value in (("throughput", "req/s", 6.02), ("success_rate", "%", 0.998), ("goodput", "%", 0.996)):
            interval = wire.Interval(low=value * 0.98, high=min(value * 1.01, 1.0 if unit == "%" else 99.0), level=0.95)
            yield wire.Measure(name=name, role=role, unit=unit, value=value, interval=interval)


def _witness(sent: int) -> wire.Witness:
    edges = {
        "p50_latency_seconds": (1.0, 1.5, 1.31),
        "p95_latency_seconds": (2.5, 5.0, 4.21),
        "p99_latency_seconds": (2.5, 5.0, 4.84),
        "p95_ttft_seconds": (0.25, 0.5, 0.42),
    }
    return wire.Witness(
        source="prometheus http://127.0.0.1:9090",
        agreement="agrees",
        sent=sent,
        finished=float(sent),
        quantiles={name: wire.QuantileBounds(low=low, high=high, interpolated=guess) for name, (low, high, guess) in edges.items()},
        values={
            "mean_latency_seconds": 1.52,
            "mean_ttft_seconds": 0.21,
            "mean_queue_seconds": 0.004,
            "max_running_requests": 10.0,
            "max_waiting_requests": 2.0,
            "max_kv_cache_share": 0.31,
            "prefix_cache_hit_share": 0.62,
            "gpu_mean_utilization_share": 0.84,
            "gpu_max_memory_used_bytes": 71.4e9,
        },
    )


def _load_point(load: float) -> wire.LoadPoint:
    """A server that answers at most nine a second."""
    rate = 9 * (1 - math.exp(-load / 6))
    latency = 1.0 + load / rate
    return wire.LoadPoint(
        load=load,
        requests=120,
        throughput=rate,
        p50_latency_seconds=latency * 0.6,
        p95_latency_seconds=latency * (1 + load / 9),
        p95_ttft_seconds=0.2 + 0.08 * load,
        success_rate=1.0 if load < 32 else 0.93,
        goodput=max(0.2, 1.0 - max(0.0, load - 8) / 30),
    )


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]
