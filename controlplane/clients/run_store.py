"""Runs, their steps and the leases on them in the SQL database. It keeps what it is told; what to do next is decided in `core.runs`."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import sqlmodel
from sqlmodel import col
from sqlmodel.sql import expression

from controlplane.clients import database, tables
from controlplane.core import errors, runs

_ALIVE = "alive:"
ACTIVE = tuple(state for state in runs.State if not state.is_final)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlRunStore:
    """Implements `ports.RunStore`. Several processes may use one database at once."""

    def __init__(self, engine: sa.Engine, now: Callable[[], datetime] = _utc_now) -> None:
        self._engine = engine
        self._now = now

    def add(self, run: runs.Run) -> None:
        """Raises Conflict when there is a run of this id."""
        with database.writing(self._engine) as session:
            if session.get(tables.RunRow, run.id) is not None:
                raise errors.Conflict(f"There is a run {run.id} already.", hint="Give a new run a new id.")
            session.add(_run_row(run))
            session.flush()
            session.add_all(_step_rows(run))

    def get(self, run_id: runs.RunId) -> runs.Run:
        with database.reading(self._engine) as session:
            return _read(session, run_id, sqlmodel.select(tables.RunRow))

    def list(self, *, workflow: str = "", model: str = "", is_active: bool = False, limit: int = 50) -> builtins.list[runs.Run]:
        query = sqlmodel.select(tables.RunRow).order_by(col(tables.RunRow.created_at).desc(), col(tables.RunRow.id).desc()).limit(limit)
        if workflow:
            query = query.where(tables.RunRow.workflow == workflow)
        if model:
            query = query.where(tables.RunRow.model == model)
        if is_active:
            query = query.where(col(tables.RunRow.state).in_(ACTIVE))
        with database.reading(self._engine) as session:
            rows = session.exec(query).all()
            steps = _steps(session, [row.id for row in rows])
            return [_run(row, steps.get(row.id, [])) for row in rows]

    def save(self, run: runs.Run) -> None:
        """Keeps what is further along of the run given and the run stored, see `core.runs.merged`. Raises NotFound."""
        with database.writing(self._engine) as session:
            stored = _read(session, run.id, sqlmodel.select(tables.RunRow).with_for_update())
            kept = runs.merged(stored, run)
            session.merge(_run_row(kept))
            for row in _step_rows(kept):
                session.merge(row)

    @contextmanager
    def lease(self, name: str, holder: str, seconds: float) -> Iterator[bool]:
        """True when nobody else holds it. It is given back at the end, or expires `seconds` from now if we die before."""
        is_mine = self._take(name, holder, seconds)
        try:
            yield is_mine
        finally:
            if is_mine:
                self._give_back(name, holder)

    def beat(self, holder: str, seconds: float) -> None:
        self._take(f"{_ALIVE}{holder}", holder, seconds)

    def is_beating(self, holder: str) -> bool:
        return self.is_leased(f"{_ALIVE}{holder}")

    def is_leased(self, name: str) -> bool:
        with database.reading(self._engine) as session:
            lease = session.get(tables.LeaseRow, name)
            return lease is not None and lease.expires_at > self._now()

    def _take(self, name: str, holder: str, seconds: float) -> bool:
        now = self._now()
        lease = tables.LeaseRow(name=name, holder=holder, expires_at=now + timedelta(seconds=seconds))
        free = sa.or_(col(tables.LeaseRow.holder) == holder, col(tables.LeaseRow.expires_at) <= now)
        taken = sa.update(tables.LeaseRow).where(col(tables.LeaseRow.name) == name, free)
        try:
            with database.writing(self._engine) as session:
                changed = session.execute(taken.values(holder=lease.holder, expires_at=lease.expires_at))
                if isinstance(changed, sa.CursorResult) and changed.rowcount == 1:
                    return True
                # One that has expired is as good as none; those of processes that are gone go here.
                session.execute(sa.delete(tables.LeaseRow).where(col(tables.LeaseRow.expires_at) <= now))
                session.add(lease)
        except errors.Conflict:
            return False
        return True

    def _give_back(self, name: str, holder: str) -> None:
        mine = sa.delete(tables.LeaseRow).where(col(tables.LeaseRow.name) == name, col(tables.LeaseRow.holder) == holder)
        with database.writing(self._engine) as session:
            session.execute(mine)


def _read(session: sqlmodel.Session, run_id: runs.RunId, query: expression.SelectOfScalar[tables.RunRow]) -> runs.Run:
    row = session.exec(query.where(tables.RunRow.id == run_id)).first()
    if row is None:
        raise errors.NotFound(f"There is no run {run_id!r}.", hint="List the runs to see which there are.")
    return _run(row, _steps(session, [row.id]).get(row.id, []))


def _steps(session: sqlmodel.Session, run_ids: Iterable[str]) -> Mapping[str, list[tables.StepRow]]:
    wanted = sqlmodel.select(tables.StepRow).where(col(tables.StepRow.run_id).in_(run_ids)).order_by(col(tables.StepRow.position))
    result: dict[str, list[tables.StepRow]] = {}
    for row in session.exec(wanted):
        result.setdefault(row.run_id, []).append(row)
    return result


def _run(row: tables.RunRow, steps: Iterable[tables.StepRow]) -> runs.Run:
    return runs.Run(
        id=runs.RunId(row.id),
        workflow=row.workflow,
        parameters=dict(row.parameters),
        state=runs.State(row.state),
        steps=tuple(_step(step) for step in steps),
        created_at=row.created_at,
        created_by=row.created_by,
        interface=row.interface,
        ended_at=row.ended_at,
        is_cancel_asked=row.is_cancel_asked,
        reason=row.reason,
    )


def _step(row: tables.StepRow) -> runs.StepRun:
    return runs.StepRun(
        name=row.name,
        state=runs.State(row.state),
        attempt=row.attempt,
        handle=row.handle,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        reason=row.reason,
        outputs=dict(row.outputs),
    )


def _run_row(run: runs.Run) -> tables.RunRow:
    return tables.RunRow(
        id=run.id,
        workflow=run.workflow,
        model=run.parameters.get("model-name", ""),
        parameters=dict(run.parameters),
        state=str(run.state),
        created_at=run.created_at,
        created_by=run.created_by,
        interface=run.interface,
        ended_at=run.ended_at,
        is_cancel_asked=run.is_cancel_asked,
        reason=run.reason,
    )


def _step_rows(run: runs.Run) -> list[tables.StepRow]:
    return [
        tables.StepRow(
            run_id=run.id,
            name=step.name,
            position=position,
            state=str(step.state),
            attempt=step.attempt,
            handle=step.handle,
            started_at=step.started_at,
            ended_at=step.ended_at,
            exit_code=step.exit_code,
            reason=step.reason,
            outputs=dict(step.outputs),
        )
        for position, step in enumerate(run.steps)
    ]
