"""A ledger and journal in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from controlplane import ports
from controlplane.core import chain, errors, journal
from controlplane.testing.basics import raise_fault


@dataclass
class FakeLedger:
    """Events, promotions, votes and grades in lists; one running promotion a model."""

    fault: errors.GatewrightError | None = None
    _events: list[ports.Event] = field(default_factory=list)
    _promotions: dict[str, ports.PromotionRecord] = field(default_factory=dict)
    _votes: list[ports.Vote] = field(default_factory=list)
    _corrections: list[ports.GradeCorrection] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, event: ports.Event) -> ports.Event:
        raise_fault(self.fault)
        with self._lock:
            return self._append(event)

    def events(self, model: str = "", limit: int = 100) -> list[ports.Event]:
        raise_fault(self.fault)
        return [event for event in reversed(self._events) if model in ("", event.model)][:limit]

    def latest(self, model: str, actions: Collection[str], until: datetime | None = None) -> list[ports.Event]:
        raise_fault(self.fault)
        found = [event for event in reversed(self._events) if event.model == model and event.action in actions]
        return [event for event in found if until is None or event.at <= until][:1]

    def chain(self) -> Iterator[ports.Event]:
        raise_fault(self.fault)
        yield from self._events

    def open_promotion(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        raise_fault(self.fault)
        with self._lock:
            for other in self._promotions.values():
                if other.model == record.model and other.state == "running":
                    raise journal.taken(other.model, other.version, other.actor, other.started_at, None)
            self._promotions[record.id] = record
        return record

    def save_promotion(self, record: ports.PromotionRecord) -> None:
        raise_fault(self.fault)
        self._running(record, ())
        self._promotions[record.id] = record

    def close_promotion(self, record: ports.PromotionRecord, event: ports.Event | None = None) -> None:
        raise_fault(self.fault)
        if not record.state.is_final:
            raise errors.InvalidInput(f"Promotion {record.id} is still running.")
        with self._lock:
            stored = self._running(record, (record.state,))
            if event is not None and not stored.state.is_final:
                self._append(event)
            self._promotions[record.id] = record

    def promotions(self, model: str = "", limit: int = 100) -> list[ports.PromotionRecord]:
        raise_fault(self.fault)
        found = [record for record in self._promotions.values() if model in ("", record.model)]
        return sorted(found, key=lambda record: record.started_at, reverse=True)[:limit]

    def vote(self, vote: ports.Vote) -> ports.Vote:
        raise_fault(self.fault)
        with self._lock:
            self._votes.append(replace(vote, id=len(self._votes) + 1))
            return self._votes[-1]

    def votes(self, model: str, limit: int = ports.MOST_VOTES, *, version: int | None = None, evaluation_run: str = "") -> list[ports.Vote]:
        raise_fault(self.fault)
        found = [vote for vote in reversed(self._votes) if vote.model == model and version in (None, vote.candidate_version)]
        return [vote for vote in found if evaluation_run in ("", vote.evaluation_run)][:limit]

    def correct(self, correction: ports.GradeCorrection) -> ports.GradeCorrection:
        raise_fault(self.fault)
        with self._lock:
            self._corrections.append(replace(correction, id=len(self._corrections) + 1))
            return self._corrections[-1]

    def corrections(self, model: str, version: int, evaluation_run: str = "") -> list[ports.GradeCorrection]:
        raise_fault(self.fault)
        mine = [one for one in self._corrections if (one.model, one.version) == (model, version)]
        return [one for one in mine if evaluation_run in ("", one.evaluation_run)]

    def _append(self, event: ports.Event) -> ports.Event:
        previous = self._events[-1].hash if self._events else chain.GENESIS
        linked = replace(event, id=len(self._events) + 1, previous_hash=previous, hash=chain.entry_hash(previous, event.entry()))
        self._events.append(linked)
        return linked

    def _running(self, record: ports.PromotionRecord, final: tuple[str, ...]) -> ports.PromotionRecord:
        stored = self._promotions.get(record.id)
        if stored is None:
            raise errors.NotFound(f"There is no promotion {record.id!r}.")
        if stored.state not in ("running", *final):
            raise errors.Conflict(f"Promotion {record.id} has ended as {stored.state} already.")
        return stored
