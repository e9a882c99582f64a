"""Faults that a healthy vLLM does not show on demand: broken streams, errors on the way, a load that did not take."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.clients import vllm_inference
from controlplane.core import errors

WORD = 'data: {"choices": [{"delta": {"content": "one"}, "finish_reason": null}]}\n\n'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}\n\n'


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Answers every path with the text, or (status, text), that the server's `script` has for it; counts connections."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.script[self.path]  # type: ignore[attr-defined]
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Scripted)
    running.script, running.connections = {}, 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def script(server) -> Iterator[tuple[vllm_inference.VllmReplica, dict[str, object]]]:
    """A replica and the answers it gives, by path."""
    replica = vllm_inference.VllmReplica(f"http://127.0.0.1:{server.server_port}")
    yield replica, server.script
    replica.close()


def _stream(replica: vllm_inference.VllmReplica) -> list[str]:
    async def collect() -> list[str]:
        return [delta.text async for delta in replica.stream("m", [], max_tokens=1)]

    return asyncio.run(collect())


def test_a_whole_stream(script) -> None:
    replica, answers = script
    answers["/v1/chat/completions"] = f"{WORD}: a comment\n\n{USAGE}data: [DONE]\n\n"
    assert _stream(replica) == ["one", ""]


@pytest.mark.parametrize(("is_kept_open", "connections"), [(True, 1), (False, 3)])
def test_streams_that_follow_each_other_share_a_connection_that_is_kept_open(server, is_kept_open: bool, connections: int) -> None:
    replica = vllm_inference.VllmReplica(f"http://127.0.0.1:{server.server_port}")
    server.script["/v1/chat/completions"] = f"{WORD}{USAGE}data: [DONE]\n\n"

    async def several() -> list[str]:
        async with replica.kept_open() as kept:
            asked = kept if is_kept_open else replica
            return ["".join([delta.text async for delta in asked.stream("m", [], max_tokens=1)]) for _ in range(3)]

    assert asyncio.run(several()) == ["one"] * 3
    assert server.connections == connections
    replica.close()


def test_a_stream_that_breaks_off_is_no_answer(script) -> None:
    replica, answers = script
    answers["/v1/chat/completions"] = WORD + USAGE
    with pytest.raises(errors.Unreachable, match="broke off"):
        _stream(replica)


def test_an_error_on_the_way_is_told(script) -> None:
    replica, answers = script
    answers["/v1/chat/completions"] = f'{WORD}data: {{"error": {{"message": "engine died"}}}}\n\n'
    with pytest.raises(errors.OutsideError, match="engine died"):
        _stream(replica)


def test_a_load_that_did_not_take_is_told(script) -> None:
    replica, answers = script
    answers["/v1/models"] = json.dumps({"data": [{"id": "m-live", "root": "/old", "parent": "base"}]})
    answers["/v1/unload_lora_adapter"] = (404, '{"error": {"message": "unknown"}}')
    answers["/v1/load_lora_adapter"] = "Success"
    answers["/v1/chat/completions"] = (404, '{"error": {"message": "unknown"}}')
    with pytest.raises(errors.OutsideError, match="m-live answers from /old after loading /new"):
        replica.load("m-live", Path("/new"))


@pytest.mark.parametrize(("status", "text"), [(500, '{"error": {"message": "rank 64 is too large."}}'), (400, "rank 64 is too large")])
def test_a_refusal_carries_vllms_words(script, status: int, text: str) -> None:
    replica, answers = script
    answers["/v1/chat/completions"] = (status, text)
    with pytest.raises(errors.OutsideError, match=f"refused: {status} rank 64 is too large\\.$"):
        replica.chat("m", [], max_tokens=1)


def test_something_else_at_the_address(script) -> None:
    replica, answers = script
    answers["/v1/models"] = "<html>"
    with pytest.raises(errors.OutsideError, match="JSON"):
        replica.served()
