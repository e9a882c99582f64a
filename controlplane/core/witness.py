"""The second witness of a load test: what the server itself counted in the test's time. Values and the rule of agreement; it reads nothing.

A server cannot tell whose request it counts: no label names the adapter, and a test that alternates between two slots is counted as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from controlplane.core import latency


class Agreement(StrEnum):
    """What the server's count of requests says of the test's own."""

    AGREES = "agrees"
    CONTAMINATED = "contaminated"  # it counted more than the test sent: somebody else loaded it
    MISSING = "missing"  # it counted fewer than succeeded, or only part of the time: it saw another time, or is another server
    UNKNOWN = "unknown"  # there is no count


@dataclass(frozen=True)
class Quantile:
    """A quantile of a histogram: it lies surely between the edges `low` and `high`; `interpolated` is Prometheus' guess.

    The edges are those of its bucket, or of two where it lies between two requests; `high` is infinite beyond the last bound.
    """

    low: float
    high: float
    interpolated: float


@dataclass(frozen=True)
class Witness:
    """What one source (`prometheus <address>` or `vllm <address>/metrics`) saw between two moments.

    `finished`: requests the server ended, aborted ones included. `quantiles`: `p50_`, `p95_` and `p99_` of `latency_seconds`,
    `ttft_seconds` and `inter_token_seconds`. `values`: everything else by name with its unit (`mean_queue_seconds`,
    `max_running_requests`, `max_kv_cache_share`, `prefix_cache_hit_share`, `gpu_...`), as far as it was there; see `vllm_metrics`.
    `notes`: what to bear in mind, a sentence each.
    """

    source: str
    agreement: Agreement
    finished: float | None
    quantiles: Mapping[str, Quantile]
    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """What a test says of itself, for the witness to confirm.

    `sent`: every request, warm-up included; `succeeded`: those answered in full. `most_in_flight`: how many it ever had open at once, where
    that is bounded (closed loop).
    """

    started_at: datetime
    ended_at: datetime
    sent: int
    succeeded: int
    most_in_flight: int | None = None


@dataclass(frozen=True)
class Count:
    """Requests a server ended. `at_least` where the count was cut; both None where there is none."""

    finished: float | None
    at_least: float | None = None
    most_in_flight: float | None = None


def claim_of(test: latency.LoadTest, most_in_flight: int | None = None) -> Claim:
    """What a test's own samples say: those without an error succeeded, and all were sent but those that say otherwise."""
    sent = sum(sample.error != latency.NOT_SENT for sample in test.samples)
    succeeded = sum(not sample.error for sample in test.samples)
    return Claim(test.started_at, test.ended_at, sent, succeeded, most_in_flight)


def foreign(claim: Claim, one: Witness) -> float | None:
    """Requests the server ended beyond those the test sent. None without a count."""
    return None if one.finished is None else max(0.0, one.finished - claim.sent)


def agreement(claim: Claim, count: Count) -> Agreement:
    """A request of the test that failed may or may not be in the count: refused ones are not, aborted ones are."""
    known = count.finished if count.finished is not None else count.at_least
    if (known is not None and known > claim.sent) or _is_crowded(claim, count):
        return Agreement.CONTAMINATED
    if count.finished is None:
        return Agreement.UNKNOWN if count.at_least is None else Agreement.MISSING
    return Agreement.MISSING if count.finished < claim.succeeded else Agreement.AGREES


def choose(scraped: Witness, read: Witness) -> Witness:
    """The one to believe, with the notes of both: scrapes cover all servers and all the time, but enclose more than the test.

    The server's own counters, read right before and after, are exact for one server: where they agree or show others' requests, that holds.
    """
    is_decisive = read.agreement in (Agreement.AGREES, Agreement.CONTAMINATED) or scraped.agreement is Agreement.UNKNOWN
    if read.agreement is scraped.agreement or not is_decisive:
        return scraped
    said = f"{scraped.source} saw otherwise ({scraped.agreement}); {read.source}, read right before and after the test, is believed."
    return replace(read, values={**scraped.values, **read.values}, notes=(said, *scraped.notes, *read.notes))


def with_note(one: Witness, note: str) -> Witness:
    """The same with something more to bear in mind."""
    return replace(one, notes=(note, *one.notes))


def to_record(one: Witness) -> dict[str, Any]:
    """As it is kept in a file; JSON has no infinity, so an open bound is none."""
    edges = {name: {**asdict(found), "high": found.high if math.isfinite(found.high) else None} for name, found in one.quantiles.items()}
    return {**asdict(one), "agreement": one.agreement.value, "quantiles": edges}


def from_record(record: Mapping[str, Any]) -> Witness:
    """What `to_record` wrote."""
    edges = {
        name: Quantile(found["low"], math.inf if found["high"] is None else found["high"], found["interpolated"])
        for name, found in record["quantiles"].items()
    }
    changed = {"agreement": Agreement(record["agreement"]), "quantiles": edges, "notes": tuple(record["notes"])}
    return Witness(**{field.name: record[field.name] for field in fields(Witness)} | changed)


def _is_crowded(claim: Claim, count: Count) -> bool:
    """More in flight than the test ever had. A request the test gave up may run on for a moment, so failures excuse it."""
    if claim.most_in_flight is None or count.most_in_flight is None or claim.sent > claim.succeeded:
        return False
    return count.most_in_flight > claim.most_in_flight
