"""The command that asks candidate and live the same question and shows both answers as they come. It judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controlplane import wire
from controlplane.cli import models, output, session

COLOURS = {"candidate": "blue", "live": "green"}


@dataclass(frozen=True)
class Side:
    """What one side has said so far; `last` once it has ended."""

    text: str = ""
    last: wire.ComparisonEvent | None = None


def compare(
    ctx: typer.Context,
    model: models.ModelName,
    prompt: Annotated[str, typer.Option(help="The question.")],
    context: Annotated[str, typer.Option(help="The text to answer from.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, max=1024, help="Longest answer in tokens.")] = 48,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as the pieces come.")] = False,
) -> None:
    """Ask candidate and live the same question."""
    asked = wire.Comparison(model=model, question=prompt, context=context, max_tokens=max_tokens)
    events = session.patient(ctx).compare(asked)
    sides = _as_json_lines(events) if json else _shown(events)
    failed = {name: side.last.error for name, side in sides.items() if side.last is not None and side.last.error}
    failed |= {name: "no answer came." for name, side in sides.items() if side.last is None}
    for name, error in failed.items():
        output.complain(f"{name}: {error}", "bold red")
    if failed:
        raise typer.Exit(output.FAILED)


def with_event(sides: dict[str, Side], event: wire.ComparisonEvent) -> dict[str, Side]:
    """The sides after one more piece."""
    before = sides[event.side]
    is_end = event.is_last or bool(event.error)
    after = replace(before, text=before.text + event.text, last=event if is_end else before.last)
    return {**sides, event.side: after}


def measures(side: Side) -> str:
    """Version, time to first token, tokens per second and length, as far as they are known."""
    last = side.last
    if last is None:
        return ""
    parts = [output.version(last.version)] if last.version is not None else []
    if last.first_token_seconds is not None:
        parts.append(f"first token {last.first_token_seconds:.2f} s")
    if last.answer_tokens is not None and last.total_seconds:
        parts.append(f"{last.answer_tokens} tokens in {last.total_seconds:.2f} s ({last.answer_tokens / last.total_seconds:.1f} tokens/s)")
    return ", ".join(parts)


def _shown(events: Iterable[wire.ComparisonEvent]) -> dict[str, Side]:
    sides = _silence()
    screen = output.console()
    if screen.is_terminal:
        with Live(_panels(sides), console=screen, refresh_per_second=12) as live:
            for event in events:
                sides = with_event(sides, event)
                live.update(_panels(sides))
        return sides
    for event in events:
        sides = with_event(sides, event)
    for name, side in sides.items():
        output.say(f"{name} ({measures(side)}): {side.text}" if measures(side) else f"{name}: {side.text}")
    return sides


def _as_json_lines(events: Iterable[wire.ComparisonEvent]) -> dict[str, Side]:
    sides = _silence()
    for event in events:
        output.as_json_line(event)
        sides = with_event(sides, event)
    return sides


def _silence() -> dict[str, Side]:
    return {"candidate": Side(), "live": Side()}


def _panels(sides: dict[str, Side]) -> RenderableType:
    """Both answers beside each other, each in half of the width."""
    halves = Table.grid(expand=True)
    for _ in sides:
        halves.add_column(ratio=1)
    halves.add_row(
        *(Panel(Text(side.text), title=name, subtitle=Text(measures(side)), border_style=COLOURS[name]) for name, side in sides.items())
    )
    return halves
