"""What every run store must do, asked of the fake and of the SQL database alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane import ports, testing
from controlplane.clients import database, run_store
from controlplane.core import errors, runs, workflows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = runs.new(runs.RunId("r1"), workflows.TRAINING, {"model-name": "ops-qa", "seed": "7"}, NOON, "ana", "cli")


class Clock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["fake", pytest.param("sql", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[ports.RunStore]:
    if request.param == "fake":
        yield testing.FakeRunStore(monotonic=clock.monotonic)
        return
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    database.migrate(url)
    engine = database.open(url)
    yield run_store.SqlRunStore(engine, now=clock.now)
    engine.dispose()


def test_a_run_comes_back_as_it_went_in(store: ports.RunStore) -> None:
    store.add(RUN)
    assert store.get(RUN.id) == RUN


def test_a_run_is_added_once(store: ports.RunStore) -> None:
    store.add(RUN)
    with pytest.raises(errors.Conflict):
        store.add(RUN)


@pytest.mark.parametrize("verb", ["get", "save"])
def test_an_unknown_run_is_not_found(store: ports.RunStore, verb: str) -> None:
    with pytest.raises(errors.NotFound, match="r1"):
        store.get(RUN.id) if verb == "get" else store.save(RUN)


def test_a_saved_run_has_its_new_steps_and_fields(store: ports.RunStore) -> None:
    store.add(RUN)
    started = runs.apply(RUN, runs.Start("download-data", 1), NOON, "r1/download-data/1")
    finish = runs.Finish("download-data", runs.State.FAILED, 2, "no such data", {"rows": "0"})
    failed = runs.apply(runs.apply(started, finish, NOON), runs.Close(runs.State.FAILED, "no such data"), NOON + timedelta(seconds=5))
    store.save(started)
    assert store.get(RUN.id) == started
    store.save(failed)
    store.save(failed)
    assert store.get(RUN.id) == failed


def test_runs_are_listed_newest_first_and_filtered(store: ports.RunStore) -> None:
    for number in range(4):
        run = replace(RUN, id=runs.RunId(f"r{number}"), created_at=NOON + timedelta(seconds=number))
        other = replace(run, workflow="deployment", parameters={"model-name": "other"}) if number == 2 else run
        store.add(replace(other, state=runs.State.SUCCEEDED) if number == 3 else other)
    assert [run.id for run in store.list()] == ["r3", "r2", "r1", "r0"]
    assert [run.id for run in store.list(limit=2)] == ["r3", "r2"]
    assert [run.id for run in store.list(workflow="training")] == ["r3", "r1", "r0"]
    assert [run.id for run in store.list(model="other")] == ["r2"]
    assert [run.id for run in store.list(is_active=True)] == ["r2", "r1", "r0"]
    assert store.list(model="ops-qa", is_active=True)[0].steps == RUN.steps


def test_a_request_to_cancel_is_not_lost_to_a_save_from_an_older_reading(store: ports.RunStore) -> None:
    store.add(RUN)
    read_before = store.get(RUN.id)
    store.save(replace(RUN, is_cancel_asked=True))
    store.save(runs.apply(read_before, runs.Start("download-data", 1), NOON, "h"))
    assert store.get(RUN.id).is_cancel_asked
    assert store.get(RUN.id).step("download-data").handle == "h"


def test_a_lease_is_held_by_one_and_given_back(store: ports.RunStore) -> None:
    with store.lease("tick", "a", 30) as mine, store.lease("tick", "b", 30) as theirs, store.lease("other", "b", 30) as another:
        assert (mine, theirs, another) == (True, False, True)
    with store.lease("tick", "b", 30) as now_theirs:
        assert now_theirs


def test_a_lease_is_seen_by_others_while_it_is_held(store: ports.RunStore, clock: Clock) -> None:
    assert not store.is_leased("tick")
    with store.lease("tick", "a", 30):
        assert store.is_leased("tick")
        assert not store.is_leased("other")
        clock.seconds = 31
        assert not store.is_leased("tick")
    clock.seconds = 0
    assert not store.is_leased("tick")


def test_a_lease_expires(store: ports.RunStore, clock: Clock) -> None:
    with store.lease("tick", "a", 30) as mine:
        clock.seconds = 31
        with store.lease("tick", "b", 30) as theirs:
            assert (mine, theirs) == (True, True)


def test_a_holder_who_lost_its_lease_does_not_give_back_the_next_ones(store: ports.RunStore, clock: Clock) -> None:
    late = store.lease("tick", "a", 30)
    late.__enter__()
    clock.seconds = 31
    with store.lease("tick", "b", 30):
        late.__exit__(None, None, None)
        with store.lease("tick", "c", 30) as third:
            assert not third


def test_a_lease_is_given_back_when_its_holder_fails(store: ports.RunStore) -> None:
    with pytest.raises(errors.Refused), store.lease("tick", "a", 30):
        raise errors.Refused("no")
    with store.lease("tick", "b", 30) as theirs:
        assert theirs
