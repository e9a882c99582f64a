"""Our load generator as a program of its own, so that its CPU can be told from the benchmark's: one closed loop, all its samples on stdout.

.venv/bin/python benchmarks/load_client.py --address http://127.0.0.1:8000 --concurrency 10 --requests 400
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy

from controlplane.clients import load_generator
from controlplane.core import load_plan


def question(row: int) -> str:
    """Marked, so that the stub knows which one it answered; as long as a short context."""
    return f"row-{row} {'The service has a port. ' * 10}Which one?"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=16)
    given = parser.parse_args()
    prompts = [load_generator.Prompt(f"row-{row}", [{"role": "user", "content": question(row)}]) for row in range(given.requests)]
    slots = (load_plan.Slot("candidate", "stub"),)
    plan = load_plan.Plan(
        slots, load_plan.ClosedLoop(given.concurrency), given.tokens, requests_per_block=given.requests, blocks_per_slot=1
    )
    test = load_generator.measure(plan, given.address, prompts, numpy.random.default_rng())
    json.dump([(sample.row_id, sample.error, sample.first_token_seconds, sample.total_seconds) for sample in test.samples], sys.stdout)
