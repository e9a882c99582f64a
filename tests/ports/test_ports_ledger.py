"""What every ledger must do, asked of the fake and of the SQL database alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from controlplane import ports, testing
from controlplane.clients import database
from controlplane.clients import ledger as sql_ledger
from controlplane.core import errors

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENT = ports.Event(NOON, "ana", "console", "promote", "ops-qa", 3, "better answers", {"source": "perf-passed"})
PROMOTION = ports.PromotionRecord("p1", "ops-qa", 3, 2, False, "perf-passed", "ana", "console", "better", NOON, digest="d" * 64)
VOTE = ports.Vote(NOON, "ana", "ops-qa", "Which port?", 3, None, "candidate", "clear")


@pytest.fixture(params=["fake", pytest.param("sql", marks=pytest.mark.real)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ports.Ledger]:
    if request.param == "fake":
        yield testing.FakeLedger()
        return
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    database.migrate(url)
    engine = database.open(url)
    yield sql_ledger.SqlLedger(engine)
    engine.dispose()


def test_an_event_comes_back_as_it_went_in_with_its_number(ledger: ports.Ledger) -> None:
    first, second = ledger.append(EVENT), ledger.append(replace(EVENT, version=None, details={}))
    assert first == replace(EVENT, id=first.id)
    assert second.id > first.id > 0
    assert ledger.events() == [second, first]


def test_events_are_asked_by_model_and_limit(ledger: ports.Ledger) -> None:
    for number in range(5):
        ledger.append(replace(EVENT, model="even" if number % 2 == 0 else "odd", version=number))
    assert [event.version for event in ledger.events("even")] == [4, 2, 0]
    assert [event.version for event in ledger.events(limit=2)] == [4, 3]


def test_times_keep_their_instant_whatever_their_zone(ledger: ports.Ledger) -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5)))
    ledger.append(replace(EVENT, at=there))
    assert ledger.events()[0].at == NOON
    assert ledger.events()[0].at.tzinfo is not None


def test_one_promotion_runs_at_a_time_for_each_model(ledger: ports.Ledger) -> None:
    assert ledger.open_promotion(PROMOTION) == PROMOTION
    with pytest.raises(errors.Conflict, match="ana is promoting ops-qa version 3"):
        ledger.open_promotion(replace(PROMOTION, id="p2", actor="bob", version=4))
    ledger.open_promotion(replace(PROMOTION, id="p3", model="other"))
    assert {record.id for record in ledger.promotions()} == {"p1", "p3"}


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_closed_promotion_frees_its_model(ledger: ports.Ledger, state: str) -> None:
    ledger.open_promotion(PROMOTION)
    closed = replace(PROMOTION, state=state, ended_at=NOON + timedelta(seconds=9), proof={"http://a": "/adapters/ops-qa/3"}, error="e")
    ledger.close_promotion(closed)
    ledger.close_promotion(closed)
    assert ledger.promotions("ops-qa") == [closed]
    ledger.open_promotion(replace(PROMOTION, id="p2", started_at=NOON + timedelta(minutes=1)))
    assert [record.id for record in ledger.promotions("ops-qa")] == ["p2", "p1"]


def test_closing_an_unknown_promotion_is_refused(ledger: ports.Ledger) -> None:
    with pytest.raises(errors.NotFound):
        ledger.close_promotion(replace(PROMOTION, state="done"))


def test_votes_come_back_newest_first_for_their_model(ledger: ports.Ledger) -> None:
    first, second = ledger.vote(VOTE), ledger.vote(replace(VOTE, choice="tie"))
    ledger.vote(replace(VOTE, model="other"))
    assert ledger.votes("ops-qa") == [second, first]
    assert first == replace(VOTE, id=first.id)
    assert ledger.votes("ops-qa", limit=1) == [second]
