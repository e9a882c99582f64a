"""Our errors as RFC 9457 problem documents. An unexpected error is logged with the request's id and shown without its trace."""

from __future__ import annotations

import logging

import fastapi
from fastapi import exceptions, responses
from starlette import exceptions as starlette_exceptions

from controlplane import wire
from controlplane.core import errors

logger = logging.getLogger(__name__)

STATUS: dict[type[errors.GatewrightError], tuple[int, str]] = {
    errors.InvalidInput: (422, "invalid-input"),
    errors.NotFound: (404, "not-found"),
    errors.Refused: (409, "refused"),
    errors.Conflict: (409, "conflict"),
    errors.Unreachable: (503, "unreachable"),
    errors.OutsideError: (502, "outside-error"),
    errors.NoSpace: (507, "no-space"),
}


def of(error: errors.GatewrightError, request_id: str) -> wire.Problem:
    status, slug = STATUS.get(type(error), (500, "error"))
    return wire.Problem(
        type=f"urn:gatewright:{slug}",
        title=error.title,
        status=status,
        detail=error.detail,
        hint=error.hint,
        request_id=request_id,
        system=getattr(error, "system", ""),
        address=getattr(error, "address", ""),
    )


def install(app: fastapi.FastAPI) -> None:
    """Every way a request can fail ends in a problem document."""

    @app.exception_handler(errors.GatewrightError)
    def ours(request: fastapi.Request, error: errors.GatewrightError) -> responses.JSONResponse:
        return respond(of(error, _id(request)))

    @app.exception_handler(exceptions.RequestValidationError)
    def invalid(request: fastapi.Request, error: exceptions.RequestValidationError) -> responses.JSONResponse:
        faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
        return respond(of(errors.InvalidInput(faults, hint="See /docs for what this address takes."), _id(request)))

    @app.exception_handler(starlette_exceptions.HTTPException)
    def http(request: fastapi.Request, error: starlette_exceptions.HTTPException) -> responses.JSONResponse:
        slug = {401: "unauthorized", 404: "not-found"}.get(error.status_code, "http-error")
        hint = (
            "Send the token of GATEWRIGHT_API_TOKEN as a bearer token."
            if error.status_code == 401
            else "See /docs for the addresses there are."
        )
        problem = wire.Problem(
            type=f"urn:gatewright:{slug}",
            title=str(error.detail),
            status=error.status_code,
            detail=f"{request.method} {request.url.path}: {error.detail}.",
            hint=hint,
            request_id=_id(request),
        )
        return respond(problem)

    @app.exception_handler(Exception)
    def unexpected(request: fastapi.Request, error: Exception) -> responses.JSONResponse:
        logger.error("request %s failed", _id(request), exc_info=error)
        hint = f"Look for request {_id(request)} in the API's log."
        return respond(of(errors.GatewrightError("Something unexpected went wrong.", hint=hint), _id(request)))


def respond(problem: wire.Problem) -> responses.JSONResponse:
    headers = {"X-Request-Id": problem.request_id}
    return responses.JSONResponse(problem.model_dump(), status_code=problem.status, media_type="application/problem+json", headers=headers)


def _id(request: fastapi.Request) -> str:
    return str(getattr(request.state, "request_id", ""))
