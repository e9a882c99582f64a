"""Load tests made of given latencies, as `run_load_test` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controlplane.core import latency, load_results, sample_table, witness

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
CONCURRENCY = 2


def made(
    candidate: Sequence[float],
    live: Sequence[float] = (),
    *,
    error: str = "",
    concurrency: int = CONCURRENCY,
    agreement: witness.Agreement = witness.Agreement.AGREES,
    environment: str = "0.32.0",
    roots: tuple[str, str] = ("/adapters/ops-qa/1-000000000000", "/adapters/ops-qa/1-000000000000"),
    sweep: Sequence[float] = (),
    faults: tuple[str, ...] = (),
) -> load_results.LoadResults:
    """One block of each side, `concurrency` requests at a time; each first token comes after a quarter of its latency."""
    sides = {latency.CANDIDATE: candidate, **({latency.LIVE: live} if live else {})}
    samples: list[latency.Sample] = []
    blocks: list[latency.Block] = []
    for number, (role, totals) in enumerate(sides.items()):
        start = blocks[-1].ended_seconds if blocks else 0.0
        samples += _block(totals, role, number, start, concurrency, error)
        ended = max((one.at_seconds + one.total_seconds for one in samples), default=start)
        blocks.append(latency.Block(number, role, start, ended, ended))
    test = latency.LoadTest(tuple(samples), tuple(blocks), START, START + timedelta(minutes=2), "count")
    names = {latency.CANDIDATE: ("ops-qa-candidate", roots[0]), latency.LIVE: ("ops-qa-live", roots[1])}
    return load_results.LoadResults(
        test=test,
        slots={role: load_results.Slot(*names[role]) for role in sides},
        settings={"loop": "closed", "concurrency": str(concurrency), "endpoint": "chat", "max_tokens": "24", "questions": "sha"},
        environment={"vllm_version": environment, "device": "2 x CPU"},
        seed=7,
        sent=len(samples),
        witness=witness.Witness("vllm http://127.0.0.1:1/metrics", agreement, float(len(samples)), {}, {"mean_queue_seconds": 0.01}),
        sweep=tuple(load_results.SweepStep(load, _step(load)) for load in sweep),
        faults=faults,
    )


def written(record: load_results.LoadResults, folder: Path) -> list[str]:
    """The arguments by which `perf_decision` finds it."""
    (folder / "results.json").write_text(load_results.to_json(record))
    (folder / "samples.parquet").write_bytes(sample_table.to_parquet(record.samples))
    return [f"--results-file={folder / 'results.json'}", f"--samples-file={folder / 'samples.parquet'}", "--model-name=ops-qa"]


def _block(totals: Sequence[float], role: str, number: int, start: float, concurrency: int, error: str) -> list[latency.Sample]:
    free, found = [start] * concurrency, []
    for order, total in enumerate(totals):
        client = free.index(min(free))
        first = None if error else total / 4
        found.append(latency.Sample(free[client], first, total, 10, "stop", error, f"row-{order}", role=role, block=number))
        free[client] = round(free[client] + total, 6)
    return found


def _step(load: float) -> latency.LoadTest:
    samples = _block([load / 10] * 20, latency.CANDIDATE, 0, 0.0, 1, "")
    block = latency.Block(0, latency.CANDIDATE, 0.0, 2 * load, 2 * load)
    return latency.LoadTest(tuple(samples), (block,), START, START + timedelta(minutes=1), "count")
