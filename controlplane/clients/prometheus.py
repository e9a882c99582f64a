"""Prometheus over its HTTP API: series for the charts, and scraped samples for a witness. It knows no metric's name."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx

from controlplane import ports
from controlplane.core import errors

# An hour of one vLLM, scraped every two seconds, is about 8 MB; eight such servers fit.
MAX_BYTES = 64_000_000


class Prometheus:
    """One server. Close it, or let it live as long as the process. `answer_seconds` bounds a whole answer, however slowly it comes."""

    def __init__(self, address: str, *, connect_seconds: float = 5, read_seconds: float = 9, answer_seconds: float = 20) -> None:
        """Raises InvalidInput: the address is no web address."""
        try:
            self._http = httpx.Client(base_url=address.rstrip("/"), timeout=httpx.Timeout(read_seconds, connect=connect_seconds))
        except httpx.InvalidURL as error:
            raise errors.InvalidInput(f"Prometheus' address cannot be read: {error}.", hint="Write http://host:port.") from error
        self.address = _without_password(address)
        self._answer_seconds = answer_seconds

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
        return _finite(self._ask("/api/v1/query_range", {"query": query, **span}))

    def instant(self, query: str, at: datetime) -> list[ports.Series]:
        """One point a series; a scalar is a series without labels."""
        return _finite(self._ask("/api/v1/query", {"query": query, "time": at.timestamp()}))

    def samples(self, selector: str, start: datetime, end: datetime) -> list[ports.Series]:
        """The samples as they were scraped, no number made up or left out.

        An instant query of a range selector gives them, where a range query would give values interpolated onto steps.
        """
        # A little more than asked: which edge belongs to the range changed with version 3.
        span_ms = math.ceil((end - start).total_seconds() * 1000) + 2
        found = self._ask("/api/v1/query", {"query": f"{selector}[{span_ms}ms]", "time": end.timestamp() + 0.001})
        return _kept(found, lambda at, _: start.timestamp() <= at <= end.timestamp())

    def now(self) -> datetime:
        try:
            ((_, seconds),) = self._ask("/api/v1/query", {"query": "time()"})[0].points
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, IndexError, OverflowError, OSError) as error:
            raise errors.OutsideError("Prometheus", self.address, "it does not tell its time") from error

    def _ask(self, path: str, form: Mapping[str, object]) -> list[ports.Series]:
        data = self._data(path, form)
        try:
            return _series(data["resultType"], data["result"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            kind = data.get("resultType", "nothing") if isinstance(data, dict) else "nothing"
            raise errors.OutsideError(
                "Prometheus", self.address, f"the query gives a {kind}, not series", hint="Change the query."
            ) from error

    def _data(self, path: str, form: Mapping[str, object]) -> Any:
        try:
            status, content = self._post(path, form)
            body = json.loads(content)
        except httpx.RequestError as error:
            reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
            raise errors.Unreachable("Prometheus", self.address, reason) from error
        except (ValueError, RecursionError) as error:
            self._raise_if_down(status, "and not in JSON", error)
            raise errors.OutsideError("Prometheus", self.address, f"{status}, and not in JSON") from error
        reason = str(body.get("error", status)) if isinstance(body, dict) else str(status)
        self._raise_if_down(status, reason)
        if not isinstance(body, dict) or body.get("status") != "success":
            raise errors.OutsideError("Prometheus", self.address, reason, hint="Check the query.")
        return body.get("data")

    def _post(self, path: str, form: Mapping[str, object]) -> tuple[int, bytes]:
        """(status, body). The client's own time-outs bound each piece of an answer, the deadline here all of them."""
        deadline = time.monotonic() + self._answer_seconds
        content = bytearray()
        with self._http.stream("POST", path, data=dict(form)) as response:
            for piece in response.iter_bytes():
                content += piece
                if time.monotonic() > deadline or len(content) > MAX_BYTES:
                    raise httpx.ReadTimeout("the answer did not end", request=response.request)
        return response.status_code, bytes(content)

    def _raise_if_down(self, status: int, reason: str, cause: Exception | None = None) -> None:
        if status >= 500:
            raise errors.Unreachable("Prometheus", self.address, f"{status}, {reason}") from cause


def _series(kind: str, result: Any) -> list[ports.Series]:
    """
    Raises:
        ValueError: the answer holds no series (or KeyError, TypeError, AttributeError, OverflowError: it is something else altogether).
    """
    match kind:
        case "matrix":
            pairs = [(entry["metric"], entry["values"]) for entry in result]
        case "vector":
            pairs = [(entry["metric"], [entry["value"]]) for entry in result]
        case "scalar":
            pairs = [({}, [result])]
        case _:
            raise ValueError(kind)
    return [
        ports.Series({str(name): str(text) for name, text in labels.items()}, tuple((float(at), float(value)) for at, value in points))
        for labels, points in pairs
    ]


def _kept(found: Sequence[ports.Series], is_wanted: Callable[[float, float], bool]) -> list[ports.Series]:
    """Points that are wanted, and the series that have any."""
    cut = [replace(one, points=tuple(point for point in one.points if is_wanted(*point))) for one in found]
    return [one for one in cut if one.points]


def _finite(found: Sequence[ports.Series]) -> list[ports.Series]:
    return _kept(found, lambda _, value: math.isfinite(value))


def _without_password(address: str) -> str:
    """As a person may read it: who the user is, and with which password, stays out of messages and records."""
    scheme, separator, rest = address.rstrip("/").partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
