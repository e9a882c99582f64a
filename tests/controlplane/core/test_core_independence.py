"""A judge that would grade itself is found out, whatever its address is called."""

from __future__ import annotations

import pytest

from controlplane.core import independence

TESTED = ("http://127.0.0.1:8100", "http://vllm-1.ml-models:8000")
SLOTS = ("ops-qa-candidate", "ops-qa-live")


@pytest.mark.parametrize(
    ("judge_url", "judge_lists", "is_conflict"),
    [
        ("http://127.0.0.1:8100", (), True),
        ("http://127.0.0.1:8100/v1", (), True),
        ("http://localhost:8100/", (), True),
        ("http://[::1]:8100", (), True),
        ("http://0.0.0.0:8100", (), True),
        ("http://VLLM-1.ml-models:8000/v1", (), True),
        ("http://127.0.0.1:8101", ("big",), False),
        ("http://judge-vllm-service.ml-models:8000", ("big",), False),
        ("http://gateway:80", ("base", "ops-qa-candidate"), True),
        ("http://gateway", ("base", "ops-qa-live"), True),
        ("https://vllm-1.ml-models", ("base",), False),
    ],
)
def test_the_server_under_test_is_no_judge(judge_url: str, judge_lists: tuple[str, ...], is_conflict: bool) -> None:
    assert bool(independence.conflict(judge_url, judge_lists, TESTED, SLOTS)) == is_conflict
