"""Commands on this machine itself: start the stack, run the demo, look for what is wrong."""

from __future__ import annotations

from dataclasses import asdict

import typer

from controlplane.cli import doctor, output, session


def up(ctx: typer.Context) -> None:
    """Start the stack with the console, until Ctrl-C."""
    from controlplane import stack  # heavy, and needed by this command alone

    raise typer.Exit(stack.run_until_interrupted(session.config(ctx)))


def demo(ctx: typer.Context) -> None:
    """Take an adapter from data to live on this machine, and show the proof."""
    from controlplane import demo  # heavy, and needed by this command alone

    raise typer.Exit(demo.run(session.config(ctx)))


def check(ctx: typer.Context, json: output.JsonFlag = False) -> None:
    """Check this machine and every outside system, and say how to mend what is wrong."""
    config = session.config(ctx)
    findings = doctor.examine(config, session.make_client(config, config.timeouts.read_seconds))
    if json:
        output.as_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(finding.state == "failed" for finding in findings):
        if not json:
            output.complain("Something essential is wrong; the lines marked ✖ say how to mend it.", "bold red")
        raise typer.Exit(output.FAILED)


def _show(findings: list[doctor.Finding]) -> None:
    output.table(
        ("check", "state", "found", "to mend"),
        ((finding.name, output.state(finding.state), finding.detail, finding.hint) for finding in findings),
        empty="Nothing was checked.",
    )
