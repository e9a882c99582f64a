"""Who may call and who is calling: the bearer token, the caller's name, the plane of this application. No route lives here."""

from __future__ import annotations

import re
import secrets
from typing import Annotated
from urllib.parse import unquote

import fastapi

from controlplane import plane
from controlplane.services import promote

NAME = re.compile(r"^[\w.@ -]{1,64}$")
INTERFACES = ("console", "cli", "api")


def require_token(request: fastapi.Request) -> None:
    """Compares in constant time. Without a configured token everyone who reaches the loopback address may call."""
    wanted = _plane(request).settings.api_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if wanted and not secrets.compare_digest(given.encode(), wanted.encode()):
        raise fastapi.HTTPException(401, "Token missing or wrong", headers={"WWW-Authenticate": "Bearer"})


def _plane(request: fastapi.Request) -> plane.Plane:
    found: plane.Plane = request.app.state.plane
    return found


def _caller(request: fastapi.Request) -> promote.Caller:
    actor = unquote(request.headers.get("x-gatewright-actor", ""))  # headers carry ASCII; people's names do not
    interface = request.headers.get("x-gatewright-interface", "")
    return promote.Caller(actor if NAME.fullmatch(actor) else "anonymous", interface if interface in INTERFACES else "api", "")


Plane = Annotated[plane.Plane, fastapi.Depends(_plane)]
Caller = Annotated[promote.Caller, fastapi.Depends(_caller)]
