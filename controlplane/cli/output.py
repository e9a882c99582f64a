"""How the command line speaks: tables and colour in a terminal, plain in a pipe, JSON on request, errors on stderr. Asks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from controlplane.core import errors

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON: the API's own bodies.")]

# A pipe has no width: rows stay on one line, for grep and awk.
PIPE_COLUMNS = 4000
DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

# Word, mark and colour: colour never carries the meaning alone.
STATES: Mapping[str, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "running": ("▶", "cyan"),
    "succeeded": ("✔", "green"),
    "done": ("✔", "green"),
    "ok": ("✔", "green"),
    "agrees": ("✔", "green"),
    "stopped": ("■", "yellow"),
    "warning": ("!", "yellow"),
    "drift": ("!", "red"),
    "failed": ("✖", "red"),
    "cancelled": ("⊘", "magenta"),
    "idle": ("·", "dim"),
}


def console() -> Console:
    """Made anew for each use, so that it looks at the standard output of now."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=PIPE_COLUMNS)


def errors_console() -> Console:
    plain = Console(stderr=True, highlight=False)
    return plain if plain.is_terminal else Console(stderr=True, highlight=False, width=PIPE_COLUMNS)


def say(text: str, style: str = "") -> None:
    console().print(Text(text, style=style), soft_wrap=True)


def complain(text: str, style: str = "") -> None:
    errors_console().print(Text(text, style=style), soft_wrap=True)


def as_json(body: BaseModel | Sequence[BaseModel] | Mapping[str, object] | Sequence[Mapping[str, object]] | None) -> None:
    typer.echo(json.dumps(_plain(body), indent=2, ensure_ascii=False))


def as_json_line(body: BaseModel) -> None:
    typer.echo(json.dumps(body.model_dump(mode="json"), ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, empty: str, title: str = "") -> None:
    """A table, or `empty`, which says what to do next. Text of others is shown as it is, never read as markup."""
    rows = list(rows)
    screen = console()
    if title:
        screen.print(Text(f"\n{title}", style="bold"))
    if not rows:
        screen.print(Text(empty, style="dim"), soft_wrap=True)
        return
    drawn = Table(box=box.SIMPLE_HEAD if screen.is_terminal else None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    screen.print(drawn)


def pairs(values: Mapping[str, str]) -> None:
    """Names and values, one pair a line; empty ones left out."""
    shown = {name: value for name, value in values.items() if value}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        console().print(Text.assemble((f"{name:<{width}}  ", "dim"), value), soft_wrap=True)


def state(word: str) -> Text:
    mark, colour = STATES.get(word, ("?", ""))
    return Text(f"{mark} {word}", style=colour)


def problem(error: errors.GatewrightError) -> int:
    """Says on stderr what happened and what to do next; returns the exit code."""
    complain(f"{error.title}: {error.detail}", "bold red")
    if error.hint:
        complain(f"Next: {error.hint}")
    request_id = getattr(error, "request_id", "")
    if request_id:
        complain(f"Request id: {request_id}", "dim")
    return WRONG_USAGE if isinstance(error, errors.InvalidInput) else FAILED


def ago(moment: datetime | None) -> str:
    return relative(moment, datetime.now(UTC)) if moment else "–"


def relative(moment: datetime, now: datetime) -> str:
    """`moment` as seen from `now`, in its largest unit: 5 min ago. A moment without a zone is in UTC, as the API sends it."""
    seconds = (now - _aware(moment)).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if abs(seconds) >= length:
            count = int(abs(seconds) // length)
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "just now"


def exact(moment: datetime) -> str:
    """In the reader's own time zone, to the second."""
    return _aware(moment).astimezone().isoformat(sep=" ", timespec="seconds")


def lasting(seconds: float | None) -> str:
    """A duration with its two largest units: 1 h 5 min, 2 min 3 s, 0.4 s."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: float | int | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def version(value: int | None) -> str:
    return "–" if value is None else f"v{value}"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from start to end, or to now while it goes on."""
    if start is None:
        return None
    return (_aware(end or datetime.now(UTC)) - _aware(start)).total_seconds()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(body: object) -> object:
    if isinstance(body, BaseModel):
        return body.model_dump(mode="json")
    if isinstance(body, (list, tuple)):
        return [_plain(item) for item in body]
    return body
