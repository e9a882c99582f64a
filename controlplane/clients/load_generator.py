"""Sends a closed-loop load of chat requests to a vLLM server and times each from the sending side. It judges nothing.

It speaks HTTP itself, beside `vllm_inference`: every request has its own deadline and error class, and timing is its whole purpose.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from controlplane.core import errors, latency

Messages = Sequence[Mapping[str, str]]

CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Prompt:
    row_id: str
    messages: Messages


@dataclass(frozen=True)
class Load:
    """`concurrency` clients, each sending its next request when its last one ended. `deadline_seconds` bounds one whole request."""

    address: str
    name: str
    concurrency: int
    max_tokens: int
    deadline_seconds: float = 120.0
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """Samples in order of sending."""

    samples: tuple[latency.Sample, ...]
    started_at: datetime
    ended_at: datetime
    duration_seconds: float


async def run(load: Load, prompts: Sequence[Prompt], on_done: Callable[[int], None] = lambda _: None) -> Measured:
    """Sends every prompt once, in an order shuffled by the seed. A request that fails is a sample with an error class.

    Cancelling it closes every connection at once.

    Args:
        on_done: called with the number of requests finished so far.

    Raises:
        InvalidInput: no prompts, or a concurrency or token limit below 1.
    """
    if not prompts or load.concurrency < 1 or load.max_tokens < 1:
        raise errors.InvalidInput("A load needs prompts, a concurrency and a token limit.", hint="Each must be at least 1.")
    order = list(prompts)
    random.Random(load.seed).shuffle(order)
    queue, samples = iter(order), list[latency.Sample]()
    started_at, started = datetime.now(UTC), time.perf_counter()
    limits = httpx.Limits(max_connections=load.concurrency, max_keepalive_connections=load.concurrency)
    timeout = httpx.Timeout(load.deadline_seconds, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(base_url=load.address, timeout=timeout, limits=limits) as client, asyncio.TaskGroup() as clients:
        for _ in range(min(load.concurrency, len(order))):
            clients.create_task(_send_all(client, load, queue, samples, started, on_done))
    duration = time.perf_counter() - started
    return Measured(tuple(sorted(samples, key=lambda sample: sample.at_seconds)), started_at, datetime.now(UTC), duration)


async def _send_all(
    client: httpx.AsyncClient,
    load: Load,
    queue: Iterator[Prompt],
    samples: list[latency.Sample],
    started: float,
    on_done: Callable[[int], None],
) -> None:
    for prompt in queue:
        samples.append(await _send(client, load, prompt, started))
        on_done(len(samples))


async def _send(client: httpx.AsyncClient, load: Load, prompt: Prompt, started: float) -> latency.Sample:
    watch, error = _Watch(time.perf_counter()), ""
    try:
        async with asyncio.timeout(load.deadline_seconds):
            await _stream(client, load, prompt, watch)
    except (TimeoutError, httpx.TimeoutException):
        error = "timeout"
    except httpx.HTTPStatusError as failure:
        error = f"http {failure.response.status_code}"
    except httpx.NetworkError:
        error = "connection"
    except httpx.RemoteProtocolError:
        error = "disconnected"
    except (httpx.HTTPError, _UnreadableError):
        error = "protocol"
    return watch.sample(started, time.perf_counter(), prompt.row_id, error)


async def _stream(client: httpx.AsyncClient, load: Load, prompt: Prompt, watch: _Watch) -> None:
    body = {
        "model": load.name,
        "messages": [dict(message) for message in prompt.messages],
        "max_tokens": load.max_tokens,
        "temperature": load.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for chunk in _chunks(response):
            watch.see(chunk, time.perf_counter())


async def _chunks(response: httpx.Response) -> AsyncIterator[Mapping[str, object]]:
    """The stream's JSON objects up to `[DONE]`; a stream that ends before it was cut off."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        try:
            chunk = json.loads(data)
        except json.JSONDecodeError as error:
            raise _UnreadableError(data[:80]) from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise _UnreadableError(data[:80])
        yield chunk
    raise _UnreadableError("the stream ended without [DONE]")


class _UnreadableError(Exception):
    """The server sent something that is not a chat stream."""


class _Watch:
    """Collects what one stream shows."""

    def __init__(self, sent_at: float) -> None:
        self.sent_at = sent_at
        self.first_at: float | None = None
        self.pieces = 0
        self.counted_tokens: int | None = None
        self.finish_reason = ""

    def see(self, chunk: Mapping[str, object], now: float) -> None:
        usage, choices = chunk.get("usage"), chunk.get("choices")
        if isinstance(usage, dict):
            self.counted_tokens = int(usage.get("completion_tokens", 0))
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            if (choice.get("delta") or {}).get("content"):
                self.pieces += 1
                self.first_at = self.first_at if self.first_at is not None else now
            self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def sample(self, started: float, ended_at: float, row_id: str, error: str) -> latency.Sample:
        if not error and self.finish_reason not in ("stop", "length"):
            error = self.finish_reason or "unfinished"
        if not error and self.first_at is None:
            error = "empty answer"
        return latency.Sample(
            at_seconds=self.sent_at - started,
            first_token_seconds=None if self.first_at is None else self.first_at - self.sent_at,
            total_seconds=ended_at - self.sent_at,
            answer_tokens=self.counted_tokens if self.counted_tokens is not None else self.pieces,
            finish_reason=self.finish_reason,
            error=error,
            row_id=row_id,
        )
