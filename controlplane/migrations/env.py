"""Alembic's entry: runs the revisions on the connection that `clients.database.migrate` hands over. It reads no configuration file."""

from __future__ import annotations

from alembic import context

from controlplane.clients import tables


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        context.configure(dialect_name=context.config.get_main_option("dialect"), target_metadata=tables.METADATA, literal_binds=True)
    else:
        # Alembic takes SQLite for unable to undo a half-made schema; with our own BEGIN it is able.
        context.configure(connection=connection, target_metadata=tables.METADATA, transactional_ddl=True)
    with context.begin_transaction():
        if connection is not None and connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4720)")
        context.run_migrations()


run()
