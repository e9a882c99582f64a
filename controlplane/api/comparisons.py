"""Side-by-side answers, judging on demand, votes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import fastapi
import sse_starlette

from controlplane import plane, ports, wire
from controlplane.api import access, events

router = fastapi.APIRouter(tags=["comparisons"])


@router.post("/comparisons")
async def compare(body: wire.Comparison, request: fastapi.Request, plane: access.Plane) -> sse_starlette.EventSourceResponse:
    """Events `piece`, both sides interleaved as they answer."""
    await asyncio.to_thread(plane.outside.registry.model, body.model)  # an unknown model is an error document, not an empty stream
    return events.respond(_pieces(plane, body), request.state.request_id)


@router.post("/comparisons/judge")
def judge(body: wire.JudgeRequest, plane: access.Plane) -> wire.JudgeAnswer:
    return plane.comparer.grade(body)


@router.post("/votes", status_code=201)
def vote(body: wire.Vote, plane: access.Plane, caller: access.Caller) -> wire.VoteRecord:
    return plane.reviewer.vote(body, caller.actor) if body.row_id else plane.comparer.vote(body, caller.actor)


@router.get("/votes")
def votes(
    model: str,
    plane: access.Plane,
    version: int | None = None,
    evaluation_run: str = "",
    limit: Annotated[int, fastapi.Query(ge=1, le=ports.MOST_VOTES)] = ports.MOST_VOTES,
) -> list[wire.VoteRecord]:
    return plane.comparer.votes(model, version, evaluation_run, limit)


@router.get("/votes/export")
def exported(model: str, plane: access.Plane, version: int | None = None) -> list[wire.ExportedVote]:
    """Every vote with the answers it was about, oldest first."""
    return plane.reviewer.exported(model, version)


async def _pieces(plane: plane.Plane, body: wire.Comparison) -> AsyncIterator[sse_starlette.ServerSentEvent]:
    async for piece in plane.comparer.compare(body):
        yield sse_starlette.ServerSentEvent(piece.model_dump_json(), event="piece")
