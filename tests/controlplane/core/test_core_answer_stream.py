"""A stamped answer is read the same wherever its pieces end, and nothing makes the reader fail."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import answer_stream

EVENTS: list[object] = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"content": "über "}}]},
    {"choices": [{"delta": {"content": "two\n"}, "finish_reason": None}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 2}},
]


def stream(newline: bytes = b"\n") -> bytes:
    lines = [b"data: " + json.dumps(event, ensure_ascii=False).encode() for event in EVENTS]
    return b"".join(line + newline * 2 for line in [*lines, b"data: [DONE]"])


@given(cuts=st.lists(st.integers(0, 500), max_size=40), newline=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_pieces_may_end_anywhere(cuts: list[int], newline: bytes) -> None:
    data = stream(newline)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [(float(number), data[start:end]) for number, (start, end) in enumerate(itertools.pairwise(places))]
    reading = answer_stream.read(pieces)
    assert (len(reading.text_at), reading.finish_reason, reading.answer_tokens, reading.prompt_tokens) == (2, "stop", 2, 11)
    assert reading.done_at is not None
    assert reading.text_at == sorted(reading.text_at)
    for at, event in zip(reading.text_at, EVENTS[1:3], strict=True):
        whole = data.index(json.dumps(event, ensure_ascii=False).encode()) + len(json.dumps(event, ensure_ascii=False).encode())
        assert places[int(at) + 1] > whole
        assert places[int(at)] <= whole


@given(st.lists(st.tuples(st.floats(0, 9), st.binary(max_size=30)), max_size=5))
def test_bytes_of_any_kind_are_read(pieces: list[answer_stream.Piece]) -> None:
    assert answer_stream.read(pieces).done_at is None or any(b"DONE" in data for _, data in pieces)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choices", "delta", "content", "usage", "completion_tokens", "text", "finish_reason"]), inner)
    ),
    max_leaves=6,
)


@given(st.lists(JSON, max_size=4))
def test_json_of_any_shape_is_read_up_to_what_is_no_event(events: list[object]) -> None:
    lines = b"".join(b"data: " + json.dumps(event).encode() + b"\n" for event in [*events, "[DONE]"]).replace(b'"[DONE]"', b"[DONE]")
    reading = answer_stream.read([(1.0, lines)])
    assert (reading.done_at is not None) == all(isinstance(event, dict) for event in events)


@pytest.mark.parametrize("data", [b"data: {}\n", b": ping\n", b"data: {x\n", b'data: {"error": {}}\ndata: [DONE]\n', b"<html>", b""])
def test_what_is_no_answer_is_never_done(data: bytes) -> None:
    reading = answer_stream.read([(1.0, data)])
    assert (reading.done_at, reading.text_at) == (None, [])
