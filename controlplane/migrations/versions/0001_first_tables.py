"""Runs and steps, leases, and the ledger: events that nothing may change, promotions, votes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_ledger_chain"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_RUNNING = sa.text("state = 'running'")
_REFUSAL = "the ledger is append-only"


def upgrade() -> None:
    _make_runs()
    _make_ledger()
    _protect_events()


def downgrade() -> None:
    raise NotImplementedError("The ledger is never dropped; restore a backup instead.")


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False, index=True),
        sa.Column("model", sa.String(), nullable=False, index=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, index=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("is_cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Index("ix_runs_newest", "created_at", "id"),
    )
    op.create_table(
        "steps",
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )


def _make_ledger() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.Integer()),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False, unique=True),
        sa.Column("hash", sa.String(), nullable=False),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("model", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.Integer()),
        sa.Column("is_rollback", sa.Boolean(), nullable=False),
        sa.Column("source_alias", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("override", sa.String(), nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("replaced_digest", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("replicas", sa.JSON(), nullable=False),
        sa.Index("uq_promotions_running", "model", unique=True, sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    )
    op.create_table(
        "votes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False, index=True),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("candidate_version", sa.Integer()),
        sa.Column("live_version", sa.Integer()),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
    )


def _protect_events() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END")
