"""Gate 2's jobs on fakes of the ports: the decision and its baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane import testing
from controlplane.core import errors, latency
from jobs import job, records
from jobs.performance import perf_decision

LOG = job.Log("test")
LOWERED = "--min-throughput=0.5"


def files(tmp_path: Path, totals: list[float], *, duration: float = 10.0, concurrency: int = 2, foreign: float = 0.0) -> list[str]:
    samples = [latency.Sample(0.0, total / 4, total, 10, "stop") for total in totals]
    summary = latency.to_metrics(latency.summarize(samples, duration))
    settings = {"concurrency": concurrency, "max_tokens": 24}
    results = {
        "summary": summary,
        "settings": settings,
        "environment": {"vllm_version": "1"},
        "server": {"foreign": foreign, "source": "x"},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    records.write(tmp_path / "samples.jsonl", samples)
    return [f"--results-file={tmp_path / 'results.json'}", f"--samples-file={tmp_path / 'samples.jsonl'}", "--model-name=ops-qa"]


def decided(registry: testing.FakeRegistry, tmp_path: Path, *flags: str) -> dict[str, object]:
    arguments = perf_decision.parser().parse_args([*flags, f"--output-dir={tmp_path / 'out'}"])
    return dict(perf_decision.decide(registry, registry.tracking, arguments, LOG))


def verdict_of(registry: testing.FakeRegistry, run_id: object) -> dict[str, object]:
    return dict(json.loads(registry.tracking.artifact(str(run_id), "verdict.json")))


def test_first_deploy_passes_on_the_floors_and_says_what_was_lowered(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed", "perf-failed"])
    outputs = decided(registry, tmp_path, *files(tmp_path, [1.0] * 10), LOWERED)
    assert (outputs["outcome"], outputs["p95-latency"], outputs["throughput"]) == ("pass", 1.0, 1.0)
    assert registry.aliases["ops-qa"] == {"eval-passed": 1, "perf-passed": 1}
    notes = " ".join(verdict_of(registry, outputs["mlflow-run"])["notes"])
    assert "Nothing is live" in notes or "nothing is live" in notes
    assert "throughput floor 0.5 req/s instead of 2 req/s" in notes
    assert "concurrency 2 instead of 10" in notes
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (run.experiment, run.tags["gate"], run.metrics["p95_latency_seconds"]) == ("vllm-lora-performance", "performance", 1.0)
    assert {path for path, _ in registry.tracking.artifacts(run.id)} >= {"verdict.json", "results.json", "samples.jsonl"}
    tags = registry.resolve("ops-qa", "version:1").tags
    assert (tags["performance-run"], tags["performance-outcome"], tags["p95_latency"]) == (run.id, "pass", "1.0")


def test_the_reference_s_floor_fails_what_the_local_profile_passes(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed", "perf-passed"])
    with pytest.raises(job.GateNotPassed, match="throughput is 1 req/s, must be > 2 req/s"):
        decided(registry, tmp_path, *files(tmp_path, [1.0] * 10))
    assert registry.aliases["ops-qa"] == {"eval-passed": 1, "perf-failed": 1}


def test_the_newest_passed_test_of_live_under_the_same_load_is_the_baseline(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed"])
    decided(registry, tmp_path, *files(tmp_path, [3.0] * 10), LOWERED)
    wanted = decided(registry, tmp_path, *files(tmp_path, [1.0] * 10), LOWERED)["mlflow-run"]
    decided(registry, tmp_path, *files(tmp_path, [4.0] * 10, concurrency=4), LOWERED)
    registry.aliases["ops-qa"] = {"live": 1}
    registry.add("ops-qa", aliases=["eval-passed"])
    outputs = decided(registry, tmp_path, *files(tmp_path, [1.14] * 10), LOWERED)
    run = registry.tracking.run(str(outputs["mlflow-run"]))
    assert (outputs["baseline-run"], run.tags["baseline-run"], run.tags["baseline-version"]) == (wanted, wanted, "1")
    with pytest.raises(job.GateNotPassed, match=r"P95 latency is 1.16 s, must be <= 1.15 s \(baseline\)"):
        decided(registry, tmp_path, *files(tmp_path, [1.16] * 10), LOWERED)


def test_live_without_a_comparable_test_is_said(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["live"])
    registry.add("ops-qa", aliases=["eval-passed"])
    outputs = decided(registry, tmp_path, *files(tmp_path, [1.0] * 10), LOWERED)
    assert "no passed load test with concurrency 2" in verdict_of(registry, outputs["mlflow-run"])["notes"][0]


def test_requests_of_others_are_noted(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed"])
    outputs = decided(registry, tmp_path, *files(tmp_path, [1.0] * 10, foreign=3.0), LOWERED)
    assert any("3 requests that this test did not send" in note for note in verdict_of(registry, outputs["mlflow-run"])["notes"])


def test_no_samples_are_inconclusive_and_move_no_alias(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed"])
    with pytest.raises(job.GateNotPassed) as stop:
        decided(registry, tmp_path, *files(tmp_path, []), LOWERED)
    assert stop.value.outputs["outcome"] == "inconclusive"
    assert registry.aliases["ops-qa"] == {"eval-passed": 1}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"summary": {}, "settings": {}}'])
def test_results_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed"])
    flags = files(tmp_path, [1.0])
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(errors.InvalidInput, match="not the result of a load test"):
        decided(registry, tmp_path, *flags)


@pytest.mark.parametrize("flag", ["--min-success-rate=2", "--latency-regression-factor=0.5", "--max-p95-latency=nan"])
def test_thresholds_out_of_range_change_nothing(tmp_path: Path, flag: str) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["eval-passed"])
    with pytest.raises(errors.InvalidInput, match="out of range"):
        decided(registry, tmp_path, *files(tmp_path, [1.0]), flag)
    assert registry.applied == []
