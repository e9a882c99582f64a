"""A server on the loopback address that writes exactly the bytes a test tells it, when it tells it: for faults below HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

# After the bytes: hang up politely, cut the line, or do nothing more.
CLOSE, CUT, HANG = "close", "cut", "hang"
Step = bytes | float | str

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
DONE = b"data: [DONE]\n\n"


@dataclass
class Wire:
    """`reply` gets the number of the request (from 0) and its body. `closed`: connections that the client left."""

    address: str = ""
    reply: Callable[[int, dict[str, Any]], Sequence[Step]] = lambda number, body: answer()
    asked: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    stop: Callable[[], None] = lambda: None


def text(piece: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": finish_reason}]}


def event(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def answer(*events: object, done: bytes = DONE) -> tuple[Step, ...]:
    """A whole chat stream; without events a short one."""
    told = events or (ROLE, text("22"), text("", "stop"), USAGE)
    return (HEAD, *(chunk(event(one)) for one in told), *([chunk(done)] if done else []), LAST)


def plain(status: int, body: bytes = b'{"error": {"message": "no"}}', kind: str = "application/json") -> tuple[Step, ...]:
    return (f"HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body,)


@contextlib.asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire, tasks = Wire(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        wire.connections += 1
        try:
            while await _one(wire, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            wire.closed += 1
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    wire.address = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    wire.stop = server.close
    try:
        yield wire
    finally:
        wire.is_over.set()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"Content-Length: (\d+)", head)
    assert length
    body = json.loads(await reader.readexactly(int(length[1])))
    wire.asked.append(body)
    wire.heads.append(head)
    wire.in_flight += 1
    wire.most_in_flight = max(wire.most_in_flight, wire.in_flight)
    try:
        return await _write(wire, wire.reply(len(wire.asked) - 1, body), reader, writer)
    finally:
        wire.in_flight -= 1


async def _write(wire: Wire, steps: Sequence[Step], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step == HANG:
            await reader.readexactly(1)
        else:
            (writer.close if step == CLOSE else writer.transport.abort)()
            return False
    return True
