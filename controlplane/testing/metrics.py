"""A Prometheus in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from controlplane import ports
from controlplane.core import errors
from controlplane.testing.basics import EPOCH, raise_fault


@dataclass
class FakeMetrics:
    """Series by query text; an unknown query has none, one in `refused` is an error. `clock` is its `now`."""

    address: str = "http://prometheus.test:9090"
    fault: errors.GatewrightError | None = None
    series: dict[str, list[ports.Series]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    clock: datetime = EPOCH

    def is_healthy(self) -> bool:
        return self.fault is None

    def samples(self, selector: str, start: datetime, end: datetime) -> list[ports.Series]:
        return self.range(selector, start, end, 0)

    def now(self) -> datetime:
        raise_fault(self.fault)
        return self.clock

    def range(
        self,
        query: str,
        start: datetime,
        end: datetime,
        step_seconds: float,  # noqa: ARG002 - the port's signature
    ) -> list[ports.Series]:
        raise_fault(self.fault)
        if query in self.refused:
            raise errors.OutsideError("Prometheus", self.address, f"cannot read {query!r}")
        return [
            replace(one, points=points)
            for one in self.series.get(query, [])
            if (points := tuple(point for point in one.points if start.timestamp() <= point[0] <= end.timestamp()))
        ]

    def instant(self, query: str, at: datetime) -> list[ports.Series]:
        found = self.range(query, datetime.fromtimestamp(0, UTC), at, 0)
        return [replace(one, points=one.points[-1:]) for one in found]
