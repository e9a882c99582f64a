"""How much a request may send, checked before any route sees it. Streams of answers pass through untouched."""

from __future__ import annotations

from starlette import types

from controlplane.api import problems
from controlplane.core import errors
from controlplane.services import datasets

MAX_BODY_BYTES = 1024 * 1024
UPLOAD_PATH = "/api/v1/datasets/upload"
# The form around a file of the largest size.
MAX_UPLOAD_BODY_BYTES = datasets.MAX_UPLOAD_BYTES + 64 * 1024


class BodyLimit:
    """ASGI middleware."""

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_UPLOAD_BODY_BYTES if scope["path"] == UPLOAD_PATH else MAX_BODY_BYTES
        if _said_length(scope) > limit:
            error = errors.InvalidInput(f"The request is larger than {limit} bytes.", hint="Send less at once.")
            request_id = str(scope.get("state", {}).get("request_id", ""))
            await problems.respond(problems.of(error, request_id).model_copy(update={"status": 413}))(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)


def _said_length(scope: types.Scope) -> int:
    said = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"content-length"), "0")
    return int(said) if said.isdecimal() else 0


def _limited(receive: types.Receive, limit: int) -> types.Receive:
    """A body that says no length, or a wrong one, ends at the limit: the rest is treated as a caller who hung up."""
    seen = 0

    async def limited() -> types.Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= limit else {"type": "http.disconnect"}

    return limited
