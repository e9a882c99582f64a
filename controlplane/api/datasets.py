"""Dataset versions: list, preview, upload."""

from __future__ import annotations

from typing import Annotated

import fastapi

from controlplane import wire
from controlplane.api import access
from controlplane.services import datasets

router = fastapi.APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("")
def all_datasets(plane: access.Plane) -> list[wire.Dataset]:
    return plane.datasets.all()


@router.post("/upload", status_code=201)
def upload(
    file: fastapi.UploadFile,
    name: Annotated[str, fastapi.Form()],
    version: Annotated[int, fastapi.Form()],
    split: Annotated[str, fastapi.Form()],
    plane: access.Plane,
) -> wire.Dataset:
    content = file.file.read(datasets.MAX_UPLOAD_BYTES + 1)
    return plane.datasets.upload(name, version, split, file.filename or "upload", content)


@router.get("/{dataset_id}")
def one(dataset_id: str, plane: access.Plane) -> wire.Dataset:
    return plane.datasets.get(dataset_id)


@router.get("/{dataset_id}/preview")
def preview(dataset_id: str, plane: access.Plane, split: str = "eval", limit: int = fastapi.Query(20, ge=1, le=1000)) -> wire.Preview:
    return plane.datasets.preview(dataset_id, split, limit)
