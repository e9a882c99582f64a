"""Series for the charts, from Prometheus. It lets no chart ask for a million points; it knows no metric's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane import ports, wire
from controlplane.core import errors

# Prometheus itself refuses more; a chart is a thousand pixels wide.
MAX_POINTS = 11_000


@dataclass(frozen=True)
class Charts:
    metrics: ports.Metrics | None

    def range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> list[wire.Series]:
        """
        Raises:
            InvalidInput: the span is empty or has too many steps.
            NotFound: this installation has no Prometheus.
        """
        start, end = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (start, end))
        seconds = (end - start).total_seconds()
        if seconds <= 0:
            raise errors.InvalidInput("The span ends before it begins.", hint="Give a start before the end.")
        if not step_seconds > 0 or seconds / step_seconds > MAX_POINTS:
            raise errors.InvalidInput(f"More than {MAX_POINTS} points were asked for.", hint="Use a longer step or a shorter span.")
        if self.metrics is None:
            raise errors.NotFound("There is no Prometheus here.", hint="Set GATEWRIGHT_PROMETHEUS_URL to its address.")
        found = self.metrics.range(query, start, end, step_seconds)
        return [wire.Series(labels=series.labels, points=series.points) for series in found]
