"""`gatewright compare`: both answers as they stream, and what went wrong with a side."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_api import Terminal

from controlplane import wire
from controlplane.cli import compare


def pieces(**end_of_live: Any) -> list[wire.ComparisonEvent]:
    return [
        wire.ComparisonEvent(side="candidate", text="port "),
        wire.ComparisonEvent(side="live", text="23"),
        wire.ComparisonEvent(side="candidate", text="22"),
        wire.ComparisonEvent(side="candidate", is_last=True, version=2, first_token_seconds=0.25, total_seconds=0.5, answer_tokens=3),
        wire.ComparisonEvent(side="live", is_last=True, version=1, **end_of_live),
    ]


def test_compare_shows_both_answers_with_their_measures(gatewright: Terminal) -> None:
    gatewright.api.pieces = pieces()
    result = gatewright("compare", "ops-qa", "--prompt", "Which port?", "--context", "ssh 22")
    assert result.exit_code == 0
    assert "candidate (v2, first token 0.25 s, 3 tokens in 0.50 s (6.0 tokens/s)): port 22" in result.stdout
    assert "live (v1): 23" in result.stdout
    assert gatewright.api.calls[0][1].context == "ssh 22"


@pytest.mark.parametrize(
    ("given", "said"), [(pieces(error="vLLM is gone"), "live: vLLM is gone"), (pieces()[:4], "live: no answer came.")], ids=["error", "cut"]
)
def test_compare_fails_when_a_side_does(gatewright: Terminal, given: list[wire.ComparisonEvent], said: str) -> None:
    gatewright.api.pieces = given
    result = gatewright("compare", "ops-qa", "--prompt", "Which port?", "--json")
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stdout.splitlines()) == len(given)


def test_measures_are_silent_before_the_end() -> None:
    assert compare.measures(compare.Side("text")) == ""
