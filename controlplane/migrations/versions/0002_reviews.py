"""Votes on the rows of an evaluation, and the grades people say its answers deserve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_reviews"
down_revision = "0001_ledger_chain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("row_id", "evaluation_run", "left"):
        op.add_column("votes", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.create_table(
        "grade_corrections",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("evaluation_run", sa.String(), nullable=False),
        sa.Column("row_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("People's votes are never dropped; restore a backup instead.")
