"""The load generator against a server that misbehaves on demand; it loads a real vLLM in the tests of the performance jobs."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
import uvloop
import wire_server
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controlplane.clients import load_generator, timed_http
from controlplane.core import errors, latency, load_plan, load_progress

PROMPTS = [
    load_generator.Prompt(f"row-{number}", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"question {number}"}])
    for number in range(8)
]
CANDIDATE, LIVE = load_plan.Slot("candidate", "m-candidate"), load_plan.Slot("live", "m-live")
# uvloop's timers count whole milliseconds, so that they may end one too early.
EARLY_SECONDS = 0.001
NOBODY = "http://127.0.0.1:9"


def plan(**changes: Any) -> load_plan.Plan:
    settings = {"slots": (CANDIDATE,), "loop": load_plan.ClosedLoop(3), "max_tokens": 5, "requests_per_block": 8, "blocks_per_slot": 1}
    if "seconds_per_block" in changes:
        settings["requests_per_block"] = 0
    return load_plan.Plan(**{**settings, "deadline_seconds": 20.0, **changes})


async def run(address: str, planned: load_plan.Plan, seed: int = 1, **options: Any) -> latency.LoadTest:
    return await load_generator.run(planned, address, PROMPTS, numpy.random.default_rng(seed), **options)


def against(
    test: Callable[[wire_server.Wire], Awaitable[None]], loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
) -> None:
    """The test and its server in one event loop, which must be left as it was found."""

    async def whole() -> None:
        async with wire_server.running() as wire:
            await test(wire)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(whole())
    gc.collect()


def questions(wire: wire_server.Wire) -> list[str]:
    return [body["messages"][-1]["content"] for body in wire.asked]


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_every_prompt_is_asked_once_in_an_order_that_the_generator_draws(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(wire: wire_server.Wire) -> None:
        one = plan(loop=load_plan.ClosedLoop(1))
        orders = [[sample.row_id for sample in (await run(wire.address, one, seed)).samples] for seed in (1, 1, 2)]
        assert sorted(orders[0]) == [prompt.row_id for prompt in PROMPTS]
        assert orders[0] == orders[1] != orders[2]
        assert orders[0] != sorted(orders[0])
        assert wire.connections == 3

    against(test, loop)


def test_a_sample_holds_what_the_stream_showed() -> None:
    async def test(wire: wire_server.Wire) -> None:
        role, first, second, end = (
            wire_server.chunk(wire_server.event(event))
            for event in (wire_server.ROLE, wire_server.text("2"), wire_server.text("2", "length"), wire_server.USAGE)
        )
        done = (wire_server.chunk(wire_server.DONE), wire_server.LAST)
        wire.reply = lambda number, body: (wire_server.HEAD, role, 0.02, first, 0.01, second, 0.01, end, *done)
        tested = await run(wire.address, plan(requests_per_block=2))
        for sample in tested.samples:
            assert (sample.error, sample.answer_tokens, sample.prompt_tokens, sample.finish_reason) == ("", 7, 11, "length")
            assert (sample.role, sample.block, sample.is_counted) == ("candidate", 0, True)
            assert sample.first_token_seconds is not None
            assert sample.first_token_seconds >= 0.02 - EARLY_SECONDS
            (gap,) = sample.token_gaps_seconds
            assert 0 < gap < sample.total_seconds - sample.first_token_seconds
            assert sample.total_seconds >= 0.04 - 3 * EARLY_SECONDS
        assert tested.stopped_by == "count"
        body = wire.asked[0]
        assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("m-candidate", 5, 0.0, True)
        assert body["stream_options"] == {"include_usage": True}

    against(test)


def test_completions_send_the_text_and_read_it() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: wire_server.answer(
            {"choices": [{"text": "2"}]}, {"choices": [{"text": "2", "finish_reason": "stop"}]}
        )
        tested = await run(wire.address, plan(endpoint=load_plan.Endpoint.COMPLETIONS))
        assert [(sample.error, sample.answer_tokens) for sample in tested.samples] == [("", 2)] * 8
        assert {body["prompt"] for body in wire.asked} == {f"Be brief.\n\nquestion {number}" for number in range(8)}
        assert all(head.startswith("POST /v1/completions HTTP/1.1\r\n") for head in wire.heads)

    against(test)


def test_a_path_and_a_key_travel_with_every_request() -> None:
    async def test(wire: wire_server.Wire) -> None:
        tested = await run(f"{wire.address}/tenant/", plan(), api_key="secret")
        assert all(head.startswith("POST /tenant/v1/chat/completions ") for head in wire.heads)
        assert all("Authorization: Bearer secret\r\n" in head for head in wire.heads)
        assert "secret" not in repr(tested)

    against(test)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    began = datetime.now(UTC) - timedelta(hours=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), began, began + timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    return file


@pytest.mark.parametrize("is_trusted", [True, False])
def test_https_is_spoken_with_servers_whose_certificate_is_trusted(
    is_trusted: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def whole() -> latency.LoadTest:
        async with wire_server.running(context) as wire:
            return await run(wire.address, plan())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        samples = runner.run(whole()).samples
    assert {sample.error for sample in samples} == ({""} if is_trusted else {"connection"})


def test_exactly_concurrency_requests_are_in_flight_on_kept_connections() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.005, *wire_server.answer())
        await run(wire.address, plan(requests_per_block=30))
        assert (wire.most_in_flight, wire.connections, len(wire.asked)) == (3, 3, 30)

    against(test)


def test_blocks_alternate_drained_with_the_same_questions_in_a_round() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.001, *wire_server.answer())
        tested = await run(wire.address, plan(slots=(CANDIDATE, LIVE), blocks_per_slot=2, requests_per_block=4, warmup_requests=2))
        runs = [(name, len([*bodies])) for name, bodies in groupby(wire.asked, lambda body: body["model"])]
        assert runs == [("m-candidate", 6), ("m-live", 6), ("m-candidate", 4), ("m-live", 4)]
        asked = questions(wire)
        assert {*asked[:2]} == {*asked[6:8]}
        assert {*asked[2:6]} == {*asked[8:12]}
        assert {*asked[12:16]} == {*asked[16:20]}
        assert [(block.number, block.role) for block in tested.blocks] == [(0, "candidate"), (1, "live"), (2, "candidate"), (3, "live")]
        assert [sample.is_counted for sample in tested.samples].count(False) == 4
        for block, following in pairwise(tested.blocks):
            samples = [sample for sample in tested.samples if sample.block == block.number and sample.is_counted]
            assert len(samples) == 4
            assert block.steady_from_seconds <= samples[0].at_seconds
            assert block.steady_until_seconds == samples[-1].at_seconds
            assert max(sample.at_seconds + sample.total_seconds for sample in samples) <= block.ended_seconds
            assert block.ended_seconds <= following.steady_from_seconds

    against(test)


def test_what_is_due_in_the_ramp_does_not_count() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.002, *wire_server.answer())
        tested = await run(wire.address, plan(ramp_seconds=0.03))
        (block,) = tested.blocks
        counted = [sample for sample in tested.samples if sample.is_counted]
        assert len(counted) == 8 < len(tested.samples)
        assert all(sample.is_counted == (sample.at_seconds >= block.steady_from_seconds) for sample in tested.samples)
        assert block.steady_from_seconds >= 0.03

    against(test)


def test_a_block_of_seconds_is_whole_to_its_last_second() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.002, *wire_server.answer())
        tested = await run(wire.address, plan(slots=(CANDIDATE, LIVE), seconds_per_block=0.03))
        for block in tested.blocks:
            assert block.steady_until_seconds - block.steady_from_seconds == pytest.approx(0.03)
            assert block.ended_seconds >= block.steady_until_seconds
        assert tested.stopped_by == "time"

    against(test)


def test_latency_of_an_open_loop_counts_from_when_a_request_was_due() -> None:
    """A server that stalls once is slow for all who came meanwhile, though each was answered at once when its turn came."""

    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.08 if number == 0 else 0.0, *wire_server.answer())
        loop = load_plan.OpenLoop(100.0, load_plan.Arrivals.CONSTANT, max_in_flight=1)
        samples = (await run(wire.address, plan(loop=loop, requests_per_block=6))).samples
        assert [after.at_seconds - before.at_seconds for before, after in pairwise(samples)] == pytest.approx([0.01] * 5)
        assert samples[0].delay_seconds < 0.01
        for place, sample in enumerate(samples[1:], start=1):
            assert sample.delay_seconds > 0.078 - 0.01 * (place + 1)
            assert sample.first_token_seconds is not None
            assert sample.total_seconds >= sample.first_token_seconds > sample.delay_seconds

    against(test)


def test_an_open_loop_does_not_wait_for_answers() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.05, *wire_server.answer())
        tested = await run(wire.address, plan(loop=load_plan.OpenLoop(1000.0)))
        assert wire.most_in_flight > 3
        assert [sample.error for sample in tested.samples] == [""] * 8

    against(test)


def test_what_an_overloaded_server_could_not_take_is_told_as_not_sent() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.03, *wire_server.answer())
        loop = load_plan.OpenLoop(500.0, load_plan.Arrivals.CONSTANT, max_in_flight=1)
        tested = await run(wire.address, plan(loop=loop, seconds_per_block=10.0, max_seconds=0.07))
        unsent = [sample for sample in tested.samples if sample.error == "not sent"]
        assert tested.stopped_by == "time"
        assert len(wire.asked) + len(unsent) == len(tested.samples) > 20
        assert max(sample.at_seconds for sample in tested.samples) <= 0.07
        assert {sample.delay_seconds == sample.total_seconds for sample in unsent} == {True}

    against(test)


CHUNKED = wire_server.HEAD
FAILURES = {
    **{f"HTTP {status}": (wire_server.plain(status), f"http {status}") for status in (307, 400, 401, 404, 422, 429, 500, 503)},
    "an HTTP error streams on": (
        (b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n", wire_server.chunk(b"oh"), wire_server.CUT),
        "http 500",
    ),
    "a page instead of a stream": (wire_server.plain(200, b"<html>data: no</html>", "text/html"), "protocol"),
    "no HTTP at all": ((b"\x00\x01 garbage\r\n\r\n", wire_server.CLOSE), "protocol"),
    "half a JSON object": ((CHUNKED, wire_server.chunk(b"data: {nonsense\n\n"), wire_server.LAST), "protocol"),
    "bytes that are no text": ((CHUNKED, wire_server.chunk(b"data: \xff\xfe\n\n"), wire_server.LAST), "protocol"),
    "an error in the stream": (wire_server.answer({"error": {"message": "out of memory"}}), "protocol"),
    "no [DONE]": (wire_server.answer(wire_server.text("2", "stop"), done=b""), "protocol"),
    "an empty body": (wire_server.plain(200, b""), "protocol"),
    "cut after some text": ((CHUNKED, wire_server.chunk(wire_server.event(wire_server.text("2"))), wire_server.CUT), "disconnected"),
    "closed after some text": ((CHUNKED, wire_server.chunk(wire_server.event(wire_server.text("2"))), wire_server.CLOSE), "disconnected"),
    "closed at once": ((wire_server.CLOSE,), "disconnected"),
    "cut at once": ((wire_server.CUT,), "disconnected"),
    "no reason to end": (wire_server.answer(wire_server.text("2")), "unfinished"),
    "aborted by the server": (wire_server.answer(wire_server.text("2", "abort")), "abort"),
    "chunks without text": (
        wire_server.answer(wire_server.ROLE, wire_server.text(""), {"choices": [{"delta": None}]}, wire_server.text("", "stop")),
        "empty answer",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_has_a_class(name: str) -> None:
    reply, error = FAILURES[name]

    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: reply
        tested = await run(wire.address, plan())
        assert [sample.error for sample in tested.samples] == [error] * 8
        assert tested.stopped_by == "count"

    against(test)


def test_more_than_any_answer_holds_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_http, "MOST_BYTES", 2**16)

    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (CHUNKED, *[wire_server.chunk(b":" * 2**14)] * 5, wire_server.HANG)
        assert {sample.error for sample in (await run(wire.address, plan())).samples} == {"protocol"}

    against(test)


@pytest.mark.parametrize(
    "steps", [(), (CHUNKED,), (CHUNKED, wire_server.chunk(wire_server.event(wire_server.text("2"))))], ids=["silent", "head", "text"]
)
def test_a_stream_that_never_ends_is_a_timeout(steps: tuple[wire_server.Step, ...]) -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (*steps, wire_server.HANG)
        tested = await run(wire.address, plan(loop=load_plan.ClosedLoop(8), deadline_seconds=0.03))
        assert [sample.error for sample in tested.samples] == ["timeout"] * 8
        assert all(0.03 - EARLY_SECONDS <= sample.total_seconds < 1 for sample in tested.samples)

    against(test)


def test_a_stream_that_sends_for_ever_is_a_timeout() -> None:
    async def test(wire: wire_server.Wire) -> None:
        piece = wire_server.chunk(wire_server.event(wire_server.text("2")))
        wire.reply = lambda number, body: (CHUNKED, *[piece, 0.005] * 1000)
        tested = await run(wire.address, plan(loop=load_plan.ClosedLoop(8), deadline_seconds=0.2))
        assert {sample.error for sample in tested.samples} == {"timeout"}
        assert all(sample.answer_tokens >= 1 for sample in tested.samples)

    against(test)


def test_what_comes_after_done_does_not_matter() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (*wire_server.answer()[:-1], wire_server.HANG)
        samples = (await run(wire.address, plan(loop=load_plan.ClosedLoop(8), deadline_seconds=0.1))).samples
        assert {sample.error for sample in samples} == {""}
        assert all(sample.total_seconds < 0.1 for sample in samples)

    against(test)


WHOLE = b"".join(step for step in wire_server.answer() if isinstance(step, bytes))
EVENTS = b"".join(
    wire_server.event(event) for event in (wire_server.ROLE, wire_server.text("ü2"), wire_server.text("", "stop"), wire_server.USAGE)
)
CLOSING = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
GOOD = {
    "several events in one packet": (WHOLE,),
    "byte by byte": tuple(WHOLE[place : place + 1] for place in range(len(WHOLE))),
    "split at odd places": tuple(WHOLE[place : place + 7] for place in range(0, len(WHOLE), 7)),
    "lines end with CRLF": (CHUNKED, wire_server.chunk((EVENTS + wire_server.DONE).replace(b"\n", b"\r\n")), wire_server.LAST),
    "lines end with CR": (CHUNKED, wire_server.chunk((EVENTS + wire_server.DONE).replace(b"\n", b"\r")), wire_server.LAST),
    "comments between": (CHUNKED, wire_server.chunk(b": ping\n\n" + EVENTS + b"event: x\n" + wire_server.DONE), wire_server.LAST),
    "ended by closing": (CLOSING, EVENTS, wire_server.DONE, wire_server.CLOSE),
    "no end of line after [DONE]": (CLOSING, EVENTS, b"data:[DONE]", wire_server.CLOSE),
    "cut after [DONE]": (CHUNKED, wire_server.chunk(EVENTS + wire_server.DONE), wire_server.CUT),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_is_whole_however_its_bytes_travel(name: str) -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: GOOD[name]
        tested = await run(wire.address, plan(requests_per_block=4))
        assert [(sample.error, sample.answer_tokens, sample.prompt_tokens) for sample in tested.samples] == [("", 7, 11)] * 4

    against(test)


@pytest.mark.parametrize(
    "events",
    [
        (wire_server.text("2"), wire_server.text("2", "stop")),
        (wire_server.text("2"), {"choices": [], "usage": None}, wire_server.text("2", "stop")),
    ],
)
def test_without_usage_pieces_are_counted(events: tuple[object, ...]) -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: wire_server.answer(*events)
        assert {(sample.error, sample.answer_tokens) for sample in (await run(wire.address, plan())).samples} == {("", 2)}

    against(test)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_connection_closed_between_requests_fails_none(is_told: bool) -> None:
    async def test(wire: wire_server.Wire) -> None:
        head = CHUNKED[:-2] + b"Connection: close\r\n\r\n" if is_told else CHUNKED
        wire.reply = lambda number, body: (head, *wire_server.answer()[1:], wire_server.CLOSE)
        tested = await run(wire.address, plan(loop=load_plan.ClosedLoop(1)))
        assert [sample.error for sample in tested.samples] == [""] * 8
        assert wire.connections >= 8

    against(test)


def test_a_server_that_stops_ends_the_test_early() -> None:
    async def test(wire: wire_server.Wire) -> None:
        def reply(number: int, body: dict[str, Any]) -> tuple[wire_server.Step, ...]:
            if number < 10:
                return wire_server.answer()
            wire.stop()
            return (wire_server.CUT,)

        wire.reply = reply
        tested = await run(wire.address, plan(slots=(CANDIDATE, LIVE), requests_per_block=1000))
        found = latency.errors_by_class(tested.samples)
        assert tested.stopped_by == "failures"
        assert 20 <= sum(found.values()) <= 25
        assert set(found) <= {"connection", "disconnected"}
        assert len(tested.samples) - sum(found.values()) >= 10
        assert [block.number for block in tested.blocks] == [0]

    against(test)


@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_refuses_everything_is_not_asked_to_the_end(status: int) -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: wire_server.plain(status)
        tested = await run(wire.address, plan(seconds_per_block=60.0))
        assert tested.stopped_by == "failures"
        assert 20 <= len(tested.samples) <= 25
        assert tested.blocks[0].steady_until_seconds < 5

    against(test)


def test_failures_between_answers_do_not_end_the_test() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: wire_server.answer() if number % 10 == 9 else wire_server.plain(429)
        tested = await run(wire.address, plan(requests_per_block=100))
        assert (tested.stopped_by, latency.errors_by_class(tested.samples)) == ("count", {"http 429": 90})

    against(test)


def test_nobody_there_is_a_failed_connection() -> None:
    tested = asyncio.run(run(NOBODY, plan(requests_per_block=100)))
    assert {sample.error for sample in tested.samples} == {"connection"}
    assert tested.stopped_by == "failures"
    assert len(tested.samples) < 30


def test_time_ends_the_test_in_the_middle_of_a_block() -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.005, *wire_server.answer())
        tested = await run(wire.address, plan(requests_per_block=10**6, max_seconds=0.05))
        assert tested.stopped_by == "time"
        assert max(sample.at_seconds for sample in tested.samples) < 0.05
        assert {sample.error for sample in tested.samples} == {""}

    against(test)


def test_precision_ends_the_test_after_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def is_precise(planned: load_plan.Plan, samples: list[latency.Sample]) -> bool:
        seen.append(len(samples))
        return len(seen) == 2

    monkeypatch.setattr(load_plan, "is_precise", is_precise)

    async def test(wire: wire_server.Wire) -> None:
        tested = await run(wire.address, plan(slots=(CANDIDATE, LIVE), blocks_per_slot=5))
        assert (tested.stopped_by, len(tested.blocks), seen) == ("precision", 4, [16, 32])

    against(test)


def test_a_wall_clock_that_goes_backwards_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    steps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 60 * next(steps))

    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (0.002, *wire_server.answer())
        tested = await run(wire.address, plan(), now=lambda: began - timedelta(minutes=next(steps)))
        assert timedelta(0) < tested.ended_at - tested.started_at < timedelta(seconds=10)
        assert all(0.002 - EARLY_SECONDS <= sample.total_seconds < 10 and sample.at_seconds >= 0 for sample in tested.samples)

    against(test)


@pytest.mark.parametrize("loop", [load_plan.ClosedLoop(3), load_plan.OpenLoop(1000.0, max_in_flight=3)], ids=["closed", "open"])
def test_cancelling_closes_every_connection_at_once(loop: load_plan.ClosedLoop | load_plan.OpenLoop) -> None:
    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: (CHUNKED, wire_server.HANG)
        task = asyncio.create_task(run(wire.address, plan(loop=loop)))
        while len(wire.asked) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while wire.closed < wire.connections:
            await asyncio.sleep(0.001)
        assert gc.isenabled()

    against(test)


def test_progress_ends_with_the_whole() -> None:
    seen: list[load_progress.Progress] = []

    async def test(wire: wire_server.Wire) -> None:
        wire.reply = lambda number, body: wire_server.plain(503) if number == 3 else (0.004, *wire_server.answer())
        planned = plan(slots=(CANDIDATE, LIVE), loop=load_plan.ClosedLoop(1), warmup_requests=1)
        await run(wire.address, planned, on_progress=seen.append, progress_seconds=0.001)

    against(test)
    assert [progress.requests for progress in seen] == sorted(progress.requests for progress in seen)
    assert len({progress.block for progress in seen}) == 2
    last = seen[-1]
    candidate, live = last.slots
    assert (last.requests, last.of_requests, last.of_blocks) == (16, 16, 2)
    assert (candidate.requests, dict(candidate.errors), dict(live.errors)) == (8, {"http 503": 1}, {})
    assert candidate.p95_latency_seconds is not None
    assert candidate.p50_ttft_seconds is not None
    assert 0.004 - EARLY_SECONDS <= candidate.p50_ttft_seconds <= candidate.p95_latency_seconds
    assert live.throughput is not None
    assert 0 < live.throughput < 1 / (0.004 - EARLY_SECONDS)


def test_a_watcher_that_fails_is_heard() -> None:
    def on_progress(progress: load_progress.Progress) -> None:
        raise ValueError("the watcher's own fault")

    async def test(wire: wire_server.Wire) -> None:
        with pytest.raises(ValueError, match="own fault"):
            await run(wire.address, plan(), on_progress=on_progress)

    against(test)


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://somewhere"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not the address"):
        asyncio.run(run(address, plan()))


def test_a_load_of_nothing_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="needs prompts"):
        asyncio.run(load_generator.run(plan(), NOBODY, [], numpy.random.default_rng()))


def test_measure_brings_its_own_event_loop() -> None:
    tested = load_generator.measure(plan(), NOBODY, PROMPTS, numpy.random.default_rng(1))
    assert [sample.error for sample in tested.samples] == ["connection"] * 8
