"""What the replicas serve, and the overview of it."""

from __future__ import annotations

from controlplane.wire.body import Body
from controlplane.wire.models import Version
from controlplane.wire.promotions import Event
from controlplane.wire.runs import Run


class SlotState(Body):
    """`state`: agrees (serves the wanted version), drift (another or none), idle (nothing is wanted and nothing served)."""

    name: str
    model: str
    alias: str
    wanted_version: int | None
    wanted_root: str
    served_root: str
    state: str


class Replica(Body):
    address: str
    is_healthy: bool
    detail: str = ""
    served: tuple[str, ...] = ()
    slots: tuple[SlotState, ...] = ()


class OverviewModel(Body):
    """`headline` answers in words what is live and what waits."""

    name: str
    live: Version | None
    previous: Version | None
    candidate: Version | None
    headline: str
    next_step: str


class Overview(Body):
    headline: str
    models: tuple[OverviewModel, ...]
    replicas: tuple[Replica, ...]
    active_runs: tuple[Run, ...]
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()
