"""A small HTTP server on the loopback address that answers as a test tells it: for faults that a real server does not show on demand."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

# Nobody listens there. A port that was just given back would do worse: another test's process may take it.
NOBODY = "http://127.0.0.1:9"


@dataclass
class Reply:
    """`pieces` are written one by one; `hangs` keeps the connection open after them."""

    status: int = 200
    pieces: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass
class ChatServer:
    """`reply` gets (path, body) of each request; `asked` keeps them."""

    address: str
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    reply: Callable[[str, dict[str, object]], Reply] = lambda path, body: Reply(404)
    is_over: threading.Event = field(default_factory=threading.Event)


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, (json.dumps(value).encode(),), {"Content-Type": "application/json", **headers})


def as_stream(*events: object, is_done: bool = True, hangs: bool = False) -> Reply:
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    return Reply(pieces=(*lines, *((b"data: [DONE]\n\n",) if is_done else ())), headers={"Content-Type": "text/event-stream"}, hangs=hangs)


def completion(text: str) -> dict[str, object]:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }


def piece(text: str, finish_reason: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]}


@contextlib.contextmanager
def running() -> Iterator[ChatServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            is_form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            self._answer(dict(urllib.parse.parse_qsl(sent.decode())) if is_form else json.loads(sent))

        def _answer(self, body: dict[str, object]) -> None:
            told.asked.append((self.path, body))
            reply = told.reply(self.path, body)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                for part in reply.pieces:
                    self.wfile.write(part)
                    self.wfile.flush()
                if reply.hangs:
                    told.is_over.wait(30)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = ChatServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
