"""Replicas against the registry: what agrees, what drifts, and that a restart heals without fighting anybody."""

from __future__ import annotations

import pytest

from controlplane.core import errors, serving
from controlplane.services import promote
from tests.controlplane.conftest import ADA, MODEL


def states(world):
    return [{slot.wanted.name: slot.state for slot in view.slots} for view in world.plane.server.view()]


def test_live_and_staged_are_wanted_in_their_slots(world):
    world.add_live()
    world.add_version("staged")
    live, candidate = world.plane.server.wanted()
    assert (live.name, live.version, live.root) == ("ops-qa-live", 1, str(world.home_of(1)))
    assert (candidate.name, candidate.version, candidate.root) == ("ops-qa-candidate", 2, str(world.home_of(2)))


@pytest.mark.parametrize(
    ("served", "state"),
    [("right", serving.Agreement.AGREES), ("other", serving.Agreement.DRIFT), ("nothing", serving.Agreement.DRIFT)],
)
def test_a_slot_agrees_only_with_the_wanted_directory(world, served, state):
    world.add_live()
    world.add_version()
    if served == "other":
        world.replicas[0].slots["ops-qa-live"] = world.home_of(2)
    elif served == "nothing":
        del world.replicas[0].slots["ops-qa-live"]
    assert [found["ops-qa-live"] for found in states(world)] == [state, serving.Agreement.AGREES]


def test_a_slot_without_an_alias_is_idle_whatever_lingers_there(world):
    world.add_live()
    world.replicas[0].slots["ops-qa-candidate"] = world.home_of(1)
    assert [found["ops-qa-candidate"] for found in states(world)] == [serving.Agreement.IDLE] * 2


def test_a_replica_that_is_away_is_a_row_that_says_so(world):
    world.add_live()
    world.replicas[1].fault = errors.Unreachable("vLLM", "http://vllm-1.test", "connection refused")
    well, away = world.plane.server.view()
    assert well.is_healthy
    assert not away.is_healthy
    assert "http://vllm-1.test" in away.detail


def test_a_restarted_replica_gets_its_adapters_back(world):
    world.add_live()
    world.add_version("staged")
    world.replicas[1].slots.clear()
    done = world.plane.server.reconcile(world.plane.healing)
    assert world.replicas[1].slots == {"ops-qa-live": world.home_of(1), "ops-qa-candidate": world.home_of(2)}
    assert [line for line in done if "vllm-1.test" in line and "version 1" in line]
    assert world.plane.server.reconcile(world.plane.healing) == [], "safe to repeat"


def test_models_in_somebodys_hands_are_left_alone(world):
    world.add_live()
    world.replicas[1].slots.clear()
    world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
    assert world.plane.server.reconcile(world.plane.healing) == []
    assert world.replicas[1].slots == {}


def test_two_processes_do_not_heal_one_model_at_once(world):
    world.add_live()
    world.replicas[1].slots.clear()
    world.store.monotonic = lambda: 0.0
    with world.start_plane().healing(MODEL) as is_theirs:
        assert is_theirs
        assert world.plane.server.reconcile(world.plane.healing) == []
    assert len(world.plane.server.reconcile(world.plane.healing)) == 1


def test_what_was_seen_before_a_rollback_is_not_brought_back_after_it(world, monkeypatch):
    world.add_live()
    world.add_version("perf-passed")
    world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    look = world.replicas[0].served

    def look_late():
        monkeypatch.undo()
        world.plane.promoter.promote(MODEL, "previous", ADA)
        return look()

    monkeypatch.setattr(world.replicas[0], "served", look_late)
    assert world.plane.server.reconcile(world.plane.healing) == []
    assert world.live_roots() == [str(world.home_of(1))] * 2


def test_a_promotion_waits_for_a_replica_that_is_being_healed(world, monkeypatch):
    world.add_live()
    world.add_version("perf-passed")
    world.store.monotonic = lambda: 0.0
    healing = world.plane.healing(MODEL)
    healing.__enter__()
    waits = []

    def wait(seconds):
        waits.append(seconds)
        healing.__exit__(None, None, None)

    monkeypatch.setattr(promote.time, "sleep", wait)
    assert world.plane.promoter.promote(MODEL, "perf-passed", ADA).state == "done"
    assert len(waits) == 1


def test_a_promotion_does_not_wait_for_ever(world):
    world.add_live()
    world.add_version("perf-passed")
    world.store.monotonic = lambda: 0.0
    with world.plane.healing(MODEL), pytest.raises(errors.Conflict, match="given an adapter of ops-qa back"):
        world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert world.live_roots() == [str(world.home_of(1))] * 2
    assert world.plane.promoter.promote(MODEL, "perf-passed", ADA).state == "done"


def test_a_live_slot_that_serves_another_version_is_brought_back(world):
    world.add_live()
    world.add_version()
    world.replicas[0].slots["ops-qa-live"] = world.home_of(2)
    assert len(world.plane.server.reconcile(world.plane.healing)) == 1
    assert world.live_roots() == [str(world.home_of(1))] * 2


def test_a_candidate_slot_that_serves_another_version_is_left_to_whoever_tries_it(world):
    world.add_live()
    world.add_version("staged")
    for replica in world.replicas:
        replica.slots["ops-qa-candidate"] = world.home_of(1)
    assert world.plane.server.reconcile(world.plane.healing) == []


def test_one_replica_that_cannot_be_healed_does_not_keep_the_others_from_it(world):
    world.add_live()
    for replica in world.replicas:
        replica.slots.clear()
    world.replicas[0].broken.add(world.home_of(1))
    world.plane.server.reconcile(world.plane.healing)
    assert world.live_roots() == ["", str(world.home_of(1))]


def test_a_version_without_a_digest_drifts_and_hides_nothing_else(world):
    world.registry.add("old-model", aliases=["live"], tags={"digest": ""})
    world.add_live()
    found = states(world)
    assert found[0]["old-model-live"] is serving.Agreement.DRIFT
    assert found[0]["ops-qa-live"] is serving.Agreement.AGREES
    world.replicas[0].slots.clear()
    world.plane.server.reconcile(world.plane.healing)
    assert world.live_roots()[0] == str(world.home_of(1))


def test_busy_are_models_with_a_deployment_or_a_promotion_under_way(world):
    world.add_version("candidate")
    assert world.plane.busy_models() == frozenset()
    world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
    assert world.plane.busy_models() == {MODEL}
