"""Side-by-side answers, judging on demand, votes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import fastapi
import sse_starlette

from controlplane import plane, wire
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
    return plane.comparer.vote(body, caller.actor)


@router.get("/votes")
def votes(model: str, plane: access.Plane) -> list[wire.VoteRecord]:
    return plane.comparer.votes(model)


async def _pieces(plane: plane.Plane, body: wire.Comparison) -> AsyncIterator[sse_starlette.ServerSentEvent]:
    async for piece in plane.comparer.compare(body):
        yield sse_starlette.ServerSentEvent(piece.model_dump_json(), event="piece")
