"""What every replica does, fake or vLLM."""

from __future__ import annotations

import asyncio

import pytest

from controlplane import ports
from controlplane.core import errors, fingerprints, prompts

SLOT = "suite-live"
MESSAGES = prompts.messages("What is the port?", "The service ssh listens on port 22.")


def _root(replica, slot: str = SLOT) -> str:
    return next((served.root for served in replica.inference.served() if served.name == slot), "")


def _base(replica) -> str:
    return next(served.name for served in replica.inference.served() if not served.parent)


def _stream(replica, name: str, max_tokens: int = 6) -> list[ports.Delta]:
    async def collect() -> list[ports.Delta]:
        return [delta async for delta in replica.inference.stream(name, MESSAGES, max_tokens=max_tokens)]

    return asyncio.run(collect())


def test_it_is_healthy(replica) -> None:
    assert replica.inference.is_healthy()


def test_load_swaps_what_the_slot_answers_from(replica) -> None:
    replica.inference.load(SLOT, replica.first)
    assert _root(replica) == str(replica.first)
    before = replica.inference.chat(SLOT, MESSAGES, max_tokens=6)
    replica.inference.load(SLOT, replica.second)
    assert _root(replica) == str(replica.second)
    assert replica.inference.chat(SLOT, MESSAGES, max_tokens=6).text != before.text
    assert len([served for served in replica.inference.served() if served.name == SLOT]) == 1


def test_a_fingerprint_tells_adapters_apart_and_repeats_itself(replica) -> None:
    replica.inference.load(SLOT, replica.first)
    first, again = replica.inference.fingerprint(SLOT), replica.inference.fingerprint(SLOT)
    assert fingerprints.compare(first, again).match is fingerprints.Match.EQUAL
    assert len(first.answers) == len(fingerprints.PROMPTS)
    replica.inference.load(SLOT, replica.second)
    assert fingerprints.compare(first, replica.inference.fingerprint(SLOT)).match is fingerprints.Match.DIFFERENT
    with pytest.raises(errors.NotFound, match="nobody"):
        replica.inference.fingerprint("nobody")


def test_load_may_be_repeated(replica) -> None:
    for _ in range(2):
        replica.inference.load(SLOT, replica.first)
        assert _root(replica) == str(replica.first)


def test_slots_live_side_by_side_above_the_base(replica) -> None:
    replica.inference.load(SLOT, replica.first)
    replica.inference.load("suite-candidate", replica.second)
    base = _base(replica)
    parents = {served.name: served.parent for served in replica.inference.served()}
    assert (parents[SLOT], parents["suite-candidate"], parents[base]) == (base, base, "")
    replica.inference.unload("suite-candidate")
    assert _root(replica, "suite-candidate") == ""
    replica.inference.unload("suite-candidate")


def test_an_adapter_that_cannot_be_loaded(replica) -> None:
    with pytest.raises(errors.OutsideError):
        replica.inference.load("suite-broken", replica.broken)
    assert _root(replica, "suite-broken") == ""


def test_an_answer_counts_and_times(replica) -> None:
    answer = replica.inference.chat(_base(replica), MESSAGES, max_tokens=3)
    assert answer.text
    assert answer.finish_reason in ("stop", "length")
    assert 1 <= answer.answer_tokens <= 3
    assert answer.prompt_tokens > 10
    assert answer.total_seconds > 0


def test_a_stream_adds_up_to_the_answer(replica) -> None:
    replica.inference.load(SLOT, replica.first)
    deltas = _stream(replica, SLOT)
    answer = deltas[-1].answer
    assert answer is not None
    assert [delta.answer for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert "".join(delta.text for delta in deltas) == answer.text == replica.inference.chat(SLOT, MESSAGES, max_tokens=6).text
    assert answer.answer_tokens <= 6
    assert answer.first_token_seconds is not None
    assert 0 < answer.first_token_seconds <= answer.total_seconds


def test_an_unknown_name_is_not_found(replica) -> None:
    with pytest.raises(errors.NotFound, match="nobody"):
        replica.inference.chat("nobody", MESSAGES, max_tokens=3)
    with pytest.raises(errors.NotFound, match="nobody"):
        _stream(replica, "nobody")
