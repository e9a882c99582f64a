"""The dispatch tick: runs move to their end, survive outages and repeated ticks, and leave one entry in the ledger."""

from __future__ import annotations

import pytest

from controlplane.core import errors, runs


def launch(world, workflow="deployment", **parameters):
    return world.plane.launcher.launch(workflow, parameters, actor="ada", interface="cli").id


def tick(world, times=1):
    for _ in range(times):
        world.plane.dispatcher.tick()


@pytest.fixture
def candidate(world):
    return world.add_version("candidate")


def test_a_run_goes_through_its_steps_in_order_handing_outputs_on(world, candidate):
    world.executor.script("jobs.deployment.load_adapter", outputs={"slot-name": "ops-qa-candidate", "source": "version:1", "version": "1"})
    world.executor.script("jobs.deployment.smoke_test")
    world.executor.script("jobs.deployment.set_staged_alias")
    run_id = launch(world)
    tick(world, 8)
    run = world.store.get(run_id)
    assert run.state is runs.State.SUCCEEDED
    assert [step.exit_code for step in run.steps] == [0, 0, 0]
    jobs = world.executor.jobs
    assert list(jobs) == [f"{run_id}/{name}/1" for name in ("load-adapter", "smoke-test", "set-staged-alias")]
    assert "--adapter-name=ops-qa-candidate" in jobs[f"{run_id}/smoke-test/1"].arguments
    assert "--source=version:1" in jobs[f"{run_id}/set-staged-alias/1"].arguments
    event = world.ledger.events()[0]
    assert (event.action, event.version, event.details["run"]) == ("deployment-succeeded", 1, run_id)


def test_files_of_one_step_are_named_to_the_next(world):
    world.executor.script("jobs.data.download")
    run_id = launch(world, "training")
    tick(world, 3)
    arguments = world.executor.jobs[f"{run_id}/train/1"].arguments
    assert f"--train-file=/artifacts/{run_id}/download-data/1/train.jsonl" in arguments


def test_a_gate_that_says_no_stops_the_run_with_its_reason(world, candidate):
    world.executor.script("jobs.deployment.load_adapter", exit_code=1, outputs={"outcome": "fail"}, reason="A-rate is 40%.")
    run_id = launch(world)
    tick(world, 3)
    run = world.store.get(run_id)
    assert (run.state, run.reason) == (runs.State.STOPPED, "load-adapter: A-rate is 40%.")
    assert len(world.executor.jobs) == 1
    assert world.ledger.events()[0].action == "deployment-stopped"


def test_a_run_waits_while_no_gpu_is_free_and_goes_on_when_one_is(world):
    world.executor.script("jobs.data.download")
    first, second = launch(world, "training"), launch(world, "training")
    tick(world, 6)
    trainings = [handle for handle in world.executor.jobs if "/train/" in handle]
    assert len(trainings) == 1, "one GPU, one job"
    world.executor.finish(trainings[0], 1, reason="broken")
    tick(world, 4)
    assert {handle.split("/")[0] for handle in world.executor.jobs if "/train/" in handle} == {first, second}


def test_a_job_that_can_never_start_fails_the_run_instead_of_asking_for_ever(world, candidate):
    run_id = launch(world)
    world.executor.fault = errors.InvalidInput("This machine has no module named like that.")
    tick(world, 2)
    run = world.store.get(run_id)
    assert run.state is runs.State.FAILED
    assert "no module named like that" in run.reason


def test_an_outage_of_the_executor_harms_no_run(world, candidate):
    run_id = launch(world)
    world.executor.fault = errors.Unreachable("Kubernetes", "https://k8s.test", "timed out")
    tick(world, 3)
    assert world.store.get(run_id).state is runs.State.RUNNING
    world.executor.fault = None
    tick(world)
    assert list(world.executor.jobs) == [f"{run_id}/load-adapter/1"]


def test_one_broken_run_does_not_hold_up_the_others(world, candidate):
    first, second = launch(world), launch(world)
    tick(world)
    status = world.executor.status

    def broken_for_the_first(handle):
        if handle.startswith(first):
            raise errors.OutsideError("Executor", "here", "its record is unreadable")
        return status(handle)

    world.executor.status = broken_for_the_first
    world.executor.finish(f"{second}/load-adapter/1")
    tick(world, 2)
    assert f"{second}/smoke-test/1" in world.executor.jobs


def test_killed_between_start_and_record_the_job_is_adopted_not_started_twice(world, candidate):
    run_id = launch(world)
    save, world.store.save = world.store.save, lambda run: (_ for _ in ()).throw(errors.Unreachable("Database", "here", "killed"))
    tick(world)
    world.store.save = save
    tick(world)
    assert list(world.executor.jobs) == [f"{run_id}/load-adapter/1"]
    assert world.store.get(run_id).step("load-adapter").handle == f"{run_id}/load-adapter/1"


def test_killed_between_ledger_and_record_the_end_is_told_once(world, candidate):
    world.executor.script("jobs.deployment.load_adapter", exit_code=1, reason="broken")
    run_id = launch(world)
    tick(world, 2)
    save, world.store.save = world.store.save, lambda run: (_ for _ in ()).throw(errors.Unreachable("Database", "here", "killed"))
    tick(world)
    world.store.save = save
    tick(world, 2)
    assert world.store.get(run_id).state is runs.State.FAILED
    assert [event.action for event in world.ledger.events()].count("deployment-failed") == 1


def test_each_failure_of_a_retried_run_is_told(world, candidate):
    world.executor.script("jobs.deployment.load_adapter", exit_code=1, reason="broken")
    run_id = launch(world)
    tick(world, 4)
    world.plane.launcher.retry(run_id, actor="ada", interface="cli")
    tick(world, 4)
    assert [event.action for event in world.ledger.events()].count("deployment-failed") == 2


def test_a_failed_dependency_is_tried_again_up_to_the_limit(world, candidate):
    world.executor.script("jobs.deployment.load_adapter", exit_code=3, reason="MLflow did not answer")
    run_id = launch(world)
    tick(world, 4)
    held = world.plane.watcher.run(run_id).steps[0]
    assert (held.state, held.attempt, held.reason) == ("waiting", 1, "MLflow did not answer")
    assert held.retry_at is not None
    tick(world, 60)
    assert list(world.executor.jobs) == [f"{run_id}/load-adapter/{attempt}" for attempt in (1, 2, 3)]
    assert world.store.get(run_id).state is runs.State.FAILED


def test_cancel_stops_the_job_and_the_run(world, candidate):
    run_id = launch(world)
    tick(world)
    world.plane.launcher.cancel(run_id, actor="ada", interface="cli")
    tick(world, 4)
    assert world.executor.cancelled == [f"{run_id}/load-adapter/1"]
    assert world.store.get(run_id).state is runs.State.CANCELLED


@pytest.mark.parametrize(("source", "action"), [("perf-passed", "promoted"), ("previous", "rolled-back")])
def test_a_promotion_by_workflow_is_called_a_promotion_in_the_ledger(world, candidate, source, action):
    world.executor.script("jobs.deployment.promote_adapter", outputs={"version": "1", "digest": "d" * 64})
    world.registry.aliases["ops-qa"] = {"live": world.add_version().number, "previous": 1, "perf-passed": 1}
    launch(world, "promote", **{"source-alias": source})
    tick(world, 4)
    event = world.ledger.events()[0]
    assert (event.action, event.version, event.details["digest"]) == (action, 1, "d" * 64)


def test_every_workflow_can_run_to_its_end(world):
    world.add_version("candidate", "staged", "eval-passed", "perf-passed")
    for workflow in ("training", "deployment", "evaluation", "performance", "promote"):
        run_id = launch(world, workflow, **({"source-alias": "perf-passed"} if workflow == "promote" else {}))
        for _ in range(20):
            tick(world)
            for handle in world.executor.jobs:
                if world.executor.status(handle).is_running:
                    world.executor.finish(handle, 0, {"version": "1"})
        assert world.store.get(run_id).state is runs.State.SUCCEEDED, workflow
