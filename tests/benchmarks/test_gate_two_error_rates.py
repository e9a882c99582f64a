"""The benchmark of Gate 2 in small: it tells the rules apart, and fails when too little is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gate_two_error_rates.py"


def test_it_tells_the_rules_apart() -> None:
    command = [sys.executable, str(BENCHMARK), "--trials=100", "--sizes", "300", "--worlds", "lognormal", "independent", "--json"]
    done = subprocess.run(command, cwd=BENCHMARK.parents[1], env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    cells = {(cell["kind"], cell["requests"]): cell["shares"] for cell in map(json.loads, done.stdout.splitlines())}
    p95, whole = cells["P95", 300], cells["gate", 1000]
    assert p95["edge_point_pass"][0] > 0.3 > 0.05 >= p95["edge_interval_pass"][0]
    assert p95["slower_buckets_pass"][0] > 0.9
    assert p95["identical_interval_pass"][0] > 0.3
    assert cells["throughput", 300]["identical_interval_pass"][0] > 0.9
    assert whole["identical_interval_pass"][0] > 0.5
    assert whole["slower_interval_pass"][0] == 0
    # A hundred trials are too few to bound a false pass, and the benchmark says so where there was one.
    assert done.returncode == (1 if done.stderr else 0), done.stderr
