"""Prometheus over its HTTP API: series for the charts. It knows no metric's name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from controlplane import ports
from controlplane.core import errors


class Prometheus:
    """One server. Close it, or let it live as long as the process."""

    def __init__(self, address: str, *, connect_seconds: float = 5, read_seconds: float = 9) -> None:
        self.address = address.rstrip("/")
        self._http = httpx.Client(base_url=self.address, timeout=httpx.Timeout(read_seconds, connect=connect_seconds))

    def close(self) -> None:
        self._http.close()

    def is_healthy(self) -> bool:
        try:
            return self._http.get("/-/healthy").is_success
        except httpx.TransportError:
            return False

    def range(self, query: str, start: datetime, end: datetime, step_seconds: float) -> list[ports.Series]:
        """Values that are not finite are left out: a chart cannot show them and a rule must not use them."""
        span = {"start": start.timestamp(), "end": end.timestamp(), "step": step_seconds}
        return self._ask("/api/v1/query_range", {"query": query, **span})

    def instant(self, query: str, at: datetime) -> list[ports.Series]:
        """One point a series; a scalar is a series without labels."""
        return self._ask("/api/v1/query", {"query": query, "time": at.timestamp()})

    def _ask(self, path: str, form: Mapping[str, object]) -> list[ports.Series]:
        data = self._data(path, form)
        match data["resultType"]:
            case "matrix":
                found = [_series(entry["metric"], entry["values"]) for entry in data["result"]]
            case "vector":
                found = [_series(entry["metric"], [entry["value"]]) for entry in data["result"]]
            case "scalar":
                found = [_series({}, [data["result"]])]
            case kind:
                raise errors.OutsideError("Prometheus", self.address, f"the query gives a {kind}, not series", hint="Change the query.")
        return [series for series in found if series.points]

    def _data(self, path: str, form: Mapping[str, object]) -> Any:
        try:
            response = self._http.post(path, data=dict(form))
            body = response.json()
        except httpx.TransportError as error:
            reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
            raise errors.Unreachable("Prometheus", self.address, reason) from error
        except json.JSONDecodeError as error:
            raise errors.OutsideError("Prometheus", self.address, f"{response.status_code}, and not in JSON") from error
        if body.get("status") != "success":
            raise errors.OutsideError("Prometheus", self.address, str(body.get("error", response.status_code)), hint="Check the query.")
        return body["data"]


def _series(labels: Mapping[str, str], pairs: Sequence[tuple[float, str]]) -> ports.Series:
    points = ((float(time), float(value)) for time, value in pairs)
    return ports.Series(dict(labels), tuple(point for point in points if math.isfinite(point[1])))
