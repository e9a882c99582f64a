"""Carries out a load plan against an OpenAI-compatible server and times each request at the wire. It judges nothing.

Every time is `time.perf_counter()`'s; the wall clock is read once, and may be set back while the test runs.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy
import uvloop

from controlplane.clients import load_record, timed_http, timed_question
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
    """`run` in an event loop of its own: uvloop's takes a third less CPU than asyncio's, and its stamps are closer to the wire."""
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
    asked to the end. What is in flight then still ends, or meets its deadline.

    Args:
        rng: draws the order of the questions and the times of an open loop.
        on_progress: called every `progress_seconds` and once at the end.

    Raises:
        InvalidInput: no prompts, or an address that is not one.
    """
    if not prompts:
        raise errors.InvalidInput("A load test needs prompts.", hint="Give at least one.")
    started_at, server, record = now(), timed_http.Server(address, api_key), load_record.Record(plan)
    watching = asyncio.create_task(_watch(record, on_progress, progress_seconds))
    try:
        await _Test(plan, server, prompts, rng, record).run()
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await server.close()
    if not watching.cancelled():
        watching.result()
    on_progress(record.progress())
    ended_at = started_at + timedelta(seconds=record.elapsed())
    samples = tuple(sorted(record.samples, key=lambda sample: sample.at_seconds))
    return latency.LoadTest(samples, tuple(record.blocks), started_at, ended_at, record.stopped_by)


async def _watch(record: load_record.Record, on_progress: OnProgress, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        on_progress(record.progress())


@dataclass
class _Running:
    """A block while it runs; seconds since the test's start. `begun`: how many of its counted requests were."""

    planned: load_plan.PlannedBlock
    steady_from_seconds: float
    begun: int = 0
    last_begun_seconds: float = 0.0

    def counts(self, due: float) -> bool:
        """Whether a request that is due then counts; asked once for each, when it begins."""
        if due < self.steady_from_seconds:
            return False
        self.begun += 1
        self.last_begun_seconds = due
        return True


class _Test:
    def __init__(
        self,
        plan: load_plan.Plan,
        server: timed_http.Server,
        prompts: Sequence[Prompt],
        rng: numpy.random.Generator,
        record: load_record.Record,
    ) -> None:
        self._plan = plan
        self._server = server
        self._prompts = prompts
        self._rng = rng
        self._record = record
        self._order = question_order.QuestionOrder(len(prompts), (slot.role for slot in plan.slots), rng)

    async def run(self) -> None:
        for planned in load_plan.blocks(self._plan):
            if planned.begins_round:
                self._order.begin_round()
            await self._warm_up(planned)
            if not self._record.is_over():
                await self._block(planned)
            if not self._record.stopped_by and planned.ends_round and load_plan.is_precise(self._plan, self._record.samples):
                self._record.stopped_by = load_plan.PRECISION
            if self._record.stopped_by:
                return
        self._record.stopped_by = load_plan.COUNT if self._plan.requests_per_block else load_plan.TIME

    async def _warm_up(self, planned: load_plan.PlannedBlock) -> None:
        """As many at once as the test will have, so that the server is warm for that."""
        left, running = iter(range(planned.warmup_requests)), _Running(planned, 0.0)

        async def client() -> None:
            for _ in left:
                if self._record.is_over():
                    return
                await self._ask(running, self._record.elapsed(), is_counted=False)

        async with asyncio.TaskGroup() as clients:
            for _ in range(min(planned.warmup_requests, self._plan.most_in_flight)):
                clients.create_task(client())
        self._record.read_all()

    async def _block(self, planned: load_plan.PlannedBlock) -> None:
        loop = self._plan.loop
        if isinstance(loop, load_plan.ClosedLoop):
            await self._server.open(min(loop.concurrency, self._plan.requests_per_block or loop.concurrency))
        began = self._record.elapsed()
        running = _Running(planned, began + self._plan.ramp_seconds)
        self._record.steady_from_seconds = running.steady_from_seconds
        with _no_garbage_collection():
            await (self._closed(loop, running, began) if isinstance(loop, load_plan.ClosedLoop) else self._open(loop, running, began))
        self._record.end_block(self._over(running))

    def _over(self, running: _Running) -> latency.Block:
        """Whole blocks of so many seconds were under load to their last second; others until their last request was begun."""
        steady, is_cut = running.steady_from_seconds, bool(self._record.stopped_by or self._plan.requests_per_block)
        until = max(steady, running.last_begun_seconds) if is_cut else steady + self._plan.seconds_per_block
        return latency.Block(running.planned.number, running.planned.slot.role, steady, until, self._record.elapsed())

    async def _closed(self, loop: load_plan.ClosedLoop, running: _Running, began: float) -> None:
        """In the ramp client after client joins."""

        async def client(joins_at: float) -> None:
            await self._sleep_until(joins_at)
            while not self._record.is_over() and self._fits(running, due := self._record.elapsed()):
                await self._ask(running, due, is_counted=running.counts(due))

        async with asyncio.TaskGroup() as clients:
            for number in range(loop.concurrency):
                clients.create_task(client(began + self._plan.ramp_seconds * number / loop.concurrency))

    async def _open(self, loop: load_plan.OpenLoop, running: _Running, began: float) -> None:
        places = asyncio.Semaphore(loop.max_in_flight)

        async def ask(due: float, is_counted: bool) -> None:
            await self._ask(running, due, is_counted=is_counted)
            places.release()

        async with asyncio.TaskGroup() as requests:
            for due in self._dues(loop, running, began):
                await self._sleep_until(due)
                if not self._record.is_over():
                    await places.acquire()
                requests.create_task(ask(due, running.counts(due)))

    def _dues(self, loop: load_plan.OpenLoop, running: _Running, began: float) -> Iterator[float]:
        """When the test is over, what should have left by then is still told, to be noted as not sent."""
        for after in arrivals.times(loop, self._plan.ramp_seconds, self._rng):
            due = began + after
            if not self._fits(running, due) or (self._record.is_over() and due > self._record.elapsed()):
                return
            yield due

    def _fits(self, running: _Running, due: float) -> bool:
        """Whether a request that is due then belongs to the block."""
        if self._plan.is_too_late(due):
            self._record.stopped_by = self._record.stopped_by or load_plan.TIME
            return False
        if self._plan.requests_per_block:
            return running.begun < self._plan.requests_per_block
        return due < running.steady_from_seconds + self._plan.seconds_per_block

    async def _ask(self, running: _Running, due: float, *, is_counted: bool) -> None:
        prompt, slot = self._prompts[self._order.next(running.planned.slot.role)], running.planned.slot
        left = self._plan.deadline_seconds - (self._record.elapsed() - due)
        exchange = None
        if left > 0 and not self._record.stopped_by:
            body = timed_question.body(self._plan, slot.name, prompt.messages)
            exchange = await self._server.exchange(self._server.request(timed_question.PATHS[self._plan.endpoint], body), left)
        ended = self._record.elapsed()
        self._record.add(timed_question.Asked(prompt.row_id, slot.role, running.planned.number, is_counted, due, ended, exchange))

    async def _sleep_until(self, due: float) -> None:
        while (left := due - self._record.elapsed()) > 0:
            await asyncio.sleep(left)


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
