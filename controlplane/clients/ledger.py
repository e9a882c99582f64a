"""The append-only ledger of events, the journal of promotions, people's votes and grades in the SQL database. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
import sqlmodel
from sqlalchemy import exc
from sqlmodel import col
from sqlmodel.sql import expression

from controlplane import ports
from controlplane.clients import database, tables
from controlplane.core import chain, errors, journal

# Two processes that append at once both follow the same entry; the later one is refused and follows the earlier instead.
APPEND_ATTEMPTS = 10
CHAIN_PAGE = 1000

_Row = TypeVar("_Row", tables.EventRow, tables.PromotionRow, tables.VoteRow)
_T = TypeVar("_T")


class SqlLedger:
    """Implements `ports.Ledger`. Each call is one transaction, so a crash leaves it done or not begun."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def append(self, event: ports.Event) -> ports.Event:
        return self._with_entry(lambda session: _append(session, event))

    def events(self, model: str = "", limit: int = 100) -> list[ports.Event]:
        newest = sqlmodel.select(tables.EventRow).order_by(col(tables.EventRow.id).desc())
        return [ports.Event(**row.model_dump()) for row in self._rows(tables.EventRow, newest, model, limit)]

    def latest(self, model: str, actions: Collection[str], until: datetime | None = None) -> list[ports.Event]:
        newest = sqlmodel.select(tables.EventRow).where(col(tables.EventRow.action).in_(actions)).order_by(col(tables.EventRow.id).desc())
        if until is not None:
            newest = newest.where(col(tables.EventRow.at) <= until)
        return [ports.Event(**row.model_dump()) for row in self._rows(tables.EventRow, newest, model, 1)]

    def chain(self) -> Iterator[ports.Event]:
        last = 0
        while True:
            page = (
                sqlmodel.select(tables.EventRow).where(col(tables.EventRow.id) > last).order_by(col(tables.EventRow.id)).limit(CHAIN_PAGE)
            )
            with database.reading(self._engine) as session:
                rows = [ports.Event(**row.model_dump()) for row in session.exec(page)]
            yield from rows
            if len(rows) < CHAIN_PAGE:
                return
            last = rows[-1].id

    def open_promotion(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        """Raises Conflict, naming the holder and since when, while one is running for this model."""
        try:
            with database.writing(self._engine) as session:
                session.add(_promotion_row(record))
        except errors.Conflict as error:
            raise self._conflict(record) from error
        return record

    def save_promotion(self, record: ports.PromotionRecord) -> None:
        """Raises NotFound when there is no such promotion, Conflict when it has ended."""
        with database.writing(self._engine) as session:
            _stored(session, record, ())
            session.merge(_promotion_row(record))

    def close_promotion(self, record: ports.PromotionRecord, event: ports.Event | None = None) -> None:
        """Records the end and the ledger's entry about it; repeating it does no harm.

        Raises:
            InvalidInput: the record does not say how it ended.
            NotFound: there is no such promotion.
            Conflict: it has ended otherwise.
        """
        if not record.state.is_final:
            raise errors.InvalidInput(f"Promotion {record.id} is still running.", hint="Say how it ended: done, degraded or failed.")

        def close(session: sqlmodel.Session) -> None:
            stored = _stored(session, record, (record.state,))
            if event is not None and stored.state == journal.State.RUNNING:
                _append(session, event)
            session.merge(_promotion_row(record))

        self._with_entry(close)

    def promotions(self, model: str = "", limit: int = 100) -> list[ports.PromotionRecord]:
        newest = sqlmodel.select(tables.PromotionRow).order_by(
            col(tables.PromotionRow.started_at).desc(), col(tables.PromotionRow.id).desc()
        )
        return [_promotion(row) for row in self._rows(tables.PromotionRow, newest, model, limit)]

    def vote(self, vote: ports.Vote) -> ports.Vote:
        row = tables.VoteRow(**{**asdict(vote), "id": None})
        with database.writing(self._engine) as session:
            session.add(row)
        return replace(vote, id=row.id or 0)

    def votes(self, model: str, limit: int = ports.MOST_VOTES, *, version: int | None = None, evaluation_run: str = "") -> list[ports.Vote]:
        newest = sqlmodel.select(tables.VoteRow).where(tables.VoteRow.model == model).order_by(col(tables.VoteRow.id).desc())
        if version is not None:
            newest = newest.where(tables.VoteRow.candidate_version == version)
        if evaluation_run:
            newest = newest.where(tables.VoteRow.evaluation_run == evaluation_run)
        return [ports.Vote(**row.model_dump()) for row in self._rows(tables.VoteRow, newest, "", limit)]

    def correct(self, correction: ports.GradeCorrection) -> ports.GradeCorrection:
        row = tables.GradeCorrectionRow(**{**asdict(correction), "id": None})
        with database.writing(self._engine) as session:
            session.add(row)
        return replace(correction, id=row.id or 0)

    def corrections(self, model: str, version: int, evaluation_run: str = "") -> list[ports.GradeCorrection]:
        kept = tables.GradeCorrectionRow
        query = sqlmodel.select(kept).where(kept.model == model, kept.version == version).order_by(col(kept.id))
        if evaluation_run:
            query = query.where(kept.evaluation_run == evaluation_run)
        with database.reading(self._engine) as session:
            return [ports.GradeCorrection(**row.model_dump()) for row in session.exec(query)]

    def _with_entry(self, write: Callable[[sqlmodel.Session], _T]) -> _T:
        """One transaction that appends to the chain; it is repeated when another process appended first."""
        for _ in range(APPEND_ATTEMPTS - 1):
            try:
                with database.writing(self._engine) as session:
                    return write(session)
            except EntryTaken:
                continue
        with database.writing(self._engine) as session:
            return write(session)

    def _rows(self, table: type[_Row], newest: expression.SelectOfScalar[_Row], model: str, limit: int) -> list[_Row]:
        query = newest.where(col(table.model) == model) if model else newest
        with database.reading(self._engine) as session:
            return list(session.exec(query.limit(limit)).all())

    def _conflict(self, record: ports.PromotionRecord) -> errors.Conflict:
        for other in self.promotions(record.model):
            if other.state == journal.State.RUNNING:
                return journal.taken(other.model, other.version, other.actor, other.started_at, None)
        return errors.Conflict(f"Promotion {record.id} is recorded already.", hint="Read it, and open a new one if need be.")


class EntryTaken(errors.Conflict):
    """Another process appended an entry after the one this transaction wanted to follow."""


def _append(session: sqlmodel.Session, event: ports.Event) -> ports.Event:
    last = session.exec(sqlmodel.select(tables.EventRow.hash).order_by(col(tables.EventRow.id).desc()).limit(1)).first()
    previous = last or chain.GENESIS
    linked = replace(event, previous_hash=previous, hash=chain.entry_hash(previous, event.entry()))
    row = tables.EventRow(**{**asdict(linked), "details": dict(event.details), "id": None})
    session.add(row)
    try:
        session.flush()
    except exc.IntegrityError as error:
        raise EntryTaken("Another entry was appended at the same moment.", hint="Try again.") from error
    return replace(linked, id=row.id or 0)


def _stored(session: sqlmodel.Session, record: ports.PromotionRecord, final: tuple[str, ...]) -> tables.PromotionRow:
    """The promotion as it is kept: running, or ended in one of the states `final`."""
    stored = session.get(tables.PromotionRow, record.id, with_for_update=True)
    if stored is None:
        raise errors.NotFound(f"There is no promotion {record.id!r}.", hint="Open it first.")
    if stored.state not in (journal.State.RUNNING, *final):
        raise errors.Conflict(f"Promotion {record.id} has ended as {stored.state} already.", hint="Read it again.")
    return stored


def _promotion_row(record: ports.PromotionRecord) -> tables.PromotionRow:
    return tables.PromotionRow(**{**asdict(record), "replicas": [_replica_row(replica) for replica in record.replicas]})


def _promotion(row: tables.PromotionRow) -> ports.PromotionRecord:
    kept = {**row.model_dump(), "replicas": tuple(_replica(replica) for replica in row.replicas)}
    return ports.PromotionRecord(**{**kept, "state": journal.State(row.state), "phase": journal.Phase(row.phase)})


def _replica_row(replica: ports.ReplicaProof) -> dict[str, Any]:
    at = replica.verified_at
    return {**asdict(replica), "verified_at": at.isoformat() if at else None}


def _replica(row: Mapping[str, Any]) -> ports.ReplicaProof:
    at = row["verified_at"]
    state = journal.ReplicaState(row["state"])
    return ports.ReplicaProof(**{**row, "state": state, "verified_at": datetime.fromisoformat(at) if at else None})
