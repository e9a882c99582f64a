"""Workflows and their runs (a "job" here is one run)."""

from __future__ import annotations

import fastapi

from controlplane import wire
from controlplane.api import access
from controlplane.core import runs, workflow_spec, workflows

router = fastapi.APIRouter(tags=["jobs"])


@router.get("/workflows")
def all_workflows(plane: access.Plane) -> list[wire.Workflow]:
    defaults = plane.settings.workflow_defaults
    return [
        _shown(workflow, workflow_spec.resolve(workflow, {}, defaults), plane.watcher.typical_seconds(name))
        for name, workflow in workflows.WORKFLOWS.items()
    ]


@router.post("/jobs", status_code=201)
def launch(body: wire.Launch, plane: access.Plane, caller: access.Caller) -> wire.Run:
    run = plane.launcher.launch(body.workflow, body.parameters, actor=caller.actor, interface=caller.interface)
    return plane.watcher.shown(run)


@router.get("/jobs")
def recent(
    plane: access.Plane, workflow: str = "", is_active: bool = False, limit: int = fastapi.Query(50, ge=1, le=1000)
) -> list[wire.Run]:
    return plane.watcher.recent(workflow=workflow, is_active=is_active, limit=limit)


@router.get("/jobs/{run_id}")
def one(run_id: str, plane: access.Plane) -> wire.Run:
    return plane.watcher.run(run_id)


@router.get("/jobs/{run_id}/progress")
def progress(run_id: str, plane: access.Plane) -> wire.RunProgress:
    return plane.watcher.whole(run_id)


@router.delete("/jobs/{run_id}")
def cancel(run_id: str, plane: access.Plane, caller: access.Caller) -> wire.Run:
    return plane.watcher.shown(plane.launcher.cancel(runs.RunId(run_id), actor=caller.actor, interface=caller.interface))


@router.post("/jobs/{run_id}/retry")
def retry(run_id: str, plane: access.Plane, caller: access.Caller) -> wire.Run:
    return plane.watcher.shown(plane.launcher.retry(runs.RunId(run_id), actor=caller.actor, interface=caller.interface))


def _shown(workflow: workflow_spec.Workflow, values: dict[str, str], typical_seconds: dict[str, float]) -> wire.Workflow:
    return wire.Workflow(
        name=workflow.name,
        title=workflow.title,
        purpose=workflow.purpose,
        ends_in=workflow.ends_in,
        parameters=tuple(
            wire.Parameter(
                name=parameter.name,
                default=values[parameter.name],
                help=parameter.help,
                kind=parameter.kind,
                choices=parameter.choices,
                minimum=parameter.minimum,
                maximum=parameter.maximum,
                is_advanced=parameter.is_advanced,
            )
            for parameter in workflow.parameters
        ),
        steps=tuple(wire.StepSpec(name=step.name, help=step.help, needs=step.needs + step.follows) for step in workflow.steps),
        typical_seconds=typical_seconds,
    )
