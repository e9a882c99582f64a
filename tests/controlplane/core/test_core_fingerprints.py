"""Is what a server answers what the adapter is known to answer?"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from controlplane.core import errors, fingerprints
from controlplane.core.fingerprints import Fingerprint, Match, Token

RECORDED = Fingerprint(
    "vllm 0.32.0",
    ((Token("22", -0.1, {"22": -0.1, "23": -3.0}), Token(".", -0.2, {".": -0.2})), (Token("hot", -0.7, {"hot": -0.7, "warm": -0.8}),)),
)


def with_first(token: Token, *rest: Token) -> Fingerprint:
    return replace(RECORDED, answers=((token, *rest), RECORDED.answers[1]))


@pytest.mark.parametrize(
    ("found", "match"),
    [
        (RECORDED, Match.EQUAL),
        (with_first(Token("22", -0.2, {"22": -0.2, "23": -2.8}), Token(".", -0.3, {".": -0.3})), Match.EQUAL),
        (with_first(Token("22", -0.4, {"22": -0.4, "23": -3.0}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", math.nan, {"22": -0.1, "23": -3.0}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", -0.1, {"22": -0.1, "23": math.nan}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", -0.1, {"22": -0.1, "23": -3.4}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", -0.1, {"22": -0.1, "80": -2.8}), Token(".", -0.2, {".": -0.2})), Match.EQUAL),
        (with_first(Token("22", -0.1, {"22": -0.1, "80": -2.0}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", -0.1, {"22": -0.1, "80": -3.4}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (replace(RECORDED, answers=(RECORDED.answers[0], (Token("warm", -0.7, {"warm": -0.7, "hot": -0.8}),))), Match.CLOSE),
        (with_first(Token("22", -0.1, {}), Token(".", -0.2, {})), Match.EQUAL),
        (with_first(Token("23", -0.1, {"23": -0.1, "22": -3.0}), Token(".", -0.2, {".": -0.2})), Match.DIFFERENT),
        (with_first(Token("22", -0.1, {"22": -0.1, "23": -3.0})), Match.DIFFERENT),
        (replace(RECORDED, answers=RECORDED.answers[:1]), Match.UNKNOWN),
    ],
)
def test_compare(found: Fingerprint, match: Match) -> None:
    comparison = fingerprints.compare(RECORDED, found)
    assert comparison.match is match
    assert comparison.is_acceptable is (match is not Match.DIFFERENT)
    assert comparison.reason


def test_nothing_recorded_proves_nothing() -> None:
    assert fingerprints.compare(None, RECORDED).match is Match.UNKNOWN


def test_a_fingerprint_survives_writing_and_reading() -> None:
    assert fingerprints.from_text(fingerprints.to_text(RECORDED)) == RECORDED
    assert fingerprints.from_text("") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"server": 1, "answers": [[{}]]}', "3"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput, match="fingerprint"):
        fingerprints.from_text(text)
