"""Stands before a real server and lets its requests through, unless it is told to cut their connections or to answer 503."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


class FaultyProxy(http.server.ThreadingHTTPServer):
    """`faults` befall the next requests, one each: "cut", "503", or "" for none."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.target = httpx.Client(base_url=target, timeout=30)
        self.faults: list[str] = []


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault == "cut":
            self.close_connection = True
        elif fault:
            self._answer(int(fault), b"")
        else:
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            answer = self.server.target.request(self.command, self.path, content=body, headers=kind)
            self._answer(answer.status_code, answer.content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def running(target: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(target) as proxy, proxy.target:
        thread = threading.Thread(target=proxy.serve_forever, args=[0.01])
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(10)
