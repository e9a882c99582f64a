"""One time series as a metrics server keeps it. A value only; it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One time series: (unix seconds, value) points in time order, and the labels that tell it apart."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def name(self) -> str:
        """The metric's name, empty where a query computed it away."""
        return self.labels.get("__name__", "")
