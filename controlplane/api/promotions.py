"""Promotion, rollback, their plan and their history."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import fastapi

from controlplane import wire
from controlplane.api import access
from controlplane.core import history, lifecycle
from controlplane.services import models, overview

router = fastapi.APIRouter(tags=["promotions"])


@router.get("/models/{name}/plan")
def plan(name: str, plane: access.Plane, source_alias: str = lifecycle.Alias.PERF_PASSED) -> wire.Plan:
    return plane.planner.plan(name, source_alias)


@router.post("/models/{name}/promotions", status_code=201)
def promote(name: str, body: wire.Promote, plane: access.Plane, caller: access.Caller) -> wire.Promotion:
    reasoned = replace(caller, reason=body.reason)
    record = plane.promoter.promote(name, body.source_alias, reasoned, is_policy_overridden=body.override, expected_live=body.expected_live)
    return models.shown_promotion(record)


@router.get("/models/{name}/drift")
def drift(name: str, plane: access.Plane) -> list[wire.AliasDrift]:
    """Aliases that were moved outside Gatewright."""
    return [overview.shown_drift(name, one) for one in plane.promoter.drift(name)]


@router.post("/models/{name}/drift", status_code=201)
def settle(name: str, body: wire.Settle, plane: access.Plane, caller: access.Caller) -> list[wire.AliasDrift]:
    """What is left of the drift: nothing."""
    reasoned = replace(caller, reason=body.reason)
    if body.action == "adopt":
        plane.promoter.adopt(name, reasoned)
    else:
        plane.promoter.revert(name, reasoned)
    return drift(name, plane)


@router.delete("/models/{name}/versions/{number}", status_code=204)
def remove(name: str, number: int, plane: access.Plane, caller: access.Caller, reason: str = "") -> None:
    plane.models.remove(name, number, replace(caller, reason=reason))


@router.post("/models/{name}/versions/{number}/archive")
def archive(name: str, number: int, body: wire.Reasoned, plane: access.Plane, caller: access.Caller) -> wire.Version:
    return plane.models.archive(name, number, replace(caller, reason=body.reason))


@router.post("/models/{name}/versions/{number}/restore")
def restore(name: str, number: int, body: wire.Reasoned, plane: access.Plane, caller: access.Caller) -> wire.Version:
    return plane.models.restore(name, number, replace(caller, reason=body.reason))


@router.get("/models/{name}/live")
def live(name: str, plane: access.Plane, at: datetime | None = None) -> wire.Event | None:
    """The ledger's entry that made live what was live at this moment (now when none is given); null when nothing was."""
    found = plane.outside.ledger.latest(name, history.LIVE_ACTIONS, at or plane.now())
    return models.shown_event(found[0]) if found else None


@router.get("/audit")
def audit(plane: access.Plane) -> wire.Audit:
    return plane.auditor.verify()


@router.post("/models/{name}/rollback", status_code=201)
def rollback(name: str, body: wire.Rollback, plane: access.Plane, caller: access.Caller) -> wire.Promotion:
    reasoned = replace(caller, reason=body.reason)
    return models.shown_promotion(plane.promoter.promote(name, lifecycle.Alias.PREVIOUS, reasoned, expected_live=body.expected_live))


@router.get("/models/{name}/promotions")
def of_model(name: str, plane: access.Plane, limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Promotion]:
    return [models.shown_promotion(record) for record in plane.outside.ledger.promotions(name, limit)]


@router.get("/promotions")
def recent(plane: access.Plane, model: str = "", limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Promotion]:
    return [models.shown_promotion(record) for record in plane.outside.ledger.promotions(model, limit)]


@router.get("/models/{name}/history")
def of_ledger(name: str, plane: access.Plane, limit: int = fastapi.Query(100, ge=1, le=1000)) -> list[wire.Event]:
    return [models.shown_event(event) for event in plane.outside.ledger.events(name, limit)]
