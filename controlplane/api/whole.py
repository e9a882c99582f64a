"""The installation as a whole: overview, outside systems, replicas, metric series."""

from __future__ import annotations

from datetime import datetime

import fastapi

from controlplane import wire
from controlplane.api import access
from controlplane.services import overview

router = fastapi.APIRouter(tags=["overview"])


@router.get("/overview")
def look(plane: access.Plane) -> wire.Overview:
    return plane.overview.look()


@router.get("/systems")
def systems(plane: access.Plane) -> wire.Health:
    return plane.systems()


@router.get("/serving/replicas")
def replicas(plane: access.Plane) -> list[wire.Replica]:
    return [overview.shown_replica(view) for view in plane.server.view()]


@router.get("/metrics/range")
def metrics_range(
    plane: access.Plane, query: str, start: datetime, end: datetime, step_seconds: float = fastapi.Query(15.0, ge=1.0)
) -> list[wire.Series]:
    return plane.charts.range(query, start, end, step_seconds)
