"""What every ledger must do, asked of the fake and of the SQL database alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from controlplane import ports, testing
from controlplane.clients import database
from controlplane.clients import ledger as sql_ledger
from controlplane.core import chain, errors, journal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENT = ports.Event(NOON, "ana", "console", "promote", "ops-qa", 3, "better answers", {"source": "perf-passed"})
PROMOTION = ports.PromotionRecord("p1", "ops-qa", 3, 2, False, "perf-passed", "ana", "console", "better", NOON, digest="d" * 64)
PROOF = ports.ReplicaProof("http://a", journal.ReplicaState.VERIFIED, "/adapters/ops-qa/3", 0.4, "equal", "", NOON)
VOTE = ports.Vote(NOON, "ana", "ops-qa", "Which port?", 3, None, "candidate", "clear")
GRADE = ports.GradeCorrection(NOON, "ana", "ops-qa", 3, "run-1", "q-001", "candidate", "B")


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
    assert first == replace(EVENT, id=first.id, hash=first.hash)
    assert second.id > first.id > 0
    assert ledger.events() == [second, first]


def test_entries_make_a_chain(ledger: ports.Ledger) -> None:
    for number in range(3):
        ledger.append(replace(EVENT, version=number))
    links = [chain.Link(event.id, event.entry(), event.previous_hash, event.hash) for event in ledger.chain()]
    assert [link.entry["version"] for link in links] == [0, 1, 2]
    assert chain.faults(links) == []
    assert chain.faults([links[0], links[2]]) != []


def test_twenty_that_append_at_once_make_one_chain(ledger: ports.Ledger) -> None:
    with futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda number: ledger.append(replace(EVENT, version=number)), range(20)))
    links = [chain.Link(event.id, event.entry(), event.previous_hash, event.hash) for event in ledger.chain()]
    assert len(links) == 20
    assert chain.faults(links) == []


def test_the_latest_entry_of_some_actions_until_a_moment(ledger: ports.Ledger) -> None:
    for hour, action in enumerate(("promoted", "staged", "rolled-back", "deleted")):
        ledger.append(replace(EVENT, action=action, version=hour, at=NOON + timedelta(hours=hour)))
    live = ("promoted", "rolled-back")
    assert [event.version for event in ledger.latest("ops-qa", live)] == [2]
    assert [event.version for event in ledger.latest("ops-qa", live, NOON + timedelta(hours=1))] == [0]
    assert ledger.latest("ops-qa", live, NOON - timedelta(hours=1)) == []
    assert ledger.latest("other", live) == []


def test_a_running_promotion_is_saved_as_it_goes(ledger: ports.Ledger) -> None:
    ledger.open_promotion(PROMOTION)
    further = replace(PROMOTION, phase=journal.Phase.SERVING, replicas=(PROOF, ports.ReplicaProof("http://b")))
    ledger.save_promotion(further)
    assert ledger.promotions() == [further]
    ledger.close_promotion(replace(further, state=journal.State.FAILED))
    with pytest.raises(errors.Conflict):
        ledger.save_promotion(further)


def test_the_end_and_its_entry_are_written_together_and_once(ledger: ports.Ledger) -> None:
    ledger.open_promotion(PROMOTION)
    done = replace(PROMOTION, state=journal.State.DONE)
    for _ in range(2):
        ledger.close_promotion(done, EVENT)
    assert [event.action for event in ledger.events()] == [EVENT.action]
    with pytest.raises(errors.Conflict):
        ledger.close_promotion(replace(done, state=journal.State.FAILED), EVENT)
    assert len(ledger.events()) == 1


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


@pytest.mark.parametrize("state", [state for state in journal.State if state.is_final])
def test_a_closed_promotion_frees_its_model(ledger: ports.Ledger, state: journal.State) -> None:
    ledger.open_promotion(PROMOTION)
    closed = replace(PROMOTION, state=state, ended_at=NOON + timedelta(seconds=9), replicas=(PROOF,), error="e")
    ledger.close_promotion(closed)
    ledger.close_promotion(closed)
    assert ledger.promotions("ops-qa") == [closed]
    ledger.open_promotion(replace(PROMOTION, id="p2", started_at=NOON + timedelta(minutes=1)))
    assert [record.id for record in ledger.promotions("ops-qa")] == ["p2", "p1"]


def test_closing_an_unknown_promotion_is_refused(ledger: ports.Ledger) -> None:
    with pytest.raises(errors.NotFound):
        ledger.close_promotion(replace(PROMOTION, state=journal.State.DONE))


def test_votes_come_back_newest_first_for_their_model(ledger: ports.Ledger) -> None:
    first, second = ledger.vote(VOTE), ledger.vote(replace(VOTE, choice="tie"))
    ledger.vote(replace(VOTE, model="other"))
    assert ledger.votes("ops-qa") == [second, first]
    assert first == replace(VOTE, id=first.id)
    assert ledger.votes("ops-qa", limit=1) == [second]


def test_votes_on_rows_are_asked_by_version_and_by_evaluation(ledger: ports.Ledger) -> None:
    asked = ledger.vote(replace(VOTE, candidate_version=2))
    first = ledger.vote(replace(VOTE, row_id="q-001", evaluation_run="run-1", left="live"))
    again = ledger.vote(replace(first, choice="withdrawn", evaluation_run="run-2"))
    assert ledger.votes("ops-qa", version=3) == [again, first]
    assert ledger.votes("ops-qa", version=2) == [asked]
    assert ledger.votes("ops-qa", version=3, evaluation_run="run-1") == [first]
    assert ledger.votes("ops-qa", version=4) == []


def test_a_whole_review_comes_back(ledger: ports.Ledger) -> None:
    for number in range(150):
        ledger.vote(replace(VOTE, row_id=f"q-{number}", evaluation_run="run-1"))
    assert len(ledger.votes("ops-qa")) == 150


def test_grades_of_people_come_back_in_the_order_they_were_given(ledger: ports.Ledger) -> None:
    first, second = ledger.correct(GRADE), ledger.correct(replace(GRADE, grade="", evaluation_run="run-2"))
    ledger.correct(replace(GRADE, version=4))
    assert first == replace(GRADE, id=first.id)
    assert ledger.corrections("ops-qa", 3) == [first, second]
    assert ledger.corrections("ops-qa", 3, "run-2") == [second]
    assert ledger.corrections("other", 3) == []
