"""Where a reader is in the log of a whole run, as text that a client sends back to go on. Pure.

It reads `<step>:<number>`, with the steps that run beside it after commas. A step that was tried again has a new log:
its number then belongs to an attempt, `<step>@<attempt>:<number>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.core import errors, runs, workflows

_PART = re.compile(r"(?P<step>[a-z0-9-]+)(?:@(?P<attempt>[1-9]\d{0,5}))?:(?P<number>\d{1,12})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """The last line seen of one step's attempt."""

    attempt: int
    number: int


def parse(text: str, run: runs.Run) -> dict[str, Place]:
    """The places by step; empty text is the log's beginning.

    Raises:
        InvalidInput: the text is no place in this run's log.
    """
    places = {}
    for part in text.split(",") if text else ():
        match = _PART.fullmatch(part)
        if match is None or match["step"] not in (step.name for step in run.steps):
            raise errors.InvalidInput(f"{text!r} is no place in the log of run {run.id}.", hint="Send the id of a line as it was received.")
        places[match["step"]] = Place(int(match["attempt"] or 1), int(match["number"]))
    return places


def seen(step: runs.StepRun, places: Mapping[str, Place], run: runs.Run) -> int | None:
    """The number of the last line seen of this step; None when all of it was, because a step that needs it has been read."""
    if step.name in places:
        place = places[step.name]
        return place.number if place.attempt == max(1, step.attempt) else 0
    return None if any(step.name in _needed(run.workflow, name) for name in places) else 0


def write(step: runs.StepRun, places: Mapping[str, Place], run: runs.Run) -> str:
    """The id of the line that is the last one seen of `step`: it, then where the reader is in the steps beside it."""
    beside = [
        other.name
        for other in run.steps
        if other.name in places
        and other.name != step.name
        and other.name not in _needed(run.workflow, step.name)
        and step.name not in _needed(run.workflow, other.name)
    ]
    return ",".join(_part(name, places[name]) for name in (step.name, *beside))


def _part(name: str, place: Place) -> str:
    return f"{name}:{place.number}" if place.attempt == 1 else f"{name}@{place.attempt}:{place.number}"


def _needed(workflow: str, name: str) -> set[str]:
    """Every step that must have ended before this one starts."""
    direct = workflows.get(workflow).step(name).needs
    return {*direct, *(further for near in direct for further in _needed(workflow, near))}
