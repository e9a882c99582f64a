"""What a running load test has seen so far: samples, blocks, live numbers, and whether it must end. It sends nothing."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from controlplane.clients import timed_question
from controlplane.core import latency, load_plan, load_progress


class Record:
    """Seconds count from its making. `stopped_by` is empty while the test goes on; `steady_from_seconds` is the running block's."""

    def __init__(self, plan: load_plan.Plan) -> None:
        self.samples: list[latency.Sample] = []
        self.blocks: list[latency.Block] = []
        self.stopped_by = ""
        self.steady_from_seconds: float | None = None
        self._plan = plan
        self._planned = load_plan.blocks(plan)
        self._tallies = {slot.role: load_progress.Tally(slot.role) for slot in plan.slots}
        self._unread: deque[timed_question.Asked] = deque()
        self._failures_in_a_row = 0
        self._started = time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    def is_over(self) -> bool:
        if not self.stopped_by and self._plan.is_too_late(self.elapsed()):
            self.stopped_by = load_plan.TIME
        return bool(self.stopped_by)

    def add(self, asked: timed_question.Asked) -> None:
        """Read when the event loop comes back, one answer a round: the next request leaves before, and what came in is stamped before.

        What has no answer to read counts at once, or a server that fails fast would be asked on and on.
        """
        self._unread.append(asked)
        if not asked.has_answer:
            self.read_all()
        elif len(self._unread) == 1:
            asyncio.get_running_loop().call_soon(self._read_next)

    def read_all(self) -> None:
        while self._unread:
            self._read_one()

    def end_block(self, block: latency.Block) -> None:
        self.read_all()
        self.blocks.append(block)
        self.steady_from_seconds = None

    def progress(self) -> load_progress.Progress:
        block = min(len(self.blocks), len(self._planned) - 1)
        tallies = self._tallies.values()
        return load_progress.Progress(
            elapsed_seconds=self.elapsed(),
            requests=sum(tally.requests for tally in tallies),
            of_requests=self._plan.counted_requests,
            block=block,
            of_blocks=len(self._planned),
            role=self._planned[block].slot.role,
            slots=tuple(tally.look(self._loaded_seconds(tally.role, self._planned[block])) for tally in tallies),
        )

    def _loaded_seconds(self, role: str, running: load_plan.PlannedBlock) -> float:
        over = sum(block.ended_seconds - block.steady_from_seconds for block in self.blocks if block.role == role)
        if self.steady_from_seconds is None or running.slot.role != role:
            return over
        return over + max(0.0, self.elapsed() - self.steady_from_seconds)

    def _read_next(self) -> None:
        if self._unread:
            self._read_one()
        if self._unread:
            asyncio.get_running_loop().call_soon(self._read_next)

    def _read_one(self) -> None:
        sample = timed_question.sample(self._unread.popleft(), self._started)
        self.samples.append(sample)
        self._tallies[sample.role].add(sample)
        self._failures_in_a_row = self._failures_in_a_row + 1 if sample.error else 0
        if self._failures_in_a_row >= self._plan.most_failures_in_a_row and not self.stopped_by:
            self.stopped_by = load_plan.FAILURES
