"""A server that streams as vLLM does, at known times, and says when it really did: what a load generator is held against.

    .venv/bin/python benchmarks/stub_timed.py --ttft-seconds 0.1 --gap-seconds 0.01 --tokens 16

It prints its port. `GET /records` tells of every answer since the last such question when its request was there and when its first and its
last text left, in seconds of CLOCK_MONOTONIC, which all processes of a machine share, and `cpu_seconds` of the stub itself.

Pieces of text leave at times counted from the request, not from each other, so that lateness does not add up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

MARK = re.compile(rb"row-(\d+)")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Timing:
    ttft_seconds: float
    gap_seconds: float
    tokens: int

    @property
    def service_seconds(self) -> float:
        return self.ttft_seconds + (self.tokens - 1) * self.gap_seconds


@dataclass
class Record:
    """`row`: the number that the question was marked with, -1 for none."""

    row: int
    received_at: float
    first_at: float = 0.0
    last_at: float = 0.0


@dataclass
class Book:
    timing: Timing
    model: str
    records: list[Record] = field(default_factory=list)
    opening: bytes = b""
    piece: bytes = b""
    closing: bytes = b""

    def __post_init__(self) -> None:
        self.opening = HEAD + self.event(delta={"role": "assistant", "content": ""})
        self.piece = self.event(delta={"content": " word"})
        usage = {"prompt_tokens": 60, "completion_tokens": self.timing.tokens, "total_tokens": 60 + self.timing.tokens}
        end = self.event(delta={}, finish_reason="stop") + self.event(usage=usage)
        self.closing = end + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def event(self, usage: dict[str, int] | None = None, **choice: Any) -> bytes:
        choices = [] if usage else [{"index": 0, "logprobs": None, "finish_reason": None, **choice}]
        head = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        return chunk(b"data: " + json.dumps({**head, "choices": choices, **({"usage": usage} if usage else {})}).encode() + b"\n\n")

    def told(self) -> dict[str, Any]:
        told, self.records = self.records, []
        rows = [(record.row, record.received_at, record.first_at, record.last_at) for record in told]
        return {"records": rows, "cpu_seconds": time.process_time()}


class Connection(asyncio.Protocol):
    """One request after the other."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.buffer = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_open = False

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        length = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) < whole:
            return
        body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
        self.answer(head.split(b" ", 2)[1], body, now)

    def answer(self, path: bytes, body: bytes, now: float) -> None:
        if path == b"/records":
            self.send(self.book.told())
        elif not body:
            self.send({"object": "list", "data": [{"id": self.book.model, "object": "model", "max_model_len": 8192}]})
        else:
            mark = MARK.search(body)
            self.stream(Record(int(mark[1]) if mark else -1, now), 0)

    def send(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.transport.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)

    def stream(self, record: Record, sent: int) -> None:
        """Sends all that is due, and comes back for the rest."""
        timing, now = self.book.timing, time.perf_counter()
        if not self.is_open:
            return
        due = record.received_at + timing.ttft_seconds + sent * timing.gap_seconds
        if now >= due:
            self.write(record, sent)
            sent, due = sent + 1, due + timing.gap_seconds
        if sent < timing.tokens:
            asyncio.get_running_loop().call_later(max(0.0, due - time.perf_counter()), self.stream, record, sent)

    def write(self, record: Record, sent: int) -> None:
        is_first, is_last = sent == 0, sent == self.book.timing.tokens - 1
        now = time.perf_counter()
        self.transport.write((self.book.opening if is_first else b"") + self.book.piece + (self.book.closing if is_last else b""))
        if is_first:
            record.first_at = now
        if is_last:
            record.last_at = now
            self.book.records.append(record)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def serve(book: Book) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(book), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ttft-seconds", type=float, default=0.1, help="from a request's last byte to its answer's first text")
    parser.add_argument("--gap-seconds", type=float, default=0.01, help="between one piece of text and the next")
    parser.add_argument("--tokens", type=int, default=16, help="pieces of text in an answer")
    parser.add_argument("--model", default="stub", help="name that it answers to")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Book(Timing(given.ttft_seconds, given.gap_seconds, given.tokens), given.model)))
