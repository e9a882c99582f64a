"""The append-only ledger of events, the journal of promotions and people's votes in the SQL database. It records; it decides nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TypeVar

import sqlalchemy as sa
import sqlmodel
from sqlmodel import col
from sqlmodel.sql import expression

from controlplane import ports
from controlplane.clients import database, tables
from controlplane.core import errors

RUNNING = "running"

_Row = TypeVar("_Row", tables.EventRow, tables.PromotionRow, tables.VoteRow)


class SqlLedger:
    """Implements `ports.Ledger`. Each call is one transaction, so a crash leaves it done or not begun."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def append(self, event: ports.Event) -> ports.Event:
        row = tables.EventRow(**{**asdict(event), "details": dict(event.details), "id": None})
        with database.writing(self._engine) as session:
            session.add(row)
        return replace(event, id=row.id or 0)

    def events(self, model: str = "", limit: int = 100) -> list[ports.Event]:
        newest = sqlmodel.select(tables.EventRow).order_by(col(tables.EventRow.id).desc())
        return [ports.Event(**row.model_dump()) for row in self._rows(tables.EventRow, newest, model, limit)]

    def open_promotion(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        """Raises Conflict, naming the holder and since when, while one is running for this model."""
        try:
            with database.writing(self._engine) as session:
                session.add(_promotion_row(record))
        except errors.Conflict as error:
            raise self._conflict(record) from error
        return record

    def close_promotion(self, record: ports.PromotionRecord) -> None:
        """Records the end; repeating it does no harm.

        Raises:
            InvalidInput: the record does not say how it ended.
            NotFound: there is no such promotion.
            Conflict: it has ended otherwise.
        """
        if record.state == RUNNING:
            raise errors.InvalidInput(f"Promotion {record.id} is still running.", hint="Say how it ended: done or failed.")
        with database.writing(self._engine) as session:
            stored = session.get(tables.PromotionRow, record.id, with_for_update=True)
            if stored is None:
                raise errors.NotFound(f"There is no promotion {record.id!r}.", hint="Open it first.")
            if stored.state not in (RUNNING, record.state):
                raise errors.Conflict(f"Promotion {record.id} has ended as {stored.state} already.", hint="Read it again.")
            session.merge(_promotion_row(record))

    def promotions(self, model: str = "", limit: int = 100) -> list[ports.PromotionRecord]:
        newest = sqlmodel.select(tables.PromotionRow).order_by(
            col(tables.PromotionRow.started_at).desc(), col(tables.PromotionRow.id).desc()
        )
        return [ports.PromotionRecord(**row.model_dump()) for row in self._rows(tables.PromotionRow, newest, model, limit)]

    def vote(self, vote: ports.Vote) -> ports.Vote:
        row = tables.VoteRow(**{**asdict(vote), "id": None})
        with database.writing(self._engine) as session:
            session.add(row)
        return replace(vote, id=row.id or 0)

    def votes(self, model: str, limit: int = 100) -> list[ports.Vote]:
        newest = sqlmodel.select(tables.VoteRow).where(tables.VoteRow.model == model).order_by(col(tables.VoteRow.id).desc())
        return [ports.Vote(**row.model_dump()) for row in self._rows(tables.VoteRow, newest, "", limit)]

    def _rows(self, table: type[_Row], newest: expression.SelectOfScalar[_Row], model: str, limit: int) -> list[_Row]:
        query = newest.where(col(table.model) == model) if model else newest
        with database.reading(self._engine) as session:
            return list(session.exec(query.limit(limit)).all())

    def _conflict(self, record: ports.PromotionRecord) -> errors.Conflict:
        for other in self.promotions(record.model):
            if other.state == RUNNING:
                return errors.Conflict(
                    f"{other.actor} is promoting {other.model} version {other.version} since {other.started_at:%Y-%m-%d %H:%M:%S} UTC.",
                    hint="Wait until it has ended, then look at what is live.",
                )
        return errors.Conflict(f"Promotion {record.id} is recorded already.", hint="Read it, and open a new one if need be.")


def _promotion_row(record: ports.PromotionRecord) -> tables.PromotionRow:
    return tables.PromotionRow(**{**asdict(record), "proof": dict(record.proof)})
