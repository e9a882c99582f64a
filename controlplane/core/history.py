"""What the ledger says is live, against what the registry's aliases say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controlplane.core import lifecycle


class Entry(Protocol):
    """What is read of a ledger entry. `details["replaces"]` is the number of the version that became previous, or empty."""

    @property
    def id(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def action(self) -> str: ...
    @property
    def version(self) -> int | None: ...
    @property
    def details(self) -> Mapping[str, str]: ...


PROMOTED, ROLLED_BACK, ADOPTED = "promoted", "rolled-back", "adopted"
LIVE_ACTIONS = (PROMOTED, ROLLED_BACK, ADOPTED)


@dataclass(frozen=True)
class Decided:
    """What the last decision made live and previous."""

    live: int
    previous: int | None

    @property
    def aliases(self) -> Mapping[str, int]:
        return {lifecycle.Alias.LIVE: self.live, **({lifecycle.Alias.PREVIOUS: self.previous} if self.previous is not None else {})}


@dataclass(frozen=True)
class AliasDrift:
    """An alias that somebody moved without telling us; None means that it is not set."""

    alias: lifecycle.Alias
    decided: int | None
    found: int | None


def decided(entries: Iterable[Entry]) -> Decided | None:
    """By the newest entry of one model that made a version live; None when there is none, so that nothing can have drifted from it."""
    entry = _newest(entries)
    if entry is None or entry.version is None:
        return None
    replaces = entry.details.get("replaces", "")
    return Decided(entry.version, int(replaces) if replaces.isdigit() else None)


def drift(aliases: Mapping[str, int], last: Decided | None) -> list[AliasDrift]:
    """The protected aliases that do not point where the last decision put them."""
    if last is None:
        return []
    wanted = {lifecycle.Alias.LIVE: last.live, lifecycle.Alias.PREVIOUS: last.previous}
    return [AliasDrift(alias, number, aliases.get(alias)) for alias, number in wanted.items() if aliases.get(alias) != number]


def _newest(entries: Iterable[Entry]) -> Entry | None:
    made_live = (entry for entry in entries if entry.action in LIVE_ACTIONS and entry.version is not None)
    return max(made_live, key=lambda entry: (entry.at, entry.id), default=None)
