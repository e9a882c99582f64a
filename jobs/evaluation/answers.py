"""The rows that inference hands to the judge: each eval row with one role's answer. Format only."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.core import datasets


@dataclass(frozen=True)
class Answered:
    """`error` says why there is no answer; empty when there is one."""

    id: str
    role: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    latency_seconds: float | None
    first_token_seconds: float | None
    tokens: int
    finish_reason: str
    error: str = ""

    @property
    def row(self) -> datasets.Row:
        return datasets.Row(self.id, self.question, self.context, self.reference, self.answerable)
