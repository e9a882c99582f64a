"""The five workflows as data: they hold together, read their parameters strictly, and build the command lines of the jobs that exist."""

from __future__ import annotations

import argparse
import importlib
import importlib.util

import pytest

from controlplane.core import errors, profiles, workflow_spec, workflows

STEPS = [pytest.param(flow, step, id=f"{flow.name}.{step.name}") for flow in workflows.WORKFLOWS.values() for step in flow.steps]


def test_the_five() -> None:
    assert list(workflows.WORKFLOWS) == ["training", "deployment", "evaluation", "performance", "promote"]


@pytest.mark.parametrize(("flow", "step"), STEPS)
def test_every_source_exists_and_comes_earlier(flow: workflow_spec.Workflow, step: workflow_spec.Step) -> None:
    earlier = [one.name for one in flow.steps[: flow.steps.index(step)]]
    assert set(step.needs) <= set(earlier)
    for source in step.arguments.values():
        match source:
            case workflow_spec.Param(name):
                flow.parameter(name)
            case workflow_spec.Output(name, _) | workflow_spec.Artifact(name, _):
                assert name in earlier


@pytest.mark.parametrize(("flow", "step"), STEPS)
def test_every_step_s_job_takes_its_arguments(flow: workflow_spec.Workflow, step: workflow_spec.Step) -> None:
    job = importlib.import_module(step.module)
    parser: argparse.ArgumentParser = job.parser()
    values = workflow_spec.resolve(flow, {})
    dirs = {one.name: f"/runs/{one.name}" for one in flow.steps}
    outputs = {
        one.name: {"version": "3", "run-id": "r", "data-version": "1", "slot-name": "s", "source": "version:3"} for one in flow.steps
    }
    parser.parse_args([*workflow_spec.arguments(step, values, outputs, dirs), "--output-dir=/out"])


@pytest.mark.parametrize("flow", workflows.WORKFLOWS.values(), ids=lambda flow: flow.name)
@pytest.mark.parametrize("profile", profiles.NAMES)
def test_defaults_of_every_profile_are_allowed(flow: workflow_spec.Workflow, profile: str) -> None:
    workflow_spec.resolve(flow, {}, profiles.defaults(profile, {}))


@pytest.mark.parametrize(
    ("flow", "name", "value"),
    [
        ("training", "lora-config", "huge"),
        ("training", "learning-rate", "fast"),
        ("training", "learning-rate", "nan"),
        ("training", "batch-size", "2.5"),
        ("training", "batch-size", "0"),
        ("training", "max-perplexity", "0.5"),
        ("training", "nonsense", "1"),
        ("evaluation", "min-a-rate", "1.2"),
        ("evaluation", "max-c-rate", "-0.1"),
        ("evaluation", "judge", "oracle"),
        ("performance", "concurrency", "0"),
        ("performance", "throughput-regression-factor", "2"),
        ("performance", "latency-regression-factor", "0.5"),
        ("promote", "source-alias", "candidate"),
        ("training", "model-name", "two\nlines"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(flow: str, name: str, value: str) -> None:
    with pytest.raises(errors.InvalidInput, match=name):
        workflow_spec.resolve(workflows.get(flow), {name: value})


def test_given_beats_profile_beats_own_default() -> None:
    flow = workflows.get("performance")
    values = workflow_spec.resolve(
        flow, {"concurrency": "3"}, {"concurrency": "2", "max-samples": "40", "slot-name": "not of this workflow"}
    )
    assert (values["concurrency"], values["max-samples"], values["max-tokens"]) == ("3", "40", "256")
    assert "slot-name" not in values


def test_a_profile_may_change_one_workflow_alone() -> None:
    defaults = profiles.defaults("local", {})
    gates = {name: workflow_spec.resolve(workflows.WORKFLOWS[name], {}, defaults)["rules"] for name in ("evaluation", "performance")}
    assert gates == {"evaluation": "interval", "performance": "point"}
    assert workflow_spec.resolve(workflows.PERFORMANCE, {"rules": "interval"}, defaults)["rules"] == "interval"


def test_flags_stand_alone_and_empty_values_are_left_out() -> None:
    step = workflow_spec.Step(
        "s", "m", {"on": workflow_spec.Const("true"), "off": workflow_spec.Const("false"), "none": workflow_spec.Param("p")}
    )
    assert workflow_spec.arguments(step, {"p": ""}, {}, {}) == ["--on"]


def test_an_output_of_an_earlier_step_and_a_file_of_it_are_passed_on() -> None:
    step = workflows.get("evaluation").step("compare-decision")
    values = workflow_spec.resolve(workflows.get("evaluation"), {})
    dirs = {"judge-answers": "/r/judge", "download-eval-data": "/r/data"}
    made = workflow_spec.arguments(step, values, {"download-eval-data": {"version": "7"}}, dirs)
    assert "--version=7" in made
    assert "--grades-file=/r/judge/grades.jsonl" in made


@pytest.mark.parametrize("name", ["", "deploy", "Training"])
def test_unknown_workflow(name: str) -> None:
    with pytest.raises(errors.NotFound, match="Choose one of: training"):
        workflows.get(name)
