"""One prompt, two answers: comparison as it streams, and votes on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from controlplane.wire.body import Body


class Comparison(Body):
    """Ask candidate and live the same question. `dataset_row` draws question and context from the eval set instead."""

    model: str
    question: str
    context: str = ""
    max_tokens: int = Field(default=48, ge=1, le=1024)


class ComparisonEvent(Body):
    """A piece of one side's answer; the last of a side has `is_last` and its measures. `error` ends a side too."""

    side: Literal["candidate", "live"]
    text: str = ""
    is_last: bool = False
    version: int | None = None
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    answer_tokens: int | None = None
    error: str = ""


class JudgeRequest(Body):
    """Judge on demand; `reference` is the right answer when it is known."""

    question: str
    context: str
    reference: str
    answerable: bool = True
    answers: Mapping[str, str]


class JudgeAnswer(Body):
    """`grades` maps a side to (grade, reason)."""

    judge: str
    grades: Mapping[str, tuple[str, str]]


class Vote(Body):
    """Between two answers to a prompt, or to a row of the evaluation `evaluation_run` of `candidate_version` (empty: the one of now).

    `left` is the role whose answer stood left. `withdrawn` takes back the same person's vote on the same row.
    """

    model: str
    prompt: str = ""
    choice: Literal["candidate", "live", "tie", "both-bad", "withdrawn"]
    candidate_version: int | None = None
    live_version: int | None = None
    comment: str = Field(default="", max_length=500)
    row_id: str = ""
    evaluation_run: str = ""
    left: Literal["candidate", "live", ""] = ""


class VoteRecord(Body):
    id: int
    at: datetime
    actor: str
    vote: Vote
