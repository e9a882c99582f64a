"""The audit: a whole ledger that agrees with the registry has no fault, and every way to differ is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.services import promote

MODEL = "ops-qa"
ADA = promote.Caller("ada", "console", "better")


@pytest.fixture
def promoted(world):
    world.add_version("perf-passed")
    world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    world.add_version("perf-passed")
    world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    return world


def faults(world):
    return list(world.plane.auditor.verify().faults)


def test_an_honest_history_is_whole(promoted):
    found = promoted.plane.auditor.verify()
    assert (found.entries, found.models, found.faults) == (2, 1, ())
    assert found.head == promoted.ledger.events()[0].hash


def test_an_empty_ledger_is_whole(world):
    assert world.plane.auditor.verify().faults == ()


def test_a_changed_entry_is_named(promoted):
    promoted.ledger._events[0] = replace(promoted.ledger._events[0], actor="mallory")
    assert faults(promoted) == ["Entry 1 was changed after it was written."]


def test_a_ledger_cut_at_its_end_is_noticed(promoted):
    promoted.ledger._events.pop()
    assert any("has no entry: the end of the ledger was cut off" in fault for fault in faults(promoted))


def test_an_alias_moved_elsewhere_is_named(promoted):
    promoted.registry.aliases[MODEL]["live"] = 1
    assert any("the ledger says live is v2, MLflow says v1" in fault for fault in faults(promoted))


def test_another_digest_under_the_same_number_is_named(promoted):
    promoted.registry.tag(promoted.registry.resolve(MODEL, "version:2"), {"digest": "e" * 64})
    assert any("MLflow has eeeeeeeeeeee" in fault for fault in faults(promoted))


def test_a_live_version_deleted_in_mlflow_is_named(promoted):
    promoted.registry.delete(promoted.registry.resolve(MODEL, "version:2"))
    assert any("is not in MLflow any more" in fault for fault in faults(promoted))
