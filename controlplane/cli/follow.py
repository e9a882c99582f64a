"""Watching a run until it ends: its log with reconnection, its progress as a live picture. Starts and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controlplane import client, wire
from controlplane.cli import output
from controlplane.core import errors, runs

POLL_SECONDS = 1.0
RECONNECT_SECONDS = 2.0
# A restart of the control plane takes some ten seconds; a minute without it is a fault worth telling.
MAX_FAILURES_IN_A_ROW = 30
LEVEL_STYLES = {"ERROR": "red", "WARNING": "yellow", "METRIC": "green", "PROGRESS": "dim", "DEBUG": "dim"}


@dataclass(frozen=True)
class Snapshot:
    run: wire.Run
    progress: wire.RunProgress


def is_final(run: wire.Run) -> bool:
    return runs.State(run.state).is_final


def log_lines(api: client.Client, run_id: str) -> Iterator[wire.LogLine]:
    """Every line until the run ends, each once: a broken connection is taken up again after the last line seen.

    Raises:
        Unreachable: the API stayed away too long.
    """
    last, failures = "", 0
    while True:
        try:
            for line in api.stream_logs(run_id, last):
                last, failures = line.id, 0
                yield line
            if is_final(api.run(run_id)):
                return
        except errors.Unreachable:
            failures += 1
            if failures > MAX_FAILURES_IN_A_ROW:
                raise
        pause(RECONNECT_SECONDS)


def snapshots(api: client.Client, run_id: str) -> Iterator[Snapshot]:
    """The run as it moves; the last one is final.

    Raises:
        Unreachable: the API stayed away too long.
    """
    failures = 0
    while True:
        try:
            seen = Snapshot(api.run(run_id), api.progress(run_id))
        except errors.Unreachable:
            failures += 1
            if failures > MAX_FAILURES_IN_A_ROW:
                raise
        else:
            failures = 0
            yield seen
            if is_final(seen.run):
                return
        pause(POLL_SECONDS)


def watch(api: client.Client, run_id: str) -> wire.Run:
    """Shows progress until the run ends: a live picture in a terminal, one line a change elsewhere. Returns the ended run."""
    screen = output.console()
    return _watch_live(api, run_id) if screen.is_terminal else _watch_plainly(api, run_id)


def watch_quietly(api: client.Client, run_id: str) -> wire.Run:
    return [seen.run for seen in snapshots(api, run_id)][-1]


def pause(seconds: float) -> None:
    """The seam that tests replace."""
    time.sleep(seconds)


def log_text(line: wire.LogLine) -> Text:
    fields = " ".join(f"{name}={value}" for name, value in line.fields.items())
    style = LEVEL_STYLES.get(line.level, "")
    text = Text.assemble(
        (f"{line.time[11:19]:<8} ", "dim"), (f"{line.step:<20} ", "cyan"), (f"{line.level:<8} ", style), (line.message, style)
    )
    return text.append(f"  {fields}", "dim") if fields else text


def picture(seen: Snapshot) -> RenderableType:
    """The whole run in one line, then a line a step."""
    head = Text.assemble((seen.run.title, "bold"), f"  {seen.run.id}  ", output.state(seen.run.state), f"  {seen.progress.fraction:.0%}")
    if not is_final(seen.run) and seen.progress.seconds_left is not None:
        head.append(f"  {output.lasting(seen.progress.seconds_left)} left")
    steps = Table.grid(padding=(0, 2))
    for step in seen.run.steps:
        steps.add_row("", step.name, output.state(step.state), step_time(step), _bar(step), _step_words(step))
    return Group(head, steps)


def step_time(step: wire.Step) -> str:
    return output.lasting(output.between(step.started_at, step.ended_at)) if step.started_at else ""


def _watch_live(api: client.Client, run_id: str) -> wire.Run:
    with Live(console=output.console(), refresh_per_second=4) as live:
        for seen in snapshots(api, run_id):
            live.update(picture(seen))
    return seen.run


def _watch_plainly(api: client.Client, run_id: str) -> wire.Run:
    told: dict[str, str] = {}
    for seen in snapshots(api, run_id):
        for step in seen.run.steps:
            if step.state != told.get(step.name, "waiting"):
                told[step.name] = step.state
                words = _step_words(step).plain if step.retry_at else step_time(step)
                output.say(f"{seen.progress.fraction:4.0%}  {step.name}: {step.state}  {words}".rstrip())
    return seen.run


def _bar(step: wire.Step) -> RenderableType:
    if step.progress is None or step.progress.total <= 0:
        return ""
    return ProgressBar(total=step.progress.total, completed=step.progress.done, width=24)


def _step_words(step: wire.Step) -> Text:
    if step.retry_at is not None:
        return Text(f"tried again at {step.retry_at.astimezone():%H:%M:%S}: {step.reason}", style="yellow")
    if step.reason:
        return Text(step.reason, style="yellow")
    if step.progress is None or step.state != runs.State.RUNNING:
        return Text("")
    left = f", {output.lasting(step.progress.seconds_left)} left" if step.progress.seconds_left is not None else ""
    return Text(f"{step.progress.message}{left}", style="dim")
