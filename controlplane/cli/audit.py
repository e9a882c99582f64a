"""`gatewright audit verify`: is the ledger whole, and does MLflow agree with it?"""

from __future__ import annotations

import typer

from controlplane.cli import output, session


def verify(ctx: typer.Context, json: output.JsonFlag = False) -> None:
    """Check the ledger's hash chain and compare it with MLflow; exit code 1 when something is wrong."""
    found = session.patient(ctx).audit()
    if json:
        output.as_json(found)
    elif not found.faults:
        output.say(f"{found.entries} entries are whole; {found.models} models in MLflow agree with them.", "green")
        output.say(f"Newest hash: {found.head or '–'}. Keep it elsewhere to notice if the end of the ledger is ever cut off.", "dim")
    for fault in found.faults:
        output.complain(fault, "bold red")
    if found.faults:
        raise typer.Exit(output.FAILED)
