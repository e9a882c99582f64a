"""What uvicorn starts: the application on the settings of this process's environment."""

from __future__ import annotations

import logging

import fastapi

from controlplane import plane, settings
from controlplane.api import app as app_module


def app() -> fastapi.FastAPI:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return app_module.create(plane.build(settings.load()))
