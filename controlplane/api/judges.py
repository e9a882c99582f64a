"""How far each judge can be trusted."""

from __future__ import annotations

import fastapi

from controlplane import wire
from controlplane.api import access

router = fastapi.APIRouter(prefix="/judge", tags=["judge"])


@router.get("/calibrations")
def calibrations(plane: access.Plane) -> list[wire.Calibration]:
    return plane.calibrations.newest()
