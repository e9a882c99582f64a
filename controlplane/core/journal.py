"""How far a promotion has come, and what becomes of one that was cut off there. Pure.

The phase is written before its first act, so that what a phase may have touched is known whenever the process that wrote it is gone.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from controlplane.core import errors


class Phase(StrEnum):
    """`preparing`: files are fetched and checked. `serving`: replicas are swapped. `naming`: every replica is verified, aliases move."""

    PREPARING = "preparing"
    SERVING = "serving"
    NAMING = "naming"


class State(StrEnum):
    """`degraded`: done, but for replicas that could not be swapped; they are healed when they answer again."""

    RUNNING = "running"
    DONE = "done"
    DEGRADED = "degraded"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self is not State.RUNNING


class Recovery(StrEnum):
    CLOSE = "close"
    PUT_BACK = "put back"
    FINISH = "finish"


class ReplicaState(StrEnum):
    WAITING = "waiting"
    SWAPPING = "swapping"
    VERIFIED = "verified"
    FAILED = "failed"
    PUT_BACK = "put back"


def recovery(phase: Phase) -> Recovery:
    """Going back is safe until the first alias moves; from then on only going forward is: `previous` has lost what it held."""
    match phase:
        case Phase.PREPARING:
            return Recovery.CLOSE
        case Phase.SERVING:
            return Recovery.PUT_BACK
        case Phase.NAMING:
            return Recovery.FINISH


def taken_by_run(model: str, run_id: str, actor: str, started_at: datetime) -> errors.Conflict:
    """A run of the promote workflow is at it."""
    since = f"{started_at:%Y-%m-%d %H:%M:%S} UTC"
    return errors.Conflict(
        f"{actor or 'Somebody'} is promoting {model} by run {run_id} since {since}.",
        hint="Wait until it has ended, then look at what is live.",
    )


def taken(model: str, version: int, actor: str, started_at: datetime, ended_at: datetime | None) -> errors.Conflict:
    """Somebody else's promotion of this model came first: it runs still, or ended after the caller last looked."""
    since = f"{started_at:%Y-%m-%d %H:%M:%S} UTC"
    if ended_at is None:
        hint = "Wait until it has ended, then look at what is live."
        return errors.Conflict(f"{actor} is promoting {model} version {version} since {since}.", hint=hint)
    return errors.Conflict(f"{actor} promoted {model} version {version} meanwhile, at {since}.", hint="Look at what is live now.")
