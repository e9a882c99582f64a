"""What a slot should answer from against what it does answer from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controlplane.core import lifecycle


@dataclass(frozen=True)
class Wanted:
    """One slot of one model; `version` None and `root` empty when its alias is not set."""

    name: str
    model: str
    alias: lifecycle.Alias
    version: int | None
    root: str


class Agreement(StrEnum):
    """`idle`: nothing is wanted. `drift`: something else, or nothing, is served where a version is wanted."""

    AGREES = "agrees"
    DRIFT = "drift"
    IDLE = "idle"


@dataclass(frozen=True)
class SlotState:
    wanted: Wanted
    served_root: str
    state: Agreement


def compare(wanted: Sequence[Wanted], served: Mapping[str, str]) -> list[SlotState]:
    """Each wanted slot with what a replica serves under its name.

    Args:
        served: adapter directory by slot name.
    """
    return [SlotState(slot, served.get(slot.name, ""), _agreement(slot, served.get(slot.name, ""))) for slot in wanted]


def to_heal(slots: Sequence[SlotState]) -> list[SlotState]:
    """Slots that serve nothing though a version is wanted, as after a restart, and live slots that serve anything else.

    A candidate slot that serves another version is left alone: somebody may be trying it.
    """
    return [slot for slot in slots if slot.state is Agreement.DRIFT and (not slot.served_root or slot.wanted.alias is lifecycle.Alias.LIVE)]


def _agreement(slot: Wanted, root: str) -> Agreement:
    if slot.version is None:
        return Agreement.IDLE
    return Agreement.AGREES if root == slot.root else Agreement.DRIFT
