"""`gatewright`: names the commands and turns our errors into exit codes. Each command only asks the API and shows the answer.

Exit codes: 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Annotated, Any

import typer
import typer.core

from controlplane.cli import audit, compare, judge, machine, models, output, overview, runs, session, votes
from controlplane.core import errors


class Commands(typer.core.TyperGroup):
    """The one place where our errors end: a sentence for a person, and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except errors.GatewrightError as error:
            raise typer.Exit(output.problem(error)) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Takes a LoRA adapter from training run to production on vLLM, through gates, and back.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"gatewright {metadata.version('gatewright')}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    api_url: Annotated[str, typer.Option("--api-url", help="The API's address (default: GATEWRIGHT_API_URL, else this machine).")] = "",
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,  # noqa: ARG001 (its callback acts)
) -> None:
    session.configure(ctx, api_url)


def main() -> None:
    app()


_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "This machine": {"up": machine.up, "demo": machine.demo, "doctor": machine.check},
    "Look": {"status": overview.status, "datasets": overview.datasets},
    "Runs": {
        "launch": runs.launch,
        "runs": runs.list_runs,
        "run": runs.show_run,
        "logs": runs.logs,
        "cancel": runs.cancel,
        "retry": runs.retry,
    },
    "Models": {
        "models": models.list_models,
        "versions": models.versions,
        "compare": compare.compare,
        "promote": models.promote,
        "rollback": models.rollback,
        "history": models.history,
        "adopt": models.adopt,
        "revert": models.revert,
        "archive": models.archive,
        "restore": models.restore,
        "delete": models.delete,
    },
}

_AUDIT = typer.Typer(no_args_is_help=True, help="Check the ledger.")
_AUDIT.command("verify")(audit.verify)
app.add_typer(_AUDIT, name="audit", rich_help_panel="Models")

_JUDGE = typer.Typer(no_args_is_help=True, help="Check whether the judge can be trusted.")
_JUDGE.command("calibrate")(judge.calibrate)
app.add_typer(_JUDGE, name="judge", rich_help_panel="Models")
_VOTES = typer.Typer(no_args_is_help=True, help="Take out what people said about answers.")
_VOTES.command("export")(votes.export)
_VOTES.command("golden")(votes.golden)
app.add_typer(_VOTES, name="votes", rich_help_panel="Models")

for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)
