"""The state of outside systems, their metrics, and problems."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from controlplane.wire.body import Body


class System(Body):
    """One outside system; `hint` says how to mend it when it is not well."""

    name: str
    address: str
    is_well: bool
    latency_seconds: float | None = None
    version: str = ""
    detail: str = ""
    hint: str = ""


class Health(Body):
    is_well: bool
    version: str
    profile: str
    executor: str
    systems: tuple[System, ...]


class Series(Body):
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Problem(BaseModel):
    """RFC 9457 problem document. `system` and `address` name the outside system that is at fault, where one is."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""
    request_id: str = ""
    system: str = ""
    address: str = ""
