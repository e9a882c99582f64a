"""`gatewright votes`: what people said about answers, as files for other programs. It counts nothing and judges nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from controlplane import wire
from controlplane.cli import output, session
from controlplane.core import spreadsheets

Model = Annotated[str, typer.Option(help="The model's name, as `gatewright models` shows it.")]
Version = Annotated[int, typer.Option(min=1, help="The candidate version.")]


def export(
    ctx: typer.Context,
    model: Model,
    version: Annotated[int | None, typer.Option(min=1, help="Votes on this candidate version only.")] = None,
    format: Annotated[Literal["csv", "jsonl"], typer.Option(help="One header and a line each, or a JSON object each.")] = "csv",
) -> None:
    """Print every vote with the answers it was about, oldest first."""
    votes = session.reading(ctx).exported_votes(model, version)
    if format == "csv":
        rows = (vote.model_dump(mode="json") for vote in votes)
        typer.echo(spreadsheets.to_csv(list(wire.ExportedVote.model_fields), rows), nl=False)
        return
    for vote in votes:
        output.as_json_line(vote)


def golden(ctx: typer.Context, model: Model, version: Version) -> None:
    """Print the answers whose right grade people agree on, a JSON object a line, to measure a judge by."""
    rows = session.reading(ctx).golden_rows(model, version)
    if not rows:
        output.complain("No grade is agreed on yet: state right grades on the Evaluation page, or let two people vote `both bad`.", "dim")
    for row in rows:
        output.as_json_line(row)
