"""The tables of the SQL database, as `migrations` makes them. Columns only; `ledger` and `run_store` turn rows into our own values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import sqlmodel
from sqlmodel import Field, SQLModel


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A time with its zone, kept in UTC. SQLite forgets zones, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RunRow(SQLModel, table=True):
    """One run. `model` repeats the parameter `model-name`, for the index."""

    __tablename__ = "runs"
    __table_args__ = (sa.Index("ix_runs_newest", "created_at", "id"),)

    id: str = Field(primary_key=True)
    workflow: str = Field(index=True)
    model: str = Field(index=True)
    parameters: dict[str, str] = Field(sa_type=sa.JSON)
    state: str = Field(index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    interface: str
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_cancel_asked: bool = False
    reason: str = ""


class StepRow(SQLModel, table=True):
    """One step of a run; `position` is its place in the workflow."""

    __tablename__ = "steps"

    run_id: str = Field(primary_key=True, foreign_key="runs.id")
    name: str = Field(primary_key=True)
    position: int
    state: str
    attempt: int
    handle: str
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    exit_code: int | None = None
    reason: str
    outputs: dict[str, str] = Field(sa_type=sa.JSON)


class LeaseRow(SQLModel, table=True):
    """Who may do what only one may do at a time, and until when."""

    __tablename__ = "leases"

    name: str = Field(primary_key=True)
    holder: str
    expires_at: datetime = Field(sa_type=UtcDateTime)


class EventRow(SQLModel, table=True):
    """One entry of the ledger. Triggers refuse to change or delete it."""

    __tablename__ = "events"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    interface: str
    action: str
    model: str = Field(index=True)
    version: int | None = None
    reason: str
    details: dict[str, str] = Field(sa_type=sa.JSON)
    # Unique, so that two processes cannot both follow the same entry: the chain has no forks.
    previous_hash: str = Field(unique=True)
    hash: str


class PromotionRow(SQLModel, table=True):
    """One promotion or rollback. The partial unique index lets one run at a time for each model."""

    __tablename__ = "promotions"
    __table_args__ = (
        sa.Index(
            "uq_promotions_running",
            "model",
            unique=True,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        ),
    )

    id: str = Field(primary_key=True)
    model: str = Field(index=True)
    version: int
    replaces: int | None = None
    is_rollback: bool
    source_alias: str
    actor: str
    interface: str
    reason: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    state: str
    phase: str
    holder: str
    override: str
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    digest: str
    replaced_digest: str
    error: str
    replicas: list[dict[str, Any]] = Field(sa_type=sa.JSON)


class VoteRow(SQLModel, table=True):
    """One person's choice between two answers. The last three are empty unless they are a row's of an evaluation."""

    __tablename__ = "votes"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    model: str = Field(index=True)
    prompt: str
    candidate_version: int | None = None
    live_version: int | None = None
    choice: str
    comment: str
    row_id: str
    evaluation_run: str
    left: str


class GradeCorrectionRow(SQLModel, table=True):
    """The grade a person says one answer of an evaluation deserves."""

    __tablename__ = "grade_corrections"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    model: str = Field(index=True)
    version: int
    evaluation_run: str
    row_id: str
    role: str
    grade: str


METADATA = sqlmodel.SQLModel.metadata
