"""Commands on runs: launch, list, look, read the log, cancel, retry. Parameters are judged by the API, never here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from controlplane import client, wire
from controlplane.cli import follow, output, session
from controlplane.core import errors, runs, workflows

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id, as `gatewright runs` shows it.")]


def complete_workflow(incomplete: str) -> list[str]:
    return [name for name in workflows.WORKFLOWS if name.startswith(incomplete)]


def launch(
    ctx: typer.Context,
    workflow: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(workflows.WORKFLOWS)}.", autocompletion=complete_workflow, metavar="WORKFLOW")
    ],
    parameter: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter; repeat for more.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until the run ends; exit 1 when it did not succeed.")] = False,
    is_following: Annotated[bool, typer.Option("--follow", help="Like --wait, but print the log as it comes.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Start a workflow."""
    given = read_parameters(parameter or [])
    check_workflow(workflow)
    api = session.reading(ctx)
    run = api.launch(workflow, given)
    if not wait and not is_following:
        _show_started(run, json)
        return
    try:
        ended = _attend(api, run, is_following, json)
    except KeyboardInterrupt:
        output.complain(f"\nThe run goes on. See it: gatewright run {run.id}; stop it: gatewright cancel {run.id}")
        raise typer.Exit(output.INTERRUPTED) from None
    _conclude(ended, json)


def list_runs(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Option(help="Only runs of this workflow.", autocompletion=complete_workflow)] = "",
    active: Annotated[bool, typer.Option("--active", help="Only runs that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 20,
    json: output.JsonFlag = False,
) -> None:
    """List runs, newest first."""
    found = session.reading(ctx).runs(workflow=workflow, is_active=active, limit=limit)
    if json:
        output.as_json(found)
        return
    output.table(
        ("run", "workflow", "state", "started", "took", "by", "reason"),
        ([*_run_cells(run), run.reason] for run in found),
        empty="No runs. Start one: gatewright launch training",
    )


def show_run(ctx: typer.Context, run_id: RunId, json: output.JsonFlag = False) -> None:
    """Show one run: steps, outputs, parameters and the command that repeats it."""
    run = session.reading(ctx).run(run_id)
    if json:
        output.as_json(run)
        return
    _show_run(run)


def logs(
    ctx: typer.Context,
    run_id: RunId,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C stops reading, not the run.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print a run's log."""
    api = session.reading(ctx)
    if not is_following:
        _print_lines(api.logs(run_id), json)
        return
    api.run(run_id)  # an unknown run or a dead API is told at once; only a connection that once stood is taken up again
    try:
        for line in follow.log_lines(api, run_id):
            _print_lines([line], json)
    except KeyboardInterrupt:
        output.complain("Stopped reading; the run goes on.", "dim")


def cancel(ctx: typer.Context, run_id: RunId, json: output.JsonFlag = False) -> None:
    """Stop a run: its jobs get 10 seconds to end by themselves."""
    run = session.reading(ctx).cancel(run_id)
    if json:
        output.as_json(run)
        return
    output.say(f"Run {run.id} is {run.state}." if follow.is_final(run) else f"Run {run.id} was asked to stop. See: gatewright run {run.id}")


def retry(ctx: typer.Context, run_id: RunId, json: output.JsonFlag = False) -> None:
    """Run it again with the same parameters."""
    _show_started(session.reading(ctx).retry(run_id), json)


def read_parameters(given: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a mapping.

    Raises:
        InvalidInput: one has no key or no equals sign, or a key stands twice.
    """
    result: dict[str, str] = {}
    for text in given:
        key, sign, value = text.partition("=")
        key = key.strip().removeprefix("--")
        if not sign or not key:
            raise errors.InvalidInput(f"{text!r} is not a parameter.", hint="Write -p key=value, for instance -p data-version=2.")
        if key in result:
            raise errors.InvalidInput(f"The parameter {key} is given twice.", hint="Keep one of them.")
        result[key] = value
    return result


def check_workflow(name: str) -> None:
    """Raises InvalidInput for an unknown workflow: to a person typing a command that is wrong usage, not a missing thing."""
    try:
        workflows.get(name)
    except errors.NotFound as error:
        raise errors.InvalidInput(error.detail, hint=error.hint) from error


def _show_started(run: wire.Run, json: bool) -> None:
    if json:
        output.as_json(run)
        return
    output.say(f"Run {run.id} started ({run.workflow}).")
    output.say(f"Follow it: gatewright logs {run.id} --follow", "dim")


def _attend(api: client.Client, run: wire.Run, is_following: bool, json: bool) -> wire.Run:
    if json:
        return follow.watch_quietly(api, run.id)
    output.say(f"Run {run.id} started ({run.workflow}).")
    if not is_following:
        return follow.watch(api, run.id)
    for line in follow.log_lines(api, run.id):
        _print_lines([line], False)
    return api.run(run.id)


def _conclude(run: wire.Run, json: bool) -> None:
    if json:
        output.as_json(run)
    took = output.lasting(output.between(run.created_at, run.ended_at))
    if run.state == runs.State.SUCCEEDED:
        if not json:
            output.say(f"Run {run.id} succeeded in {took}.", "green")
        return
    output.complain(f"Run {run.id} {run.state} after {took}: {run.reason or 'no reason was recorded.'}", "bold red")
    output.complain(f"Next: read its log with gatewright logs {run.id}; run it again with gatewright retry {run.id}")
    raise typer.Exit(output.FAILED)


def _show_run(run: wire.Run) -> None:
    output.console().print(output.state(run.state), f"{run.title}  {run.id}", markup=False, soft_wrap=True)
    output.pairs(
        {
            "reason": run.reason,
            "started": f"{output.ago(run.created_at)} ({output.exact(run.created_at)})",
            "took": output.lasting(output.between(run.created_at, run.ended_at)),
            "by": " from ".join(filter(None, (run.created_by, run.interface))),
            "again": run.command,
        }
    )
    output.table(
        ("step", "state", "took", "attempt", "reason"),
        ((step.name, output.state(step.state), follow.step_time(step), str(step.attempt or ""), step.reason) for step in run.steps),
        empty="This run has no steps.",
        title="Steps",
    )
    outputs = {f"{step.name}.{key}": value for step in run.steps for key, value in step.outputs.items()}
    output.table(("output", "value"), outputs.items(), empty="None yet.", title="Outputs")
    given = {name: value for name, value in run.parameters.items() if value}
    output.table(("parameter", "value"), given.items(), empty="None.", title="Parameters")


def _run_cells(run: wire.Run) -> list[RenderableType]:
    took = output.lasting(output.between(run.created_at, run.ended_at))
    return [run.id, run.workflow, output.state(run.state), output.ago(run.created_at), took, run.created_by]


def _print_lines(lines: Sequence[wire.LogLine], json: bool) -> None:
    for line in lines:
        if json:
            output.as_json_line(line)
        else:
            output.console().print(follow.log_text(line), soft_wrap=True)
