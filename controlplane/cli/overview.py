"""Commands that answer for the whole: what is live, what waits, what data there is. They change nothing."""

from __future__ import annotations

import typer

from controlplane import wire
from controlplane.cli import models, output, session


def status(ctx: typer.Context, json: output.JsonFlag = False) -> None:
    """What is live, and is anything waiting for me?"""
    seen = session.reading(ctx).overview()
    if json:
        output.as_json(seen)
        return
    output.say(seen.headline, "bold")
    for problem in seen.problems:
        output.say(f"! {problem}", "yellow")
    _show_models(seen)
    _show_replicas(seen)
    _show_active(seen)
    models.show_events(seen.events[:10], "Nothing has happened yet.", title="Last events")


def datasets(ctx: typer.Context, json: output.JsonFlag = False) -> None:
    """List datasets and their splits."""
    found = session.reading(ctx).datasets()
    if json:
        output.as_json(found)
        return
    output.table(
        ("dataset", "version", "splits (rows, answerable)", "used by"),
        (
            (dataset.id, output.version(dataset.version), ", ".join(map(_split, dataset.splits)), ", ".join(dataset.used_by) or "–")
            for dataset in found
        ),
        empty="No datasets yet. Upload one in the console, or let gatewright demo build its own.",
    )


def _show_models(seen: wire.Overview) -> None:
    output.table(
        ("model", "live", "candidate", "previous", "state", "next"),
        (
            (model.name, _number(model.live), _candidate(model.candidate), _number(model.previous), model.headline, model.next_step)
            for model in seen.models
        ),
        empty="No models yet. Train one: gatewright launch training --wait",
        title="Models",
    )


def _show_replicas(seen: wire.Overview) -> None:
    output.table(
        ("replica", "health", "slot", "state", "wanted", "answers from"),
        (
            (
                replica.address,
                _health(replica),
                slot.name,
                output.state(slot.state),
                output.version(slot.wanted_version),
                slot.served_root or "–",
            )
            for replica in seen.replicas
            for slot in replica.slots or (_no_slot(),)
        ),
        empty="No replica is known. Start the stack: gatewright up",
        title="Replicas",
    )


def _show_active(seen: wire.Overview) -> None:
    output.table(
        ("run", "workflow", "state", "started", "by"),
        ((run.id, run.workflow, output.state(run.state), output.ago(run.created_at), run.created_by) for run in seen.active_runs),
        empty="None.",
        title="Active runs",
    )


def _number(version: wire.Version | None) -> str:
    return output.version(version.number if version else None)


def _candidate(version: wire.Version | None) -> str:
    return f"v{version.number} ({version.stage})" if version else "–"


def _health(replica: wire.Replica) -> str:
    return "healthy" if replica.is_healthy else f"not healthy: {replica.detail or 'no answer'}"


def _no_slot() -> wire.SlotState:
    return wire.SlotState(name="–", model="", alias="", wanted_version=None, wanted_root="", served_root="", state="idle")


def _split(split: wire.Split) -> str:
    return f"{split.name} {split.rows} ({split.answerable})"
