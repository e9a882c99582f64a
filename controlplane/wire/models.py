"""Registered models and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from controlplane.wire.body import Body
from controlplane.wire.promotions import Promotion


class Version(Body):
    """`stage` is the furthest place on the track.

    One of archived, registered, candidate, staged, eval-passed, eval-failed, perf-passed, perf-failed, live, previous.
    """

    model: str
    number: int
    run_id: str
    created_at: datetime
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    digest: str
    stage: str
    is_protected: bool = False
    is_archived: bool = False
    metrics: Mapping[str, float] = Field(default_factory=dict)


class Model(Body):
    name: str
    aliases: Mapping[str, int]
    created_at: datetime
    live: int | None = None
    candidate: int | None = None
    latest_version: int | None = None


class File(Body):
    path: str
    size_bytes: int


class VersionDetail(Body):
    """`curves` maps a metric to its (step, value) points of the training run."""

    version: Version
    parameters: Mapping[str, str]
    files: tuple[File, ...]
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    promotions: tuple[Promotion, ...] = ()
