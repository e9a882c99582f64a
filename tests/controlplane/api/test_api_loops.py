"""The heartbeats: one API replica at a time beats, a fault does not end them, they stop when the application does."""

from __future__ import annotations

import threading

import pytest
from starlette import testclient

from controlplane.api import app, loops
from controlplane.core import errors, runs

SOON = 10.0


@pytest.fixture
def beating(world, monkeypatch):
    """The application with its loops, and an event that is set at the next tick."""
    ticked = threading.Event()
    tick = type(world.plane.dispatcher).tick

    def noted(dispatcher):
        tick(dispatcher)
        ticked.set()

    monkeypatch.setattr(type(world.plane.dispatcher), "tick", noted)
    with testclient.TestClient(app.create(world.plane)) as http:
        ticked.http = http
        yield ticked
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("dispatch", "reconcile")]


def test_a_launched_run_starts_by_itself(world, beating):
    run = world.plane.launcher.launch("training", {}, actor="ada", interface="cli")
    for _ in range(2):
        beating.clear()
        assert beating.wait(SOON)
    assert world.store.get(run.id).step("download-data").state is runs.State.RUNNING


def test_metrics_say_how_long_ago_the_last_tick_was(beating):
    for _ in range(2):
        beating.clear()
        assert beating.wait(SOON)
    assert 'gatewright_seconds_since_tick{loop="dispatch"}' in beating.http.get("/metrics").text


def test_an_outage_does_not_end_the_heartbeat(world, beating):
    run = world.plane.launcher.launch("training", {}, actor="ada", interface="cli")
    world.executor.fault = errors.Unreachable("Executor", "here", "down")
    beating.clear()
    assert beating.wait(SOON)
    world.executor.fault = None
    for _ in range(2):
        beating.clear()
        assert beating.wait(SOON)
    assert world.store.get(run.id).step("download-data").state is runs.State.RUNNING


def test_while_another_replica_holds_the_lease_nothing_ticks(world):
    ticks = []
    stop = threading.Event()

    def waited(_seconds):
        return stop.is_set() or bool(stop.set())

    stop.wait = waited
    with world.store.lease("dispatch", "another replica", 60) as is_ours:
        assert is_ours
        loops._loop(world.plane, stop, {}, "dispatch", lambda: ticks.append(1), 0.0)
    assert ticks == []
    stop.clear()
    loops._loop(world.plane, stop, {}, "dispatch", lambda: ticks.append(1), 0.0)
    assert ticks == [1], "the lease was given back"


@pytest.mark.parametrize("fault", [errors.Unreachable("MLflow", "http://mlflow.test", "down"), ZeroDivisionError("a bug")])
def test_a_fault_of_one_tick_is_logged_and_the_next_tick_comes(world, caplog, fault):
    left = [fault, None]

    def tick():
        found = left.pop(0)
        if found is not None:
            raise found

    stop = threading.Event()
    stop.wait = lambda _seconds: not left
    loops._loop(world.plane, stop, {}, "dispatch", tick, 0.0)
    assert left == []
    (record,) = [record for record in caplog.records if "dispatch" in record.getMessage()]
    assert (record.exc_info is not None) == isinstance(fault, ZeroDivisionError), "an outage needs no trace in the log, a bug does"


def test_reconcile_settles_what_a_killed_process_left_and_heals_replicas(world):
    world.add_live()
    world.replicas[1].slots.clear()
    loops._reconcile(world.plane)
    assert world.live_roots() == [str(world.home_of(1))] * 2
