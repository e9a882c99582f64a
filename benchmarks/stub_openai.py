"""A server that answers as vLLM does, each request after a fixed time, however many come at once. It thinks about nothing it is asked.

    .venv/bin/python benchmarks/stub_openai.py --service-seconds 0.2 --models ops-qa-candidate ops-qa-live

It prints its port. `GET /stats` says how many requests it saw, how many at once, and of itself: how late it was on average, what share of a
CPU it took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PIECES = 4


@dataclass
class Stub:
    """`first_at`: seconds since the epoch of a model's first request."""

    service_seconds: float
    models: list[str]
    requests: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    most_at_once: dict[str, int] = field(default_factory=dict)
    first_at: dict[str, float] = field(default_factory=dict)
    late_seconds: list[float] = field(default_factory=lambda: [0.0])
    started: float = field(default_factory=time.time)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other, until the client hangs up."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                await self.answer(head.split(" ", 2)[1], body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        match path:
            case "/v1/models":
                send(writer, {"object": "list", "data": [self.listed(model) for model in self.models]})
            case "/stats":
                send(writer, self.stats())
            case _:
                await self.completion(json.loads(body), writer)
        await writer.drain()

    async def completion(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        model, arrived = request["model"], asyncio.get_running_loop().time()
        self.begin(model)
        try:
            if request.get("stream"):
                await self.stream(request, arrived, writer)
            else:
                await self.sleep_until(arrived + self.service_seconds)
                message = {"role": "assistant", "content": finding(request)}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                send(writer, {**described(model, "chat.completion"), "choices": [choice], "usage": usage()})
        finally:
            self.in_flight[model] -= 1

    async def stream(self, request: dict[str, Any], arrived: float, writer: asyncio.StreamWriter) -> None:
        """As vLLM streams: the role, pieces of text, the end, the usage, `[DONE]`."""
        head = described(request["model"], "chat.completion.chunk")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(event({**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}))
        for number, piece in enumerate(pieces(request), start=1):
            await self.sleep_until(arrived + self.service_seconds * number / PIECES)
            writer.write(event({**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}))
        writer.write(event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        writer.write(event({**head, "choices": [], "usage": usage()}) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async def sleep_until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(due - loop.time())
        self.late_seconds.append(loop.time() - due)

    def begin(self, model: str) -> None:
        self.first_at.setdefault(model, time.time())
        self.requests[model] += 1
        self.in_flight[model] += 1
        self.most_at_once[model] = max(self.most_at_once.get(model, 0), self.in_flight[model])

    def listed(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "root": f"/adapters/{model}", "parent": "base"}

    def stats(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "most_at_once": self.most_at_once,
            "first_at": self.first_at,
            "late_seconds": statistics.fmean(self.late_seconds),
            "cpu_share": time.process_time() / (time.time() - self.started),
        }


def pieces(request: dict[str, Any]) -> list[str]:
    """No two models say the same, so that a comparison has something to ask."""
    return ["It is", " what", " the context", f" says, {request['model']}."][:PIECES]


def finding(request: dict[str, Any]) -> str:
    """A grade or a preference, whichever the schema asks for."""
    asked = request["response_format"]["json_schema"]["schema"]["properties"]
    return json.dumps({"reason": "It says what the context says.", **({"grade": "A"} if "grade" in asked else {"better": "1"})})


def usage() -> dict[str, int]:
    return {"prompt_tokens": 60, "completion_tokens": PIECES, "total_tokens": 60 + PIECES}


def described(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-stub", "object": kind, "created": 0, "model": model}


def event(value: dict[str, Any]) -> bytes:
    return chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def send(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


async def serve(service_seconds: float, models: list[str]) -> None:
    server = await asyncio.start_server(Stub(service_seconds, models).connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--service-seconds", type=float, default=0.2, help="from a request's last byte to its answer's")
    parser.add_argument("--models", nargs="+", required=True, help="names that it answers to")
    given = parser.parse_args()
    asyncio.run(serve(given.service_seconds, given.models))
