"""Models, versions, what their gates found, their files."""

from __future__ import annotations

import fastapi
from fastapi import responses

from controlplane import wire
from controlplane.api import access

router = fastapi.APIRouter(prefix="/models", tags=["models"])


@router.get("")
def all_models(plane: access.Plane) -> list[wire.Model]:
    return plane.models.all()


@router.get("/{name}")
def one(name: str, plane: access.Plane) -> wire.Model:
    return plane.models.model(name)


@router.get("/{name}/versions")
def versions(name: str, plane: access.Plane) -> list[wire.Version]:
    return plane.models.versions(name)


@router.get("/{name}/versions/{number}")
def version(name: str, number: int, plane: access.Plane) -> wire.VersionDetail:
    return plane.models.version(name, number)


@router.get("/{name}/versions/{number}/card", response_class=responses.PlainTextResponse)
def card(name: str, number: int, plane: access.Plane) -> str:
    return plane.models.card(name, number)


@router.get("/{name}/versions/{number}/download")
def download(name: str, number: int, plane: access.Plane) -> responses.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}-v{number}.zip"'}
    return responses.Response(plane.models.download(name, number), media_type="application/zip", headers=headers)


@router.get("/{name}/versions/{number}/evaluation")
def evaluation(name: str, number: int, plane: access.Plane) -> wire.Evaluation:
    return plane.results.evaluation(name, number)


@router.get("/{name}/versions/{number}/performance")
def performance(name: str, number: int, plane: access.Plane) -> wire.Performance:
    return plane.results.performance(name, number)
