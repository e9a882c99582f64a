"""Carries out a load plan against an OpenAI-compatible server and times each request at the wire. It judges nothing.

Every time is `time.perf_counter()`'s; the wall clock is read once, and may be set back while the test runs.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy
import uvloop

from controlplane.clients import timed_http, timed_question
from controlplane.core import arrivals, errors, latency, load_plan, load_progress, question_order

PROGRESS_SECONDS = 0.5

OnProgress = Callable[[load_progress.Progress], None]


@dataclass(frozen=True)
class Prompt:
    row_id: str
    messages: Sequence[Mapping[str, str]]


def measure(
    plan: load_plan.Plan,
    address: str,
    prompts: Sequence[Prompt],
    rng: numpy.random.Generator,
    *,
    api_key: str = "",
    on_progress: OnProgress = lambda _: None,
) -> latency.LoadTest:
    """`run` in an event loop of its own, one that spends a quarter of asyncio's time on a piece of text."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(plan, address, prompts, rng, api_key=api_key, on_progress=on_progress))


async def run(
    plan: load_plan.Plan,
    address: str,
    prompts: Sequence[Prompt],
    rng: numpy.random.Generator,
    *,
    api_key: str = "",
    on_progress: OnProgress = lambda _: None,
    progress_seconds: float = PROGRESS_SECONDS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> latency.LoadTest:
    """The whole test. A request that fails is a sample with an error class; cancelling it closes every connection at once.

    Connections are open before a block begins, as those of a client that keeps them. It ends early (`stopped_by`) when the time is over,
    when the plan's precision is reached, or after `most_failures_in_a_row`: a server that is gone, or refuses everything, need not be
    asked to the end.

    Args:
        rng: draws the order of the questions and the times of an open loop.
        on_progress: called every `progress_seconds` and once at the end.

    Raises:
        InvalidInput: no prompts, or an address that is not one.
    """
    if not prompts:
        raise errors.InvalidInput("A load test needs prompts.", hint="Give at least one.")
    test = _Test(plan, timed_http.Server(address, api_key), prompts, rng)
    started_at = now()
    watching = asyncio.create_task(_watch(test, on_progress, progress_seconds))
    try:
        await test.run()
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await test.server.close()
    if not watching.cancelled():
        watching.result()
    on_progress(test.progress())
    ended_at = started_at + timedelta(seconds=test.elapsed())
    samples = tuple(sorted(test.samples, key=lambda sample: sample.at_seconds))
    return latency.LoadTest(samples, tuple(test.blocks), started_at, ended_at, test.stopped_by)


async def _watch(test: _Test, on_progress: OnProgress, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        on_progress(test.progress())


@dataclass
class _Running:
    """A block while it runs; seconds since the test's start. `begun`: how many of its counted requests were."""

    planned: load_plan.PlannedBlock
    steady_from_seconds: float
    begun: int = 0
    last_begun_seconds: float = 0.0

    @property
    def role(self) -> str:
        return self.planned.slot.role


class _Test:
    def __init__(self, plan: load_plan.Plan, server: timed_http.Server, prompts: Sequence[Prompt], rng: numpy.random.Generator) -> None:
        self.plan = plan
        self.server = server
        self.samples: list[latency.Sample] = []
        self.blocks: list[latency.Block] = []
        self.stopped_by = ""
        self._prompts = prompts
        self._rng = rng
        self._order = question_order.QuestionOrder(len(prompts), (slot.role for slot in plan.slots), rng)
        self._tallies = {slot.role: load_progress.Tally(slot.role) for slot in plan.slots}
        self._unread: deque[timed_question.Asked] = deque()
        self._failures_in_a_row = 0
        self._running: _Running | None = None
        self._loop = asyncio.get_running_loop()
        self._started = time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    async def run(self) -> None:
        for planned in load_plan.blocks(self.plan):
            if planned.begins_round:
                self._order.begin_round()
            await self._warm_up(planned)
            await self._block(planned)
            if not self.stopped_by and planned.ends_round and load_plan.is_precise(self.plan, self.samples):
                self.stopped_by = load_plan.PRECISION
            if self.stopped_by:
                return
        self.stopped_by = load_plan.COUNT if self.plan.requests_per_block else load_plan.TIME

    def progress(self) -> load_progress.Progress:
        planned, tallies = load_plan.blocks(self.plan), self._tallies.values()
        block, elapsed = min(len(self.blocks), len(planned) - 1), self.elapsed()
        return load_progress.Progress(
            elapsed_seconds=elapsed,
            requests=sum(tally.requests for tally in tallies),
            of_requests=self.plan.counted_requests,
            block=block,
            of_blocks=len(planned),
            role=planned[block].slot.role,
            slots=tuple(tally.look(self._loaded_seconds(tally.role, elapsed)) for tally in tallies),
        )

    def _loaded_seconds(self, role: str, elapsed: float) -> float:
        over = sum(block.ended_seconds - block.steady_from_seconds for block in self.blocks if block.role == role)
        if self._running is None or self._running.role != role:
            return over
        return over + max(0.0, elapsed - self._running.steady_from_seconds)

    async def _warm_up(self, planned: load_plan.PlannedBlock) -> None:
        """As many at once as the test will have, so that the server is warm for that."""
        left = iter(range(planned.warmup_requests))
        running = _Running(planned, self.elapsed())

        async def client() -> None:
            for _ in left:
                if self._is_over():
                    return
                await self._ask(running, self.elapsed(), is_counted=False)

        async with asyncio.TaskGroup() as clients:
            for _ in range(min(planned.warmup_requests, self.plan.most_in_flight)):
                clients.create_task(client())
        self._read_all()

    async def _block(self, planned: load_plan.PlannedBlock) -> None:
        if self._is_over():
            return
        loop = self.plan.loop
        if isinstance(loop, load_plan.ClosedLoop):
            await self.server.open(min(loop.concurrency, self.plan.requests_per_block or loop.concurrency))
        began = self.elapsed()
        self._running = running = _Running(planned, began + self.plan.ramp_seconds)
        with _no_garbage_collection():
            await (self._closed(loop, running, began) if isinstance(loop, load_plan.ClosedLoop) else self._open(loop, running, began))
            self._read_all()
        self.blocks.append(self._over(running))
        self._running = None

    def _over(self, running: _Running) -> latency.Block:
        """Whole blocks of so many seconds were under load to their last second; others until their last request was begun."""
        steady, is_cut = running.steady_from_seconds, bool(self.stopped_by or self.plan.requests_per_block)
        until = max(steady, running.last_begun_seconds) if is_cut else steady + self.plan.seconds_per_block
        return latency.Block(running.planned.number, running.role, steady, until, self.elapsed())

    async def _closed(self, loop: load_plan.ClosedLoop, running: _Running, began: float) -> None:
        """In the ramp client after client joins."""

        async def client(joins_at: float) -> None:
            await self._sleep_until(joins_at)
            while not self._is_over() and self._fits(running, due := self.elapsed()):
                await self._ask(running, due, is_counted=self._counts(running, due))

        async with asyncio.TaskGroup() as clients:
            for number in range(loop.concurrency):
                clients.create_task(client(began + self.plan.ramp_seconds * number / loop.concurrency))

    async def _open(self, loop: load_plan.OpenLoop, running: _Running, began: float) -> None:
        places = asyncio.Semaphore(loop.max_in_flight)

        async def ask(due: float, is_counted: bool) -> None:
            await self._ask(running, due, is_counted=is_counted)
            places.release()

        async with asyncio.TaskGroup() as requests:
            for due in self._dues(loop, running, began):
                await self._sleep_until(due)
                if not self._is_over():
                    await places.acquire()
                requests.create_task(ask(due, self._counts(running, due)))

    def _dues(self, loop: load_plan.OpenLoop, running: _Running, began: float) -> Iterator[float]:
        """When the test is over, what should have left by then is still told, to be noted as not sent."""
        for after in arrivals.times(loop, self.plan.ramp_seconds, self._rng):
            due = began + after
            if not self._fits(running, due) or (self._is_over() and due > self.elapsed()):
                return
            yield due

    def _fits(self, running: _Running, due: float) -> bool:
        if self.plan.is_too_late(due):
            self.stopped_by = self.stopped_by or load_plan.TIME
            return False
        if self.plan.requests_per_block:
            return running.begun < self.plan.requests_per_block
        return due < running.steady_from_seconds + self.plan.seconds_per_block

    def _is_over(self) -> bool:
        if not self.stopped_by and self.plan.is_too_late(self.elapsed()):
            self.stopped_by = load_plan.TIME
        return bool(self.stopped_by)

    def _counts(self, running: _Running, due: float) -> bool:
        """Whether the request counts; asked once for each, when it begins."""
        if due < running.steady_from_seconds:
            return False
        running.begun += 1
        running.last_begun_seconds = due
        return True

    async def _ask(self, running: _Running, due: float, *, is_counted: bool) -> None:
        prompt, slot = self._prompts[self._order.next(running.role)], running.planned.slot
        left = self.plan.deadline_seconds - (self.elapsed() - due)
        exchange = None
        if left > 0 and not self.stopped_by:
            request = self.server.request(
                timed_question.PATHS[self.plan.endpoint], timed_question.body(self.plan, slot.name, prompt.messages)
            )
            exchange = await self.server.exchange(request, left)
        # Read only after the next request of this client has left.
        self._unread.append(
            timed_question.Asked(prompt.row_id, slot.role, running.planned.number, is_counted, due, self.elapsed(), exchange)
        )
        self._loop.call_soon(self._read_one)

    async def _sleep_until(self, due: float) -> None:
        while (left := due - self.elapsed()) > 0:
            await asyncio.sleep(left)

    def _read_all(self) -> None:
        while self._unread:
            self._read_one()

    def _read_one(self) -> None:
        if not self._unread:
            return
        sample = timed_question.sample(self._unread.popleft(), self._started)
        self.samples.append(sample)
        self._tallies[sample.role].add(sample)
        self._failures_in_a_row = self._failures_in_a_row + 1 if sample.error else 0
        if self._failures_in_a_row >= self.plan.most_failures_in_a_row and not self.stopped_by:
            self.stopped_by = load_plan.FAILURES


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection stops the event loop for milliseconds. Nothing that a test makes refers to itself, so little is left lying."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
