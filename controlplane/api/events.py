"""Server-sent events from our values: one event a value, an `error` event with the problem when the source fails midway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import sse_starlette

from controlplane.api import problems
from controlplane.core import errors

KEEP_ALIVE_SECONDS = 10


def respond(source: AsyncIterator[sse_starlette.ServerSentEvent], request_id: str) -> sse_starlette.EventSourceResponse:
    return sse_starlette.EventSourceResponse(_guarded(source, request_id), ping=KEEP_ALIVE_SECONDS)


async def _guarded(source: AsyncIterator[sse_starlette.ServerSentEvent], request_id: str) -> AsyncIterator[sse_starlette.ServerSentEvent]:
    try:
        async for event in source:
            yield event
    except errors.GatewrightError as error:
        yield sse_starlette.ServerSentEvent(problems.of(error, request_id).model_dump_json(), event="error")
