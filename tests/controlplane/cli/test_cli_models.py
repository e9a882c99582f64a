"""Promoting, rolling back, putting versions aside and reading history on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from scripted_api import EVENTS, NOW, Terminal, promotion

from controlplane.cli import models


def test_promote_waits_for_the_journal_and_shows_the_proof(gatewright: Terminal) -> None:
    gatewright.api.promotion_states = ["running", "running", "done"]
    result = gatewright("promote", "ops-qa", "--source-alias", "staged", "--reason", "better")
    assert result.exit_code == 0
    assert gatewright.api.calls == [("promote", "ops-qa", "staged", "better", False, 3)]
    assert "ops-qa v2 is live; v1 is previous." in result.stdout
    assert "/adapters/ops-qa/2-dddddddddddd" in result.stdout


def test_a_failed_promotion_exits_1(gatewright: Terminal) -> None:
    gatewright.api.promotion_states = ["failed"]
    result = gatewright("promote", "ops-qa")
    assert gatewright.api.calls == [("promote", "ops-qa", "perf-passed", "", False, 3)]
    assert result.exit_code == 1
    assert "replica drifted" in result.stderr


def test_rollback(gatewright: Terminal) -> None:
    result = gatewright("rollback", "ops-qa", "--reason", "slow", "--json")
    assert json.loads(result.stdout) == promotion("done").model_dump(mode="json")
    assert gatewright.api.calls == [("rollback", "ops-qa", "slow", 3)]


def test_history_at_answers_in_words_and_as_json(gatewright: Terminal) -> None:
    then = "2026-03-01T10:30:00+00:00"
    assert "version 2 of ops-qa was live." in gatewright("history", "ops-qa", "--at", then).stdout
    assert json.loads(gatewright("history", "ops-qa", "--at", then, "--json").stdout)["id"] == 3
    assert "no version of ops-qa was live" in gatewright("history", "ops-qa", "--at", "2020-01-01").stdout
    assert gatewright.api.calls[0] == ("live_at", "ops-qa", datetime(2026, 3, 1, 10, 30, tzinfo=UTC))


def test_an_override_is_asked_for_by_name(gatewright: Terminal) -> None:
    assert gatewright("promote", "ops-qa", "--source-alias", "staged", "--override", "--reason", "hotfix").exit_code == 0
    assert gatewright.api.calls == [("promote", "ops-qa", "staged", "hotfix", True, 3)]


def test_what_was_overridden_stands_out_in_the_history(gatewright: Terminal) -> None:
    past = EVENTS[1].model_copy(update={"details": {"override": "The policy asks for perf-passed."}})
    gatewright.api.events = [past]
    assert "OVERRIDE The policy asks for perf-passed." in " ".join(gatewright("history", "ops-qa").stdout.split())


@pytest.mark.parametrize("verb", ["adopt", "revert"])
def test_an_alias_moved_elsewhere_is_settled(gatewright: Terminal, verb: str) -> None:
    assert gatewright(verb, "ops-qa", "--reason", "right").exit_code == 0
    assert gatewright.api.calls == [(verb, "ops-qa", "right")]


def test_deleting_a_version(gatewright: Terminal) -> None:
    assert "v3 is deleted" in gatewright("delete", "ops-qa", "3", "--reason", "old").stdout
    assert gatewright.api.calls == [("remove", "ops-qa", 3, "old")]


def test_audit_verify_exits_1_and_says_what_is_wrong(gatewright: Terminal) -> None:
    assert "2 entries are whole" in gatewright("audit", "verify").stdout
    gatewright.api.faults = ("Entry 1 was changed after it was written.",)
    result = gatewright("audit", "verify")
    assert result.exit_code == 1
    assert "Entry 1 was changed" in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-02-03 04:05+02:00", datetime(2026, 2, 3, 2, 5, tzinfo=UTC)),
    ],
)
def test_reading_a_time(text: str, expected: datetime) -> None:
    assert models.read_time(text, NOW) == expected


def test_a_version_is_put_aside_and_brought_back(gatewright: Terminal) -> None:
    result = gatewright("archive", "ops-qa", "2", "--reason", "superseded")
    assert "gatewright restore ops-qa 2" in result.output
    assert gatewright("restore", "ops-qa", "2").exit_code == 0
    assert gatewright.api.calls == [("archive", "ops-qa", 2, "superseded"), ("restore", "ops-qa", 2, "")]
