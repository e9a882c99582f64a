"""One question, candidate and live answering side by side as they stream; a judge on demand; people's votes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from controlplane import ports, wire
from controlplane.core import adapters, datasets, errors, lifecycle, preferences, prompts
from controlplane.services import models

Side = Literal["candidate", "live"]


@dataclass(frozen=True)
class Comparer:
    registry: ports.Registry
    replicas: Sequence[ports.Inference]
    judge: ports.Judge
    ledger: ports.Ledger
    now: Callable[[], datetime]

    async def compare(self, request: wire.Comparison) -> AsyncIterator[wire.ComparisonEvent]:
        """Pieces of both answers as they come. A side that cannot answer ends with its error; the other goes on.

        Raises:
            NotFound: no such model.
        """
        aliases = (await asyncio.to_thread(self.registry.model, request.model)).aliases
        versions: dict[Side, int | None] = {"candidate": models.candidate_of(aliases), "live": aliases.get(lifecycle.Alias.LIVE)}
        pieces: asyncio.Queue[wire.ComparisonEvent | None] = asyncio.Queue()
        sides = [asyncio.create_task(self._answer(side, request, version, pieces)) for side, version in versions.items()]
        try:
            left = len(sides)
            while left:
                piece = await pieces.get()
                if piece is None:
                    left -= 1
                else:
                    yield piece
        finally:
            for side in sides:
                side.cancel()

    def grade(self, request: wire.JudgeRequest) -> wire.JudgeAnswer:
        row = datasets.Row("compared", request.question, request.context, request.reference, request.answerable)
        grades = {side: self.judge.grade(row, answer) for side, answer in request.answers.items()}
        return wire.JudgeAnswer(judge=self.judge.name, grades={side: (grade.letter, grade.reason) for side, grade in grades.items()})

    def vote(self, vote: wire.Vote, actor: str) -> wire.VoteRecord:
        """Raises InvalidInput for a withdrawal that names no row: only a vote on a row can be taken back."""
        if vote.choice == preferences.WITHDRAWN and not vote.row_id:
            raise errors.InvalidInput("A vote on a typed prompt cannot be withdrawn.", hint="Name the row of the evaluation (row_id).")
        return shown_vote(
            self.ledger.vote(
                ports.Vote(
                    at=self.now(),
                    actor=actor,
                    model=vote.model,
                    prompt=vote.prompt,
                    candidate_version=vote.candidate_version,
                    live_version=vote.live_version,
                    choice=vote.choice,
                    comment=vote.comment,
                    row_id=vote.row_id,
                    evaluation_run=vote.evaluation_run,
                    left=vote.left,
                )
            )
        )

    def votes(
        self, model: str, version: int | None = None, evaluation_run: str = "", limit: int = ports.MOST_VOTES
    ) -> list[wire.VoteRecord]:
        """Newest first."""
        return [shown_vote(vote) for vote in self.ledger.votes(model, limit, version=version, evaluation_run=evaluation_run)]

    async def _answer(
        self, side: Side, request: wire.Comparison, version: int | None, pieces: asyncio.Queue[wire.ComparisonEvent | None]
    ) -> None:
        slot = adapters.candidate_slot(request.model) if side == "candidate" else adapters.live_slot(request.model)
        messages = prompts.messages(request.question, request.context)
        try:
            async for delta in self.replicas[0].stream(slot, messages, max_tokens=request.max_tokens):
                await pieces.put(_piece(side, version, delta))
        except errors.GatewrightError as error:
            await pieces.put(wire.ComparisonEvent(side=side, version=version, is_last=True, error=str(error)))
        finally:
            await pieces.put(None)


def shown_vote(vote: ports.Vote) -> wire.VoteRecord:
    body = wire.Vote.model_validate(
        {
            "model": vote.model,
            "prompt": vote.prompt,
            "choice": vote.choice,
            "candidate_version": vote.candidate_version,
            "live_version": vote.live_version,
            "comment": vote.comment,
            "row_id": vote.row_id,
            "evaluation_run": vote.evaluation_run,
            "left": vote.left,
        }
    )
    return wire.VoteRecord(id=vote.id, at=vote.at, actor=vote.actor, vote=body)


def _piece(side: Side, version: int | None, delta: ports.Delta) -> wire.ComparisonEvent:
    if delta.answer is None:
        return wire.ComparisonEvent(side=side, version=version, text=delta.text)
    answer = delta.answer
    return wire.ComparisonEvent(
        side=side,
        version=version,
        text=delta.text,
        is_last=True,
        first_token_seconds=answer.first_token_seconds,
        total_seconds=answer.total_seconds,
        answer_tokens=answer.answer_tokens,
    )
