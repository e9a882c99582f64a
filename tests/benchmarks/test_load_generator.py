"""The benchmark of the load generator in small: it holds samples against the stub's truth, and fails when a target is missed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "load_generator.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARK), "--json", *arguments]
    return subprocess.run(command, cwd=BENCHMARK.parents[1], env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)


def test_times_agree_with_the_stub_s() -> None:
    done = run("--concurrency", "1", "--ttft-seconds=0.004", "--gap-seconds=0.002", "--tokens=3")
    (result,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert (result["client"], result["requests"], result["failed"], result["why_not"]) == ("gatewright", 120, 0, "")
    assert 0 < result["ttft_error_p50_ms"] < 4
    assert 0 < result["e2e_error_p50_ms"] < 4
    assert 0.2 < result["rate_held"] < 1.2
    assert 0 < result["cpu_ms_per_request"] < 20


def test_a_target_that_is_missed_is_a_sentence_and_an_exit_code() -> None:
    done = run("--concurrency", "100", "--ttft-seconds=0.0005", "--gap-seconds=0", "--tokens=1")
    assert done.returncode == 1
    assert "of the ideal rate, less than 97%." in done.stderr


def test_a_peer_that_cannot_run_is_skipped_with_the_reason(tmp_path: Path) -> None:
    for folder in ("guidellm", "aiperf"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "installed").touch()
    quick = ("--concurrency", "1", "--ttft-seconds=0.001", "--gap-seconds=0", "--tokens=1")
    done = run(*quick, "--peers", str(tmp_path), "--only", "guidellm", "aiperf", f"--tokenizer={tmp_path}")
    ours, *skipped = map(json.loads, done.stdout.splitlines())
    assert ours["why_not"] == ""
    assert ["No such file" in one["why_not"] for one in skipped] == [True, True]
