"""Gate 2's decision on fakes of the ports: what it records, its baseline, and tests that decide nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_load_tests
import pytest

from controlplane import testing
from controlplane.core import adapters, errors, load_results, witness
from jobs import job
from jobs.performance import perf_decision

LOG = job.Log("test")
LOWERED = ("--min-throughput=0.5", "--min-success-rate=0.95")
POINT = (*LOWERED, "--rules=point")
CONTAMINATED = witness.Agreement.CONTAMINATED


def registry_with(*aliases: list[str]) -> testing.FakeRegistry:
    registry = testing.FakeRegistry()
    for names in aliases:
        registry.add("ops-qa", aliases=names)
    return registry


def roots(registry: testing.FakeRegistry, candidate: int, live: int = 1) -> tuple[str, str]:
    found = [registry.resolve("ops-qa", f"version:{number}") for number in (candidate, live)]
    one, other = (f"/adapters/{adapters.directory_name('ops-qa', own.number, adapters.Digest(own.digest))}" for own in found)
    return one, other


def decided(registry: testing.FakeRegistry, folder: Path, record: load_results.LoadResults, *flags: str) -> dict[str, object]:
    arguments = perf_decision.parser().parse_args([*made_load_tests.written(record, folder), *flags, f"--output-dir={folder / 'out'}"])
    return dict(perf_decision.decide(registry, registry.tracking, arguments, LOG))


def verdict_of(registry: testing.FakeRegistry, run_id: object) -> dict[str, Any]:
    return dict(json.loads(registry.tracking.artifact(str(run_id), "verdict.json")))


def test_first_deploy_passes_on_the_floors_and_says_what_was_lowered(tmp_path: Path) -> None:
    registry = registry_with(["eval-passed", "perf-failed"])
    outputs = decided(registry, tmp_path, made_load_tests.made([1.0] * 100, roots=roots(registry, 1)), *LOWERED)
    assert (outputs["outcome"], outputs["p95-latency"]) == ("pass", 1.0)
    assert registry.aliases["ops-qa"] == {"eval-passed": 1, "perf-passed": 1}
    verdict = verdict_of(registry, outputs["mlflow-run"])
    notes = " ".join(verdict["notes"])
    assert "nothing is live" in notes
    assert "throughput floor 0.5 req/s instead of 2 req/s" in notes
    assert "concurrency 2 instead of 10" in notes
    assert [(other["rules"], other["outcome"]) for other in verdict["others"]] == [("point", "pass")]


def test_the_run_holds_everything_a_reader_needs(tmp_path: Path) -> None:
    registry = registry_with(["eval-passed"])
    record = made_load_tests.made([1.0 + (37 * n % 100) / 100 for n in range(100)], roots=roots(registry, 1), sweep=[1, 2])
    outputs = decided(registry, tmp_path, record, *LOWERED)
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (run.experiment, run.tags["gate"], run.tags["witness"]) == ("vllm-lora-performance", "performance", "agrees")
    assert run.metrics["p95_latency_seconds_low"] < run.metrics["p95_latency_seconds"] < run.metrics["p95_latency_seconds_high"]
    assert {"throughput_low", "success_rate_high", "p95_ttft_seconds_low", "goodput", "server_sent"} <= run.metrics.keys()
    assert (run.parameters["concurrency"], run.parameters["rules"], run.parameters["seed"]) == ("2", "interval", "7")
    assert run.tags["environment.device"] == "2 x CPU"
    assert {path for path, _ in registry.tracking.artifacts(run.id)} >= {"verdict.json", "results.json", "samples.parquet", "sweep.json"}
    tags = registry.resolve("ops-qa", "version:1").tags
    assert (tags["performance-run"], tags["performance-outcome"]) == (run.id, "pass")
    assert tags["p95_latency"] == str(run.metrics["p95_latency_seconds"])


def test_the_reference_s_floor_fails_what_the_local_profile_passes(tmp_path: Path) -> None:
    registry = registry_with(["eval-passed", "perf-passed"])
    with pytest.raises(job.GateNotPassed, match=r"throughput is .*, must be > 2 req/s"):
        decided(registry, tmp_path, made_load_tests.made([1.2] * 100, roots=roots(registry, 1)), "--rules=point")
    assert registry.aliases["ops-qa"] == {"eval-passed": 1, "perf-failed": 1}


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "pass"), (1.5, "fail")])
def test_live_in_the_same_test_is_the_baseline(tmp_path: Path, factor: float, outcome: str) -> None:
    registry = registry_with(["live"], ["eval-passed"])
    times = [1 + (n % 7) / 100 for n in range(200)]
    record = made_load_tests.made([factor * one for one in times], times, roots=roots(registry, 2))
    try:
        outputs: Any = decided(registry, tmp_path, record, *LOWERED)
    except job.GateNotPassed as stop:
        outputs = stop.outputs
    assert outputs["outcome"] == outcome
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (run.tags["baseline"], run.tags["baseline-version"], run.tags["baseline-run"]) == ("alternated", "1", "")
    assert run.metrics["baseline_p95_latency_seconds"] == pytest.approx(1.06)
    assert "in turns with the candidate" in verdict_of(registry, run.id)["notes"][0]


def test_the_newest_passed_test_of_live_under_the_same_load_is_the_baseline(tmp_path: Path) -> None:
    registry = registry_with(["eval-passed"])
    first = roots(registry, 1)
    decided(registry, tmp_path, made_load_tests.made([3.0] * 80, roots=first), *POINT)
    wanted = decided(registry, tmp_path, made_load_tests.made([1.0] * 80, roots=first), *POINT)["mlflow-run"]
    decided(registry, tmp_path, made_load_tests.made([4.0] * 80, concurrency=4, roots=first), *POINT)
    registry.aliases["ops-qa"] = {"live": 1}
    registry.add("ops-qa", aliases=["eval-passed"])
    outputs = decided(registry, tmp_path, made_load_tests.made([1.14] * 80, roots=roots(registry, 2)), *POINT)
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (outputs["baseline-run"], run.tags["baseline"], run.tags["baseline-version"]) == (wanted, "stored", "1")
    with pytest.raises(job.GateNotPassed, match=r"P95 latency is 1.16 s, must be <= 1.15 s \(baseline\)"):
        decided(registry, tmp_path, made_load_tests.made([1.16] * 80, roots=roots(registry, 2)), *POINT)


@pytest.mark.parametrize(
    ("environment", "flags", "note"),
    [
        ("0.31.0", (), "was elsewhere: vllm_version 0.32.0 against 0.31.0"),
        ("0.32.0", ("--baseline=none",), "No baseline was wished for"),
    ],
)
def test_a_stored_test_is_no_baseline_where_it_should_not_be(tmp_path: Path, environment: str, flags: tuple[str, ...], note: str) -> None:
    registry = registry_with(["eval-passed"])
    decided(registry, tmp_path, made_load_tests.made([1.0] * 80, roots=roots(registry, 1), environment=environment), *POINT)
    registry.aliases["ops-qa"] = {"live": 1}
    registry.add("ops-qa", aliases=["eval-passed"])
    outputs = decided(registry, tmp_path, made_load_tests.made([1.3] * 80, roots=roots(registry, 2)), *POINT, *flags)
    assert outputs["outcome"] == "pass"
    assert note in verdict_of(registry, outputs["mlflow-run"])["notes"][0]


def test_live_without_a_comparable_test_is_said(tmp_path: Path) -> None:
    registry = registry_with(["live"], ["eval-passed"])
    outputs = decided(registry, tmp_path, made_load_tests.made([1.0] * 100, roots=roots(registry, 2)), *LOWERED)
    assert "no passed load test like this one (loop closed, concurrency 2" in verdict_of(registry, outputs["mlflow-run"])["notes"][0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"agreement": CONTAMINATED}, "somebody else loaded the server"),
        ({"faults": ("While the test ran, ops-qa-live went from a to b.",)}, "While the test ran"),
        (
            {"roots": ("/adapters/ops-qa/9-000000000000", "")},
            "Slot ops-qa-candidate answered from /adapters/ops-qa/9-000000000000, not from",
        ),
    ],
)
def test_a_test_of_something_else_decides_nothing(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    registry = registry_with(["eval-passed"])
    record = made_load_tests.made([1.0] * 100, **{"roots": roots(registry, 1), **given})
    with pytest.raises(job.GateNotPassed, match=why) as stop:
        decided(registry, tmp_path, record, *LOWERED)
    assert stop.value.outputs["outcome"] == "inconclusive"
    assert registry.aliases["ops-qa"] == {"eval-passed": 1}
    assert "Were it to count: pass." in str(verdict_of(registry, stop.value.outputs["mlflow-run"])["notes"])


@pytest.mark.parametrize(
    ("count", "error", "outcome"),
    [(0, "", "inconclusive"), (100, "http 500", "fail"), (100, "timeout", "fail"), (100, "connection", "error")],
)
def test_tests_without_an_answer_pass_nothing(tmp_path: Path, count: int, error: str, outcome: str) -> None:
    registry = registry_with(["eval-passed"])
    with pytest.raises(job.GateNotPassed) as stop:
        decided(registry, tmp_path, made_load_tests.made([1.0] * count, error=error, roots=roots(registry, 1)), *LOWERED)
    assert stop.value.outputs["outcome"] == outcome
    assert registry.aliases["ops-qa"] == {"eval-passed": 1, **({"perf-failed": 1} if outcome == "fail" else {})}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"summary": {}, "settings": {}}'])
def test_results_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    registry = registry_with(["eval-passed"])
    flags = made_load_tests.written(made_load_tests.made([1.0]), tmp_path)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(errors.InvalidInput, match="not the result of a load test"):
        perf_decision.decide(registry, registry.tracking, perf_decision.parser().parse_args(flags), LOG)


@pytest.mark.parametrize("flag", ["--min-success-rate=2", "--latency-regression-factor=0.5", "--max-p95-latency=nan", "--level=1"])
def test_thresholds_out_of_range_change_nothing(tmp_path: Path, flag: str) -> None:
    registry = registry_with(["eval-passed"])
    with pytest.raises(errors.InvalidInput, match="out of range"):
        decided(registry, tmp_path, made_load_tests.made([1.0]), flag)
    assert registry.applied == []
