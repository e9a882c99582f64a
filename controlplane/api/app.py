"""The HTTP application: routes, problem documents, request ids, heartbeats. What it serves is decided in services."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import fastapi
import prometheus_client
from fastapi import responses

from controlplane import plane as plane_module
from controlplane.api import access, comparisons, datasets, jobs, judges, limits, logs, loops, models, problems, promotions, reviews, whole

ROUTERS = (
    *(whole.router, jobs.router, logs.router, models.router, promotions.router),
    *(comparisons.router, reviews.router, judges.router, datasets.router),
)


def create(plane: plane_module.Plane, *, with_loops: bool = True) -> fastapi.FastAPI:
    """The application on a plane; tests leave the heartbeats out and tick by hand."""

    @asynccontextmanager
    async def lifespan(_app: fastapi.FastAPI) -> AsyncIterator[None]:
        if not with_loops:
            yield
            return
        with loops.running(plane) as app.state.beats:
            yield

    app = fastapi.FastAPI(title="Gatewright", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    app.state.plane = plane
    app.state.beats = {}
    problems.install(app)
    app.add_middleware(limits.BodyLimit)
    app.middleware("http")(_with_request_id)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1", dependencies=[fastapi.Depends(access.require_token)])
    app.add_api_route("/health", health, tags=["process"])
    app.add_api_route("/ready", ready, tags=["process"])
    app.add_api_route("/metrics", metrics, tags=["process"], response_class=responses.PlainTextResponse)
    return app


def health() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


def ready(plane: access.Plane) -> dict[str, str]:
    """The database and MLflow answer; a problem document names the one that does not."""
    plane.require_ready()
    return {"status": "ready"}


def metrics(request: fastapi.Request, plane: access.Plane) -> responses.Response:
    """Our own gauges for Prometheus, counted from the database at each scrape."""
    registry = prometheus_client.CollectorRegistry()
    runs = prometheus_client.Gauge(
        "gatewright_runs", "Runs among the newest 1000, by workflow and state.", ["workflow", "state"], registry=registry
    )
    for run in plane.outside.store.list(limit=1000):
        runs.labels(run.workflow, run.state).inc()
    promotions = prometheus_client.Gauge(
        "gatewright_promotions", "Promotions among the newest 1000, by state.", ["state"], registry=registry
    )
    for record in plane.outside.ledger.promotions(limit=1000):
        promotions.labels(record.state).inc()
    beats = prometheus_client.Gauge(
        "gatewright_seconds_since_tick",
        "Since this process last ticked well; absent while another holds the lease.",
        ["loop"],
        registry=registry,
    )
    for loop, at in dict(request.app.state.beats).items():
        beats.labels(loop).set((plane.now() - at).total_seconds())
    return responses.Response(prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST)


async def _with_request_id(request: fastapi.Request, call: Callable[[fastapi.Request], Awaitable[fastapi.Response]]) -> fastapi.Response:
    request.state.request_id = secrets.token_hex(6)
    response = await call(request)
    response.headers["X-Request-Id"] = request.state.request_id
    return response
