"""The command that measures a judge: it runs the job on this machine and shows what it found. It grades and decides nothing."""

from __future__ import annotations

import json as json_module
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from controlplane import job_process, ports, settings, wire
from controlplane.cli import output, session
from controlplane.core import errors
from controlplane.services import calibrations

MODULE = "jobs.evaluation.calibrate_judge"
SHOWN_DISAGREEMENTS = 5
LONGEST_CELL = 80
UNSCORED = "unscored"


def calibrate(
    ctx: typer.Context,
    judge: Annotated[str, typer.Option(help="llm or reference; none: llm where a judge's address is known.")] = "",
    judge_url: Annotated[str, typer.Option(help="The judge's address, OpenAI-compatible (default: GATEWRIGHT_JUDGE_URL).")] = "",
    judge_model: Annotated[str, typer.Option(help="The judge's model; none: the first the server lists.")] = "",
    golden_file: Annotated[Path | None, typer.Option(help="JSONL with trusted grades; none: the set shipped for ops-qa.")] = None,
    min_kappa: Annotated[float | None, typer.Option(min=-1, max=1, help="Lowest kappa at which its grades count (default: 0.6).")] = None,
    json: output.JsonFlag = False,
) -> None:
    """Measure how far a judge agrees with trusted grades; exit code 1 when its grades must not count."""
    arguments = _arguments(session.config(ctx), judge, judge_url, judge_model, golden_file, min_kappa)
    try:
        ended, found = _measured(arguments, json)
    except KeyboardInterrupt:
        output.complain("Stopped. Grades of an llm judge are kept: the same command goes on from there.")
        raise typer.Exit(output.INTERRUPTED) from None
    if found is not None:
        _show(found, json)
    if ended.exit_code != 0:
        is_lost = found is not None and not ended.outputs.get("mlflow-run")
        output.complain(f"It was not recorded: {ended.reason}" if is_lost else ended.reason, "bold red")
        raise typer.Exit(output.WRONG_USAGE if ended.exit_code == output.WRONG_USAGE else output.FAILED)


def run_job(arguments: tuple[str, ...], output_dir: Path, progress: Progress) -> job_process.Ended:
    """The seam that tests replace."""
    task = progress.add_task("Starting", total=None)

    def on_line(line: ports.LogLine) -> None:
        done, total = line.fields.get("done"), line.fields.get("total")
        if line.level == "PROGRESS" and isinstance(done, int) and isinstance(total, int):
            progress.update(task, description="Grading", completed=done, total=total)

    return job_process.run(MODULE, arguments, output_dir, on_line)


def _arguments(
    config: settings.Settings, judge: str, url: str, model: str, golden_file: Path | None, min_kappa: float | None
) -> tuple[str, ...]:
    if judge not in ("", "llm", "reference"):
        raise errors.InvalidInput(f"There is no judge {judge!r}.", hint="Say --judge=llm or --judge=reference.")
    address = url or config.judge_url
    given = {
        "judge": judge or ("llm" if address else "reference"),
        "judge-url": address,
        "judge-model": model,
        "golden-file": str(golden_file.absolute()) if golden_file else "",
        "min-kappa": "" if min_kappa is None else str(min_kappa),
        "mlflow-tracking-uri": config.mlflow_url,
    }
    return (*(f"--{name}={value}" for name, value in given.items() if value or name == "judge-url"),)


def _measured(arguments: tuple[str, ...], json: bool) -> tuple[job_process.Ended, wire.Calibration | None]:
    """How the job ended, and what it measured, even where it could not be recorded."""
    with tempfile.TemporaryDirectory(prefix="gatewright-judge-") as directory:
        with _progress(json) as progress:
            ended = run_job(arguments, Path(directory), progress)
        file = Path(directory) / calibrations.FILE
        return ended, calibrations.shown(json_module.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


@contextmanager
def _progress(is_silent: bool) -> Iterator[Progress]:
    """On stderr and in a terminal only: what is piped stays clean."""
    screen = output.errors_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=is_silent or not screen.is_terminal) as progress:
        yield progress


def _show(found: wire.Calibration, json: bool) -> None:
    if json:
        output.as_json(found)
        return
    output.say(found.judge, "bold")
    output.say(f"Cohen's kappa {kappa_text(found)}; at least {found.min_kappa:.2f} is required.", "red" if found.refusal else "green")
    agreed = round(found.agreement * found.rows)
    output.say(f"It agrees with {agreed} of {found.rows} trusted grades ({found.agreement:.1%}); {found.unscored} replies held no grade.")
    for warning in found.warnings:
        output.say(f"! {warning}", "yellow")
    _show_confusion(found)
    rows = ((kind.kind, f"{kind.agreed} of {kind.rows}") for kind in found.kinds)
    output.table(("kind of answer", "graded right"), rows, empty="No kinds.", title="By kind")
    _show_disagreements(found)


def kappa_text(found: wire.Calibration) -> str:
    if found.kappa is None or found.interval is None:
        return "is undefined: every grade is the same letter"
    return f"{found.kappa:.2f} ({found.interval.level:.0%} interval {found.interval.low:.2f} to {found.interval.high:.2f})"


def _show_confusion(found: wire.Calibration) -> None:
    letters = [letter for counts in found.confusion.values() for letter in counts]
    columns = tuple(dict.fromkeys(letters))
    rows = ((trusted, *(str(counts.get(column, 0)) for column in columns)) for trusted, counts in found.confusion.items())
    output.table(("trusted \\ judge's", *columns), rows, empty="Nothing was graded.", title="Confusion")


def _show_disagreements(found: wire.Calibration) -> None:
    first = found.disagreements[:SHOWN_DISAGREEMENTS]
    output.table(
        ("row", "trusted", "judge", "answer", "the judge's reason"),
        ((one.id, one.grade, one.given or UNSCORED, _short(one.answer), _short(one.reason)) for one in first),
        empty="None.",
        title=f"Disagreements ({len(first)} of {len(found.disagreements)})",
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
