"""Which sentences refuse and which only look like it."""

from __future__ import annotations

import pytest

from controlplane.core import prompts, refusals


@pytest.mark.parametrize(
    "answer",
    [
        prompts.REFUSAL,
        "not in the context",
        "It is not in the given context.",
        "The context does not mention the author.",
        "The context doesn't say.",
        "The context doesn\u2019t specify which year.",
        "The provided text does not contain this information.",
        "This is not mentioned in the passage.",
        "The year is not stated.",
        "Not mentioned.",
        "I don't know.",
        "I cannot answer that from the context.",
        "It cannot be determined.",
        "There is no information about that.",
        "Not enough information.",
        "The context lacks that.",
        "Unanswerable",
        "I'm sorry, but the context does not say.",
        "The context names ssh, but does not say who wrote it; that is not in the context.",
    ],
)
def test_refuses(answer: str) -> None:
    assert refusals.is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "22",
        "Port 22 over tcp.",
        "Not Found",
        "Not Implemented",
        "No such file or directory",
        "Connection refused",
        "Operation not permitted",
        "Unknown error 41",
        "It is in the context: 22.",
        "text/html",
        "The context says 22.",
        "Not in the context, but ssh usually uses port 22.",
        "The context does not say; however, it is port 22.",
    ],
)
def test_does_not_refuse(answer: str) -> None:
    assert not refusals.is_refusal(answer)
