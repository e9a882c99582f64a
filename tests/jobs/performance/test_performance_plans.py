"""From arguments to the plan of a load test."""

from __future__ import annotations

import argparse

import pytest

from controlplane.core import errors, load_plan
from jobs.performance import plans, run_load_test

CANDIDATE, LIVE = "ops-qa-candidate", "ops-qa-live"
BOTH = {CANDIDATE: "/adapters/2", LIVE: "/adapters/1", "base": "/base"}
SAME = {CANDIDATE: "/adapters/1", LIVE: "/adapters/1"}
ALONE = {CANDIDATE: "/adapters/2"}


def parsed(*flags: str) -> argparse.Namespace:
    return run_load_test.parser().parse_args(["--eval-file=eval.jsonl", "--model-name=ops-qa", *flags])


def planned(rows: int, *flags: str, served: dict[str, str] = BOTH) -> load_plan.Plan:
    arguments = parsed(*flags)
    return plans.plan(arguments, plans.slots(served, arguments), rows)


@pytest.mark.parametrize(
    ("served", "baseline", "names"),
    [
        (BOTH, "auto", [CANDIDATE, LIVE]),
        (SAME, "auto", [CANDIDATE]),
        (ALONE, "auto", [CANDIDATE]),
        (SAME, "live", [CANDIDATE, LIVE]),
        (BOTH, "stored", [CANDIDATE]),
        (BOTH, "none", [CANDIDATE]),
    ],
)
def test_live_takes_turns_where_it_is_another_version(served: dict[str, str], baseline: str, names: list[str]) -> None:
    assert [slot.name for slot in planned(10, f"--baseline={baseline}", served=served).slots] == names


@pytest.mark.parametrize(("served", "flags", "missing"), [({"base": "/base"}, (), CANDIDATE), (ALONE, ("--baseline=live",), LIVE)])
def test_a_slot_that_is_needed_and_not_served_is_named(served: dict[str, str], flags: tuple[str, ...], missing: str) -> None:
    with pytest.raises(errors.NotFound, match=missing):
        planned(10, *flags, served=served)


@pytest.mark.parametrize(
    ("rows", "flags", "per_slot"),
    [
        (100, (), 100),
        (100, ("--max-samples=40",), 40),
        (30, ("--max-samples=40",), 30),
        (30, ("--requests=400",), 400),
        (1, ("--blocks=1",), 1),
    ],
)
def test_each_slot_is_asked_as_often_as_wished(rows: int, flags: tuple[str, ...], per_slot: int) -> None:
    plan = planned(rows, *flags)
    assert plan.requests_per_block * plan.blocks_per_slot == per_slot
    assert plan.counted_requests == 2 * per_slot


def test_every_turn_has_more_requests_than_clients() -> None:
    assert [planned(rows, "--concurrency=4", "--blocks=4").blocks_per_slot for rows in (4, 8, 20, 100)] == [1, 1, 2, 4]


def test_an_open_loop_has_a_rate() -> None:
    plan = planned(10, "--loop=open", "--rate=3.5", "--arrivals=constant", "--max-in-flight=9")
    assert plan.loop == load_plan.OpenLoop(3.5, load_plan.Arrivals.CONSTANT, 9)
    assert plans.settings(plan, "sha")["rate"] == "3.5"


def test_a_sweep_asks_the_candidate_alone_with_each_load() -> None:
    arguments = parsed("--sweep=1,8", "--concurrency=3")
    steps = plans.sweep(arguments, plans.plan(arguments, plans.slots(BOTH, arguments), 50))
    assert [(load, step.loop, step.requests_per_block, len(step.slots)) for load, step in steps] == [
        (1, load_plan.ClosedLoop(1), 20, 1),
        (8, load_plan.ClosedLoop(8), 32, 1),
    ]


@pytest.mark.parametrize(
    "flag", ["--sweep=1,x", "--sweep=0", "--rate=0", "--concurrency=0", "--blocks=0", "--precision=-1", "--loop=round"]
)
def test_values_out_of_range_are_wrong_usage(flag: str) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed(flag)
    assert stop.value.code == 2


def test_a_plan_that_makes_no_test_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="precision"):
        planned(10, "--precision=2")
