"""The SQL database: opens the engine, migrates the schema, hands out transactions. Its errors become ours here; it holds no queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.util
import sqlalchemy as sa
import sqlmodel
from sqlalchemy import exc

from controlplane.core import errors

MIGRATIONS = Path(__file__).parents[1] / "migrations"
BUSY_TIMEOUT_SECONDS = 5
CONNECT_TIMEOUT_SECONDS = 5
_NO_SPACE = ("disk is full", "no space left", "readonly database", "unable to open database file", "disk i/o error")
_DAMAGED = ("malformed", "not a database")


def open(url: str) -> sa.Engine:
    """An engine on this URL; a SQLite file's directory is made, for its owner only.

    Raises:
        InvalidInput: the URL cannot be read, or its driver is not installed.
        NoSpace: the directory cannot be made.
    """
    try:
        address = sa.make_url(url)
        is_sqlite = address.get_backend_name() == "sqlite"
        if is_sqlite:
            _make_directory(address)
        # PostgreSQL's drivers count the time to connect in seconds; SQLite's own time-out is the wait for another writer.
        seconds = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
        engine = sa.create_engine(address, connect_args=seconds, pool_pre_ping=not is_sqlite)
    except ModuleNotFoundError as error:
        raise errors.InvalidInput(
            f"The database driver {error.name!r} is not installed.", hint="Install it (for PostgreSQL: psycopg), or use a sqlite:/// URL."
        ) from error
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        raise errors.InvalidInput(
            "The database URL cannot be read.", hint="Use sqlite:////path/to/file.db or postgresql+psycopg://user:password@host/name."
        ) from error
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def migrate(url: str) -> None:
    """Brings the schema up to the newest revision; safe to repeat, and two processes may do it at once."""
    engine = open(url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with _translated(engine), engine.connect().execution_options(is_writing=True) as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
    except alembic.util.CommandError as error:
        raise errors.OutsideError(
            "The database",
            engine.url.render_as_string(hide_password=True),
            f"it was made by another version of Gatewright ({error})",
            hint="Use that version, or another GATEWRIGHT_HOME or GATEWRIGHT_DATABASE_URL.",
        ) from error
    finally:
        engine.dispose()


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sqlmodel.Session]:
    """A session for queries.

    Raises:
        Unreachable, NoSpace, OutsideError: whatever the database said.
    """
    with _translated(engine), sqlmodel.Session(engine) as session:
        yield session


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sqlmodel.Session]:
    """A session in one transaction, committed when the block ends well and undone when it does not. Make no network call inside.

    Raises:
        Conflict: a row that must be unique is there already.
        Unreachable, NoSpace, OutsideError: whatever the database said.
    """
    with (
        _translated(engine),
        sqlmodel.Session(engine.execution_options(is_writing=True), expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise errors.Conflict("The database has such a row already.", hint="Read it and decide again.") from error
    except exc.SQLAlchemyError as error:
        raise _ours(engine, error) from error


def _ours(engine: sa.Engine, error: exc.SQLAlchemyError) -> errors.GatewrightError:
    address = engine.url.render_as_string(hide_password=True)
    reason = (str(error.orig) if isinstance(error, exc.DBAPIError) else str(error)).strip().splitlines()[0]
    if any(words in reason.lower() for words in _NO_SPACE):
        return errors.NoSpace(f"The database {address} cannot be written: {reason}.", hint="Free disk space, or check your rights there.")
    if isinstance(error, exc.OperationalError | exc.TimeoutError | exc.InterfaceError):
        return errors.Unreachable("The database", address, reason, hint="Check that it runs and nobody locks it, then try again.")
    is_damaged = any(words in reason.lower() for words in _DAMAGED)
    return errors.OutsideError("The database", address, reason, hint="Restore the file from a backup." if is_damaged else "")


def _make_directory(address: sa.URL) -> None:
    if not address.database or address.database == ":memory:":
        return
    directory = Path(address.database).absolute().parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.NoSpace(f"{directory}: {error.strerror}.", hint="Check the free disk space and your rights there.") from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Without this the driver begins transactions when it likes; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}", "foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once when another wrote in between; one that says so at the start waits.
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
