"""Launching, retrying and cancelling: what is recorded, what is refused, and that a refusal records nothing."""

from __future__ import annotations

import pytest

from controlplane import ports
from controlplane.core import errors, runs


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


def promotion_of(version, actor):
    return ports.PromotionRecord("p-1", version.model, version.number, None, False, "perf-passed", actor, "api", "", version.created_at)
