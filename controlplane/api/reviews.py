"""What people say about one version's evaluation: their grades, what votes and grades add up to, golden rows."""

from __future__ import annotations

import fastapi

from controlplane import wire
from controlplane.api import access

router = fastapi.APIRouter(prefix="/models/{name}/versions/{number}", tags=["reviews"])


@router.get("/review")
def review(name: str, number: int, plane: access.Plane) -> wire.Review:
    return plane.reviewer.review(name, number)


@router.get("/grades")
def grades(name: str, number: int, plane: access.Plane) -> list[wire.GradeRecord]:
    return plane.reviewer.grades(name, number)


@router.post("/grades", status_code=201)
def grade(name: str, number: int, body: wire.GradeCorrection, plane: access.Plane, caller: access.Caller) -> wire.GradeRecord:
    return plane.reviewer.grade(name, number, body, caller.actor)


@router.get("/golden")
def golden(name: str, number: int, plane: access.Plane) -> list[wire.GoldenRow]:
    return plane.reviewer.golden(name, number)
