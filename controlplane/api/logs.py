"""A run's log: all of it at once, or as it is written, resumable at any line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import fastapi
import sse_starlette

from controlplane import plane, wire
from controlplane.api import access, events
from controlplane.core import runs

router = fastapi.APIRouter(tags=["logs"])

POLL_SECONDS = 0.5


@router.get("/logs/history/{run_id}")
def history(run_id: str, plane: access.Plane, after: str = "") -> list[wire.LogLine]:
    return plane.watcher.logs(run_id, after)


@router.get("/logs/stream/{run_id}")
async def stream(
    run_id: str, request: fastapi.Request, plane: access.Plane, last_event_id: Annotated[str, fastapi.Header()] = ""
) -> sse_starlette.EventSourceResponse:
    """Events `line` with the line's id; the stream ends with an event `end` when the run does."""
    await asyncio.to_thread(plane.watcher.logs, run_id, last_event_id)  # a wrong id is an error document, not an empty stream
    return events.respond(_lines(plane, run_id, last_event_id), request.state.request_id)


async def _lines(plane: plane.Plane, run_id: str, after: str) -> AsyncIterator[sse_starlette.ServerSentEvent]:
    while True:
        # The state is read before the log, so that the last lines of a run that ends in between are still sent.
        state = runs.State((await asyncio.to_thread(plane.outside.store.get, runs.RunId(run_id))).state)
        for line in await asyncio.to_thread(plane.watcher.logs, run_id, after):
            after = line.id
            yield sse_starlette.ServerSentEvent(line.model_dump_json(), event="line", id=line.id)
        if state.is_final:
            yield sse_starlette.ServerSentEvent(state, event="end")
            return
        await asyncio.sleep(POLL_SECONDS)
