"""A run as it is watched: its log across steps and attempts, its progress, the command that launches it again."""

from __future__ import annotations

import random

import pytest

from controlplane.core import errors, runs


@pytest.fixture
def evaluation(world):
    """A run whose two inference steps run side by side, each with three lines."""
    world.add_version("staged")
    run = world.plane.launcher.launch("evaluation", {}, actor="ada", interface="cli")
    world.plane.dispatcher.tick()
    say(world, run, "download-eval-data", 2)
    finish(world, run, "download-eval-data")
    for _ in range(2):
        world.plane.dispatcher.tick()
    for step in ("inference-candidate", "inference-live"):
        say(world, run, step, 3)
    return run


def handle_of(world, run, step):
    return world.store.get(run.id).step(step).handle


def say(world, run, step, lines):
    for number in range(lines):
        world.executor.say(handle_of(world, run, step), f"{step} {number + 1}")


def finish(world, run, step, exit_code=0):
    world.executor.finish(handle_of(world, run, step), exit_code)


def messages(lines):
    return [line.message for line in lines]


def test_the_log_is_read_step_by_step(world, evaluation):
    lines = world.plane.watcher.logs(evaluation.id)
    assert messages(lines) == [
        *("download-eval-data 1", "download-eval-data 2"),
        *("inference-candidate 1", "inference-candidate 2", "inference-candidate 3"),
        *("inference-live 1", "inference-live 2", "inference-live 3"),
    ]
    assert lines[0].id == "download-eval-data:1"
    assert len({line.id for line in lines}) == len(lines)


def test_a_reader_can_stop_at_any_line_and_miss_nothing(world, evaluation):
    lines = world.plane.watcher.logs(evaluation.id)
    for position, line in enumerate(lines):
        assert messages(world.plane.watcher.logs(evaluation.id, line.id)) == messages(lines[position + 1 :])


def test_parallel_steps_are_both_followed(world, evaluation):
    """The step that comes first in the workflow goes on writing after the second was read."""
    last = world.plane.watcher.logs(evaluation.id)[-1].id
    say(world, evaluation, "inference-candidate", 1)
    say(world, evaluation, "inference-live", 1)
    more = world.plane.watcher.logs(evaluation.id, last)
    assert [line.step for line in more] == ["inference-candidate", "inference-live"]
    assert world.plane.watcher.logs(evaluation.id, more[-1].id) == []


def test_a_following_reader_sees_every_line_once_however_they_interleave(world, evaluation):
    generator = random.Random(3)
    seen, after = [], ""
    for _ in range(30):
        for step in generator.sample(["inference-candidate", "inference-live"], generator.randint(0, 2)):
            world.executor.say(handle_of(world, evaluation, step), f"line {len(seen)} {generator.random()}")
        for line in world.plane.watcher.logs(evaluation.id, after):
            seen.append(line.message)
            after = line.id
    assert sorted(seen) == sorted(messages(world.plane.watcher.logs(evaluation.id)))


def test_the_log_of_a_new_attempt_is_read_from_its_start(world):
    world.add_version("candidate")
    run = world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
    world.plane.dispatcher.tick()
    say(world, run, "load-adapter", 5)
    last = world.plane.watcher.logs(run.id)[-1].id
    finish(world, run, "load-adapter", exit_code=3)
    for _ in range(20):
        world.plane.dispatcher.tick()
    say(world, run, "load-adapter", 2)
    more = world.plane.watcher.logs(run.id, last)
    assert [line.id for line in more] == ["load-adapter@2:1", "load-adapter@2:2"]
    assert world.plane.watcher.logs(run.id, more[-1].id) == []


@pytest.mark.parametrize(
    "after", ["nonsense", "train:1", "load-adapter:x", "load-adapter:-1", "load-adapter@0:1", "load-adapter:1,", "a:1 OR 1=1"]
)
def test_a_place_that_is_none_is_refused(world, after):
    world.add_version("candidate")
    run = world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
    with pytest.raises(errors.InvalidInput, match="no place"):
        world.plane.watcher.logs(run.id, after)


def test_progress_comes_from_the_last_progress_line(world, evaluation):
    handle = handle_of(world, evaluation, "inference-candidate")
    world.executor.say(handle, "1 of 4", "PROGRESS", done=1, total=4)
    world.executor.say(handle, "2 of 4", "PROGRESS", done=2, total=4)
    world.executor.say(handle, "a line after it")
    step = next(step for step in world.plane.watcher.run(evaluation.id).steps if step.name == "inference-candidate")
    assert step.progress is not None
    assert (step.progress.done, step.progress.total, step.progress.message) == (2, 4, "2 of 4")
    whole = world.plane.watcher.whole(evaluation.id)
    assert whole.fraction == pytest.approx((1 + 0.5) / len(evaluation.steps))
    assert (whole.step, whole.state) == ("inference-candidate", "running")


def test_progress_lines_without_numbers_do_no_harm(world, evaluation):
    world.executor.say(handle_of(world, evaluation, "inference-candidate"), "soon", "PROGRESS", done="?", total=None)
    assert world.plane.watcher.whole(evaluation.id).fraction == pytest.approx(1 / len(evaluation.steps))


def test_typical_seconds_are_medians_of_runs_that_succeeded(world):
    world.add_version("candidate")
    for module in ("load_adapter", "smoke_test", "set_staged_alias"):
        world.executor.script(f"jobs.deployment.{module}")
    assert world.plane.watcher.typical_seconds("deployment") == {}
    for _ in range(3):
        world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
        for _ in range(8):
            world.plane.dispatcher.tick()
    typical = world.plane.watcher.typical_seconds("deployment")
    assert set(typical) == {"load-adapter", "smoke-test", "set-staged-alias"}
    assert all(seconds > 0 for seconds in typical.values())


def test_the_command_launches_the_same_run(world):
    run = world.plane.launcher.launch("training", {"dataset": "my data", "lora-config": "minimal"}, actor="ada", interface="cli")
    command = world.plane.watcher.run(run.id).command
    assert command.startswith("gatewright launch training ")
    assert "-p 'dataset=my data'" in command
    assert "-p lora-config=minimal" in command
    assert "seed" not in command, "the workflow's own default needs no mention"


def test_an_unknown_run_is_not_found(world):
    for ask in (world.plane.watcher.run, world.plane.watcher.whole, world.plane.watcher.logs):
        with pytest.raises(errors.NotFound):
            ask(runs.RunId("nope"))
