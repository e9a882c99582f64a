"""A server may close an idle connection in the moment of a request: what only reads asks again, what would act twice does not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from controlplane import ports
from controlplane.clients import mlflow_registry
from controlplane.core import errors, lifecycle

VERSION = ports.Version("ops-qa", 1, "run", datetime(2026, 1, 1, tzinfo=UTC), (), {})


class CuttingServer(http.server.ThreadingHTTPServer):
    """Answers `{}`, or cuts the connections of as many requests as it is told to."""

    daemon_threads = True
    cuts_left = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CuttingServer

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.cuts_left:
            self.server.cuts_left -= 1
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[CuttingServer]:
    with CuttingServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=[0.01])
        thread.start()
        yield made
        made.shutdown()
    thread.join(10)


def _registry(server: CuttingServer, cuts: int) -> mlflow_registry.MlflowRegistry:
    """One whose pool holds a connection, and whose next requests are cut."""
    registry = mlflow_registry.MlflowRegistry(server.address)
    registry.models()
    server.asked.clear()
    server.cuts_left = cuts
    return registry


REPEATED: dict[str, Callable[[mlflow_registry.MlflowRegistry], object]] = {
    "models": lambda registry: registry.models(),
    "apply": lambda registry: registry.apply("ops-qa", [lifecycle.AliasChange(lifecycle.Alias.LIVE, 1)]),
    "tag": lambda registry: registry.tag(VERSION, {"digest": "d"}),
}


@pytest.mark.parametrize("ask", REPEATED.values(), ids=REPEATED)
def test_what_may_be_asked_twice_is_asked_again_on_a_new_connection(
    server: CuttingServer, ask: Callable[[mlflow_registry.MlflowRegistry], object]
) -> None:
    ask(_registry(server, cuts=1))
    assert server.asked[0] == server.asked[1]


def test_what_would_act_twice_is_not_asked_again(server: CuttingServer) -> None:
    registry = _registry(server, cuts=1)
    with pytest.raises(errors.Unreachable, match="connection failed"):
        registry.delete(VERSION)
    assert len(server.asked) == 1


def test_a_server_that_cuts_again_is_unreachable(server: CuttingServer) -> None:
    registry = _registry(server, cuts=2)
    with pytest.raises(errors.Unreachable, match="connection failed"):
        registry.models()
    assert len(server.asked) == 2
