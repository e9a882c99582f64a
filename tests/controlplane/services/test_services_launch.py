"""Launching, retrying and cancelling: what is recorded, what is refused, and that a refusal records nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controlplane import ports
from controlplane.core import errors, journal, runs
from controlplane.services import promote


def launch(world, workflow="training", **parameters):
    return world.plane.launcher.launch(workflow, parameters, actor="ada", interface="cli")


def test_a_launch_is_recorded_with_every_parameter_and_in_the_ledger(world):
    run = launch(world, **{"data-version": "2"})
    stored = world.store.get(run.id)
    assert stored.parameters["data-version"] == "2"
    assert stored.parameters["model-name"] == "ops-qa", "the profile's default"
    assert (stored.created_by, stored.interface, stored.state) == ("ada", "cli", runs.State.RUNNING)
    (event,) = world.ledger.events()
    assert (event.action, event.actor, event.model, event.details["run"]) == ("launched", "ada", "ops-qa", run.id)


@pytest.mark.parametrize(
    ("workflow", "parameters", "error", "said"),
    [
        ("trainign", {}, errors.NotFound, "trainign"),
        ("training", {"epochs": "1"}, errors.InvalidInput, "epochs"),
        ("training", {"lora-config": "huge"}, errors.InvalidInput, "lora-config"),
        ("training", {"max-perplexity": "0.5"}, errors.InvalidInput, "max-perplexity"),
        ("training", {"learning-rate": "nan"}, errors.InvalidInput, "learning-rate"),
        ("evaluation", {"min-a-rate": "1.5"}, errors.InvalidInput, "min-a-rate"),
        ("deployment", {"model-name": "nobody"}, errors.NotFound, "nobody"),
        ("evaluation", {"model-name": "nobody"}, errors.NotFound, "nobody"),
        ("performance", {"model-name": "nobody"}, errors.NotFound, "nobody"),
        ("promote", {"model-name": "nobody"}, errors.NotFound, "nobody"),
        ("promote", {"source-alias": "live"}, errors.InvalidInput, "source-alias"),
        ("training", {"model-name": "../x"}, errors.InvalidInput, "../x"),
        ("training", {"model-name": ""}, errors.InvalidInput, "model name"),
    ],
)
def test_bad_input_is_named_and_records_nothing(world, workflow, parameters, error, said):
    with pytest.raises(error, match=said):
        launch(world, workflow, **parameters)
    assert world.store.list() == []
    assert world.ledger.events() == []


def test_training_needs_no_registry_to_be_launched(world):
    world.registry.fault = errors.Unreachable("MLflow", "http://mlflow.test", "down")
    assert launch(world).state is runs.State.RUNNING


def test_a_retry_keeps_what_succeeded(world):
    run = launch(world)
    world.executor.script("jobs.data.download")
    world.executor.script("jobs.training.train_lora", exit_code=1, reason="out of memory")
    for _ in range(6):
        world.plane.dispatcher.tick()
    assert world.store.get(run.id).state is runs.State.FAILED
    retried = world.plane.launcher.retry(run.id, actor="grace", interface="console")
    assert [step.state for step in retried.steps] == [runs.State.SUCCEEDED, runs.State.WAITING, runs.State.WAITING]
    world.plane.dispatcher.tick()
    assert f"{run.id}/train/2" in world.executor.jobs, "the second attempt"
    assert world.ledger.events()[0].action == "retried"


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_an_unknown_run_is_not_found(world, verb):
    with pytest.raises(errors.NotFound):
        getattr(world.plane.launcher, verb)(runs.RunId("nope"), actor="ada", interface="cli")


def test_a_running_run_cannot_be_retried_nor_an_ended_one_cancelled(world):
    run = launch(world)
    with pytest.raises(errors.Refused):
        world.plane.launcher.retry(run.id, actor="ada", interface="cli")
    world.plane.launcher.cancel(run.id, actor="ada", interface="cli")
    world.plane.dispatcher.tick()
    with pytest.raises(errors.Refused):
        world.plane.launcher.cancel(run.id, actor="ada", interface="cli")


def test_the_promotion_policy_holds_for_the_workflow_too(world):
    world.add_version("staged")
    with pytest.raises(errors.Refused, match="perf-passed"):
        launch(world, "promote", **{"source-alias": "staged"})
    assert world.store.list() == []


def test_no_promotion_is_launched_beside_another(world):
    version = world.add_version("perf-passed")
    world.ledger.open_promotion(promotion_of(version, "grace"))
    with pytest.raises(errors.Conflict, match="grace"):
        launch(world, "promote", **{"source-alias": "perf-passed"})


def test_one_promotion_of_a_model_at_a_time_by_whatever_way(world):
    world.add_version("live", "perf-passed")
    world.add_version("previous")
    run = launch(world, "promote", **{"source-alias": "previous"})
    with pytest.raises(errors.Conflict, match=f"is promoting ops-qa by run {run.id} since"):
        launch(world, "promote", **{"source-alias": "previous"})
    with pytest.raises(errors.Conflict, match=f"is promoting ops-qa by run {run.id} since"):
        world.plane.promoter.promote("ops-qa", "previous", promote.Caller("grace", "api", "me too"))
    assert world.registry.aliases["ops-qa"]["live"] == 1
    assert [record.state for record in world.ledger.promotions("ops-qa")] == ["failed"]


def test_a_run_waits_for_a_promotion_that_is_open_and_gives_way_to_one_that_ended_well(world):
    version = world.add_version("perf-passed")
    run = launch(world, "promote", **{"source-alias": "perf-passed"})
    record = world.ledger.open_promotion(promotion_of(version, "grace"))
    world.plane.dispatcher.tick()
    assert world.store.get(run.id).steps[0].state is runs.State.WAITING
    world.ledger.close_promotion(replace(record, state=journal.State.DONE, ended_at=world.plane.now()))
    for _ in range(2):
        world.plane.dispatcher.tick()
    ended = world.store.get(run.id)
    assert (ended.state, world.executor.jobs) == (runs.State.FAILED, {})
    assert "grace promoted ops-qa version 1 meanwhile" in ended.reason


def test_a_run_goes_on_after_a_promotion_that_failed(world):
    version = world.add_version("perf-passed")
    run = launch(world, "promote", **{"source-alias": "perf-passed"})
    record = world.ledger.open_promotion(promotion_of(version, "grace"))
    world.ledger.close_promotion(replace(record, state=journal.State.FAILED, ended_at=world.plane.now()))
    world.plane.dispatcher.tick()
    assert world.store.get(run.id).steps[0].state is runs.State.RUNNING


def test_of_two_runs_launched_at_one_moment_the_first_goes_on_alone(world):
    world.add_version("perf-passed")
    run = launch(world, "promote", **{"source-alias": "perf-passed"})
    twin = replace(run, id=runs.RunId("a-twin"), created_at=run.created_at + timedelta(microseconds=1))
    world.store.add(twin)
    for _ in range(3):
        world.plane.dispatcher.tick()
    assert world.store.get(run.id).steps[0].state is runs.State.RUNNING
    assert world.store.get(twin.id).state is runs.State.FAILED
    assert f"by run {run.id}" in world.store.get(twin.id).reason


def promotion_of(version, actor):
    return ports.PromotionRecord("p-1", version.model, version.number, None, False, "perf-passed", actor, "api", "", version.created_at)
