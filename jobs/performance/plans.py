"""From arguments and what a server serves to the plan of a load test. It sends nothing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from controlplane.core import adapters, errors, latency, load_plan
from jobs import job

FEWEST_SWEEP_REQUESTS = 20


def slots(served: Mapping[str, str], arguments: argparse.Namespace) -> tuple[load_plan.Slot, ...]:
    """The slots to load: the candidate's, and live's where the two are to take turns.

    Args:
        served: the directory of each name that the server answers to.

    Raises:
        NotFound: a slot that is needed is not served.
    """
    candidate = arguments.adapter_name or adapters.candidate_slot(arguments.model_name)
    live = arguments.live_adapter or adapters.live_slot(arguments.model_name)
    _require(served, candidate)
    if arguments.baseline == "live":
        _require(served, live)
    alternates = arguments.baseline == "live" or (arguments.baseline == "auto" and served.get(live, served[candidate]) != served[candidate])
    roles = {latency.CANDIDATE: candidate, **({latency.LIVE: live} if alternates else {})}
    return tuple(load_plan.Slot(role, name) for role, name in roles.items())


def plan(arguments: argparse.Namespace, under_test: tuple[load_plan.Slot, ...], rows: int) -> load_plan.Plan:
    """Raises InvalidInput."""
    count = arguments.requests or min(arguments.max_samples or rows, rows)
    turns = _turns(arguments, count)
    return load_plan.Plan(
        slots=under_test,
        loop=loop(arguments),
        max_tokens=arguments.max_tokens,
        requests_per_block=-(-count // turns),
        blocks_per_slot=turns,
        endpoint=load_plan.Endpoint(arguments.endpoint),
        ramp_seconds=arguments.ramp_seconds,
        warmup_requests=arguments.warmup_requests,
        deadline_seconds=arguments.request_timeout,
        max_seconds=arguments.max_seconds,
        precision=arguments.precision,
    )


def _turns(arguments: argparse.Namespace, count: int) -> int:
    """As many as wished, but each with the load whole for a while: twice as many requests as clients."""
    clients = arguments.concurrency if arguments.loop == "closed" else 1
    return int(min(arguments.blocks, max(1, count // (2 * clients))))


def loop(arguments: argparse.Namespace) -> load_plan.ClosedLoop | load_plan.OpenLoop:
    if arguments.loop == "closed":
        return load_plan.ClosedLoop(arguments.concurrency)
    return load_plan.OpenLoop(arguments.rate, load_plan.Arrivals(arguments.arrivals), arguments.max_in_flight)


def sweep(arguments: argparse.Namespace, plan: load_plan.Plan) -> list[tuple[float, load_plan.Plan]]:
    """(load, plan) of each step, on the candidate alone; loads are requests in flight, or requests/s where the loop is open."""
    steps = []
    for load in arguments.sweep:
        own = (
            load_plan.ClosedLoop(int(load)) if isinstance(plan.loop, load_plan.ClosedLoop) else replace(plan.loop, requests_per_second=load)
        )
        count = max(FEWEST_SWEEP_REQUESTS, 4 * int(load))
        steps.append((load, replace(plan, slots=plan.slots[:1], loop=own, requests_per_block=count, blocks_per_slot=1, precision=0.0)))
    return steps


def settings(plan: load_plan.Plan, dataset_digest: str) -> dict[str, str]:
    """What two tests must have in common to be compared."""
    if isinstance(plan.loop, load_plan.ClosedLoop):
        load = {"loop": "closed", "concurrency": str(plan.loop.concurrency)}
    else:
        load = {"loop": "open", "rate": f"{plan.loop.requests_per_second:g}", "arrivals": plan.loop.arrivals.value}
    return {**load, "endpoint": plan.endpoint.value, "max_tokens": str(plan.max_tokens), "questions": dataset_digest}


def loads(text: str) -> tuple[float, ...]:
    """Of `--sweep`, such as `1,2,4,8`. Raises argparse.ArgumentTypeError."""
    return tuple(job.positive_number(one) for one in text.split(",") if one.strip())


def _require(served: Mapping[str, str], slot: str) -> None:
    if slot not in served:
        raise errors.NotFound(f"vLLM serves no {slot!r}.", hint=f"It serves: {', '.join(served)}. Run the deployment workflow.")
