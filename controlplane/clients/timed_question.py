"""One question of a load test: the request it becomes, and the sample its answer becomes. It sends nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controlplane.clients import timed_http
from controlplane.core import answer_stream, latency, load_plan

PATHS = {load_plan.Endpoint.CHAT: "/v1/chat/completions", load_plan.Endpoint.COMPLETIONS: "/v1/completions"}
FINISHED = ("stop", "length")


@dataclass(frozen=True)
class Asked:
    """A question that is over, not yet read; seconds since the test's start. `exchange` is None for one that never left."""

    row_id: str
    role: str
    block: int
    is_counted: bool
    due_seconds: float
    ended_seconds: float
    exchange: timed_http.Exchange | None

    @property
    def has_answer(self) -> bool:
        return self.exchange is not None and not self.exchange.failure and self.exchange.status < 300


def body(plan: load_plan.Plan, slot: str, messages: Sequence[Mapping[str, str]]) -> bytes:
    """Greedy, streamed, with the server's own count of tokens at the end."""
    asks_chat = plan.endpoint is load_plan.Endpoint.CHAT
    question = {"messages": [*messages]} if asks_chat else {"prompt": "\n\n".join(message["content"] for message in messages)}
    limits = {"max_tokens": plan.max_tokens, "temperature": 0.0, "stream": True, "stream_options": {"include_usage": True}}
    return json.dumps({"model": slot, **question, **limits}).encode()


def sample(asked: Asked, started: float) -> latency.Sample:
    """`started`: the test's start on the exchange's clock."""
    exchange = asked.exchange
    if exchange is None:
        return _failed(asked, latency.NOT_SENT)
    reading = answer_stream.read(exchange.pieces)
    due = started + asked.due_seconds
    return latency.Sample(
        at_seconds=asked.due_seconds,
        first_token_seconds=reading.text_at[0] - due if reading.text_at else None,
        total_seconds=(exchange.ended_at if reading.done_at is None else reading.done_at) - due,
        answer_tokens=len(reading.text_at) if reading.answer_tokens is None else reading.answer_tokens,
        finish_reason=reading.finish_reason,
        error=_error(exchange, reading),
        row_id=asked.row_id,
        delay_seconds=max(0.0, exchange.sent_at - due),
        token_gaps_seconds=tuple(after - before for before, after in itertools.pairwise(reading.text_at)),
        prompt_tokens=reading.prompt_tokens,
        role=asked.role,
        block=asked.block,
        is_counted=asked.is_counted,
    )


def _failed(asked: Asked, error: str) -> latency.Sample:
    waited = max(0.0, asked.ended_seconds - asked.due_seconds)
    return latency.Sample(
        asked.due_seconds,
        None,
        waited,
        0,
        error=error,
        row_id=asked.row_id,
        delay_seconds=waited,
        role=asked.role,
        block=asked.block,
        is_counted=asked.is_counted,
    )


def _error(exchange: timed_http.Exchange, reading: answer_stream.Reading) -> str:
    """Empty for an answer with text that ended as answers do. What happened after the stream said that it was over does not matter."""
    if exchange.status and not 200 <= exchange.status < 300:
        return f"http {exchange.status}"
    if reading.done_at is None:
        return exchange.failure or timed_http.PROTOCOL
    if reading.finish_reason not in FINISHED:
        return reading.finish_reason or "unfinished"
    return "" if reading.text_at else "empty answer"
