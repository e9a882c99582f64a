"""The SQL database under what can go wrong: a killed writer, two writers at once, a full disk, a lock, a damaged file, a changed schema."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.migration
import pytest
import sqlalchemy as sa
import sqlmodel

from controlplane import ports
from controlplane.clients import database, ledger, run_store, tables
from controlplane.core import errors, journal, runs, workflows

pytestmark = pytest.mark.real

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENT = ports.Event(NOON, "ana", "cli", "promote", "ops-qa", 1)
PROMOTION = ports.PromotionRecord("p1", "ops-qa", 3, 2, False, "perf-passed", "ana", "console", "better", NOON)
RUN = runs.new(runs.RunId("r1"), workflows.TRAINING, {"model-name": "ops-qa"}, NOON, "ana", "cli")

# Writes what it is told and dies by SIGKILL on its first statement that begins with the words given, or right before its commit.
DYING_WRITER = """
import os, signal, sys
from datetime import UTC, datetime
import sqlalchemy as sa
from controlplane import ports
from controlplane.clients import database, ledger, run_store
from controlplane.core import runs, workflows

url, words = sys.argv[1:]
noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
engine = database.open(url)
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if words == "COMMIT":
    sa.event.listen(engine, "commit", die)
sa.event.listen(engine, "after_cursor_execute", lambda c, cu, statement, *_: statement.startswith(words) and die())
run_store.SqlRunStore(engine).add(runs.new(runs.RunId("r1"), workflows.TRAINING, {"model-name": "ops-qa"}, noon, "ana", "cli"))
log = ledger.SqlLedger(engine)
log.open_promotion(ports.PromotionRecord("p1", "ops-qa", 3, 2, False, "perf-passed", "ana", "console", "better", noon))
log.append(ports.Event(noon, "ana", "cli", "promote", "ops-qa", 1))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'home' / 'gatewright.db'}"
    database.migrate(url)
    return url


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = database.open(url)
    yield engine
    engine.dispose()


def test_the_migrations_make_the_schema_of_the_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection, opts={"compare_type": True})
        assert alembic.autogenerate.compare_metadata(context, tables.METADATA) == []


def test_votes_from_before_there_were_reviews_keep_working(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = database.open(url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    with engine.connect().execution_options(is_writing=True) as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001_ledger_chain")
        connection.execute(
            sa.text(
                "INSERT INTO votes (at, actor, model, prompt, choice, comment)"
                " VALUES ('2026-01-01 12:00:00', 'ana', 'ops-qa', '?', 'tie', '')"
            )
        )
        connection.commit()
    database.migrate(url)
    assert ledger.SqlLedger(engine).votes("ops-qa") == [ports.Vote(NOON, "ana", "ops-qa", "?", None, None, "tie", id=1)]
    engine.dispose()


def test_migrating_twice_and_at_once_does_no_harm(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    command = [sys.executable, "-c", "import sys; from controlplane.clients import database; database.migrate(sys.argv[1])", url]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(writer.communicate(timeout=60)[1], writer.returncode) for writer in writers] == [("", 0)] * 3
    database.migrate(url)


def test_the_file_is_private_and_the_engine_set_up_for_several_processes(engine: sa.Engine, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    with engine.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")}
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1}
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = 'other'", "DELETE FROM events"])
def test_the_ledger_refuses_to_be_changed(engine: sa.Engine, statement: str) -> None:
    kept = ledger.SqlLedger(engine).append(EVENT)
    with pytest.raises(errors.GatewrightError), database.writing(engine) as session:
        session.execute(sa.text(statement))
    assert ledger.SqlLedger(engine).events() == [kept]


@pytest.mark.parametrize(
    ("words", "runs_left", "promotions_left"),
    [
        ("INSERT INTO runs", 0, 0),
        ("INSERT INTO steps", 0, 0),
        ("COMMIT", 0, 0),
        ("INSERT INTO promotions", 1, 0),
        ("INSERT INTO events", 1, 1),
    ],
)
def test_a_killed_writer_leaves_no_half_state(url: str, engine: sa.Engine, words: str, runs_left: int, promotions_left: int) -> None:
    died = subprocess.run([sys.executable, "-c", DYING_WRITER, url, words], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    store, log = run_store.SqlRunStore(engine), ledger.SqlLedger(engine)
    assert store.list() == [RUN] * runs_left
    assert log.promotions() == [PROMOTION] * promotions_left
    assert log.events() == []
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("SELECT count(*) FROM steps").scalar() == len(RUN.steps) * runs_left


def test_of_many_who_open_a_promotion_at_once_one_succeeds(url: str) -> None:
    opened, refused = [], []

    def open_one(number: int) -> None:
        own = database.open(url)
        try:
            opened.append(ledger.SqlLedger(own).open_promotion(replace(PROMOTION, id=f"p{number}", actor=f"person-{number}")))
        except errors.Conflict as error:
            refused.append(str(error))
        finally:
            own.dispose()

    _at_once(open_one, 8)
    assert len(opened) == 1
    assert len(refused) == 7
    assert all(f"{opened[0].actor} is promoting ops-qa version 3 since 2026-01-01 12:00:00 UTC" in text for text in refused)


def test_of_many_who_want_a_lease_one_holds_it(url: str) -> None:
    everyone_asked, answers = threading.Barrier(8), []

    def hold(number: int) -> None:
        own = database.open(url)
        with run_store.SqlRunStore(own).lease("tick", f"replica-{number}", 30) as is_mine:
            answers.append(is_mine)
            everyone_asked.wait(timeout=30)
        own.dispose()

    _at_once(hold, 8)
    assert sorted(answers) == [False] * 7 + [True]


def test_a_promotion_ends_one_way_only(engine: sa.Engine) -> None:
    log = ledger.SqlLedger(engine)
    log.open_promotion(PROMOTION)
    with pytest.raises(errors.InvalidInput, match="still running"):
        log.close_promotion(PROMOTION)
    log.close_promotion(replace(PROMOTION, state=journal.State.DONE, ended_at=NOON))
    with pytest.raises(errors.Conflict, match="has ended as done"):
        log.close_promotion(replace(PROMOTION, state=journal.State.FAILED, ended_at=NOON))


def test_a_full_disk_is_named_and_changes_nothing(engine: sa.Engine) -> None:
    log = ledger.SqlLedger(engine)
    kept = log.append(EVENT)
    with database.writing(engine) as session:
        pages = session.execute(sa.text("PRAGMA page_count")).scalar()
        session.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(errors.NoSpace, match="full"):
        log.append(replace(EVENT, reason="x" * 100_000))
    assert log.events() == [kept]


def test_a_locked_database_is_temporary(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)
    other = sqlite3.connect(tmp_path / "home" / "gatewright.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    engine = database.open(url)
    with pytest.raises(errors.Unreachable, match="locked"):
        ledger.SqlLedger(engine).append(EVENT)
    engine.dispose()
    other.close()


def test_a_damaged_file_is_permanent(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(errors.OutsideError, match="not a database"):
        database.migrate(f"sqlite:///{tmp_path / 'bad.db'}")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.NoSpace, match="file"):
        database.open(f"sqlite:///{tmp_path / 'file' / 'x.db'}")


@pytest.mark.parametrize(
    ("url", "words"),
    [("nonsense", "cannot be read"), ("foo://x", "cannot be read"), ("mssql+pymssql://u:secret@h/d", "driver 'pymssql' is not installed")],
)
def test_a_url_that_cannot_work_is_refused_without_its_secret(url: str, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words) as refused:
        database.open(url)
    assert "secret" not in str(refused.value)


def test_another_process_sees_what_was_written_at_once(url: str) -> None:
    engine = database.open(url)
    kept = ledger.SqlLedger(engine).append(EVENT)
    code = (
        "import sys; from controlplane.clients import database, ledger; e = database.open(sys.argv[1]); print(ledger.SqlLedger(e).events())"
    )
    seen = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ))
    engine.dispose()
    assert seen.stdout.strip() == repr([kept])


def _at_once(work: object, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_heartbeat_clears_away_those_of_processes_that_are_gone(url: str) -> None:
    now = NOON
    engine = database.open(url)
    store = run_store.SqlRunStore(engine, lambda: now)
    store.beat("dead", 30)
    now = NOON + timedelta(seconds=31)
    store.beat("alive", 30)
    with database.reading(engine) as session:
        assert [lease.holder for lease in session.exec(sqlmodel.select(tables.LeaseRow))] == ["alive"]
