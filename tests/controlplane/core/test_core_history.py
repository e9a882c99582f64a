"""What was decided, when, and what has drifted from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane import ports
from controlplane.core import history, journal
from controlplane.core.lifecycle import Alias

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(number: int, action: str, version: int | None, replaces: str = "") -> ports.Event:
    return ports.Event(NOON + timedelta(hours=number), "ada", "cli", action, "m", version, "", {"replaces": replaces}, number)


EVENTS = [
    event(1, "promoted", 1),
    event(2, "staged", 2),
    event(3, "promoted", 2, "1"),
    event(4, "rolled-back", 1, "2"),
    event(5, "deleted", 3),
]


def test_the_last_decision_counts() -> None:
    assert history.decided(EVENTS) == history.Decided(1, 2)
    assert history.decided(EVENTS[:1]) == history.Decided(1, None)
    assert history.decided([]) is None
    assert history.decided([event(1, "promoted", None)]) is None


@pytest.mark.parametrize(
    ("aliases", "drifted"),
    [
        ({"live": 1, "previous": 2}, []),
        ({"live": 3, "previous": 2}, [(Alias.LIVE, 1, 3)]),
        ({"previous": 2}, [(Alias.LIVE, 1, None)]),
        ({"live": 1}, [(Alias.PREVIOUS, 2, None)]),
        ({"live": 2, "previous": 1}, [(Alias.LIVE, 1, 2), (Alias.PREVIOUS, 2, 1)]),
    ],
)
def test_drift(aliases: dict[str, int], drifted: list[tuple[Alias, int, int]]) -> None:
    assert [(one.alias, one.decided, one.found) for one in history.drift(aliases, history.decided(EVENTS))] == drifted


def test_nothing_drifts_from_no_decision() -> None:
    assert history.drift({"live": 7}, None) == []


def test_every_phase_has_its_way_out() -> None:
    ways = {phase: journal.recovery(phase) for phase in journal.Phase}
    assert ways == {"preparing": journal.Recovery.CLOSE, "serving": journal.Recovery.PUT_BACK, "naming": journal.Recovery.FINISH}
