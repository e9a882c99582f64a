"""The load generator against a server that misbehaves on demand; it loads a real vLLM in the tests of the performance jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import chat_server
import pytest

from controlplane.clients import load_generator
from controlplane.core import errors

PROMPTS = [load_generator.Prompt(f"row-{number}", [{"role": "user", "content": str(number)}]) for number in range(8)]
USAGE = {"choices": [], "usage": {"completion_tokens": 7}}


@pytest.fixture
def server() -> Iterator[chat_server.ChatServer]:
    with chat_server.running() as running:
        yield running


def measure(server: chat_server.ChatServer, **changes: object) -> load_generator.Measured:
    settings = {"address": server.address, "name": "slot", "concurrency": 3, "max_tokens": 5, "deadline_seconds": 20.0, **changes}
    return asyncio.run(load_generator.run(load_generator.Load(**settings), PROMPTS))


def test_every_prompt_is_sent_once_in_a_shuffled_order_that_the_seed_repeats(server: chat_server.ChatServer) -> None:
    server.reply = lambda path, body: chat_server.as_stream(chat_server.piece("2"), chat_server.piece("2", "stop"), USAGE)
    first, again, other = (measure(server, concurrency=1, seed=seed) for seed in (1, 1, 2))
    order = [[sample.row_id for sample in measured.samples] for measured in (first, again, other)]
    assert sorted(order[0]) == [prompt.row_id for prompt in PROMPTS]
    assert order[0] == order[1] != order[2]
    assert order[0] != sorted(order[0])


def test_a_sample_holds_what_the_stream_showed(server: chat_server.ChatServer) -> None:
    server.reply = lambda path, body: chat_server.as_stream(
        chat_server.piece(""), chat_server.piece("22"), chat_server.piece("", "length"), USAGE
    )
    measured = measure(server)
    for sample in measured.samples:
        assert (sample.error, sample.answer_tokens, sample.finish_reason) == ("", 7, "length")
        assert sample.first_token_seconds is not None
        assert 0 < sample.first_token_seconds <= sample.total_seconds <= measured.duration_seconds
    _, body = server.asked[0]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("slot", 5, 0.0, True)


def test_at_most_concurrency_requests_are_in_flight(server: chat_server.ChatServer) -> None:
    server.reply = lambda path, body: chat_server.Reply(hangs=True)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(load_generator.run(load_generator.Load(server.address, "slot", 3, 5), PROMPTS), 1.0))
    assert 1 <= len(server.asked) <= 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (chat_server.Reply(404), "http 404"),
        (chat_server.Reply(503), "http 503"),
        (chat_server.as_stream(chat_server.piece("2"), is_done=False), "protocol"),
        (chat_server.Reply(pieces=(b"data: {nonsense\n\n",)), "protocol"),
        (chat_server.as_stream({"error": {"message": "out of memory"}}), "protocol"),
        (chat_server.as_stream(chat_server.piece("2")), "unfinished"),
        (chat_server.as_stream(chat_server.piece("2", "abort")), "abort"),
        (chat_server.as_stream(chat_server.piece("", "stop")), "empty answer"),
    ],
)
def test_every_failure_has_a_class(server: chat_server.ChatServer, reply: chat_server.Reply, error: str) -> None:
    server.reply = lambda path, body: reply
    assert {sample.error for sample in measure(server).samples} == {error}


def test_a_stream_that_never_ends_is_a_timeout(server: chat_server.ChatServer) -> None:
    server.reply = lambda path, body: chat_server.as_stream(chat_server.piece("2"), is_done=False, hangs=True)
    samples = measure(server, concurrency=8, deadline_seconds=0.5).samples
    assert {sample.error for sample in samples} == {"timeout"}


def test_nobody_there_is_a_failed_connection() -> None:
    gone = chat_server.ChatServer(chat_server.NOBODY)
    assert {sample.error for sample in measure(gone).samples} == {"connection"}


@pytest.mark.parametrize(("prompts", "concurrency", "max_tokens"), [([], 1, 1), (PROMPTS, 0, 1), (PROMPTS, 1, 0)])
def test_a_load_of_nothing_is_refused(prompts: list[load_generator.Prompt], concurrency: int, max_tokens: int) -> None:
    with pytest.raises(errors.InvalidInput):
        asyncio.run(load_generator.run(load_generator.Load("http://nowhere.test", "slot", concurrency, max_tokens), prompts))


def test_progress_counts_finished_requests(server: chat_server.ChatServer) -> None:
    server.reply = lambda path, body: chat_server.Reply(500)
    seen: list[int] = []
    asyncio.run(load_generator.run(load_generator.Load(server.address, "slot", 2, 5), PROMPTS, seen.append))
    assert seen == list(range(1, len(PROMPTS) + 1))
