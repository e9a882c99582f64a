"""Promotion, rollback, their plan and their history."""

from __future__ import annotations

from dataclasses import replace

import fastapi

from controlplane import wire
from controlplane.api import access
from controlplane.core import lifecycle
from controlplane.services import models

router = fastapi.APIRouter(tags=["promotions"])


@router.get("/models/{name}/plan")
def plan(name: str, plane: access.Plane, source_alias: str = lifecycle.Alias.PERF_PASSED) -> wire.Plan:
    return plane.planner.plan(name, source_alias)


@router.post("/models/{name}/promotions", status_code=201)
def promote(name: str, body: wire.Promote, plane: access.Plane, caller: access.Caller) -> wire.Promotion:
    return models.shown_promotion(plane.promoter.promote(name, body.source_alias, replace(caller, reason=body.reason)))


@router.post("/models/{name}/rollback", status_code=201)
def rollback(name: str, body: wire.Rollback, plane: access.Plane, caller: access.Caller) -> wire.Promotion:
    return models.shown_promotion(plane.promoter.promote(name, lifecycle.Alias.PREVIOUS, replace(caller, reason=body.reason)))


@router.get("/models/{name}/promotions")
def of_model(name: str, plane: access.Plane, limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Promotion]:
    return [models.shown_promotion(record) for record in plane.outside.ledger.promotions(name, limit)]


@router.get("/promotions")
def recent(plane: access.Plane, model: str = "", limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Promotion]:
    return [models.shown_promotion(record) for record in plane.outside.ledger.promotions(model, limit)]


@router.get("/models/{name}/history")
def history(name: str, plane: access.Plane, limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Event]:
    return [models.shown_event(event) for event in plane.outside.ledger.events(name, limit)]
