"""`gatewright votes`: people's choices and grades leave as tables and golden rows."""

from __future__ import annotations

import csv
import json

import pytest
from scripted_api import GOLDEN, Terminal


def test_votes_are_exported_as_a_table_that_runs_nothing(gatewright: Terminal) -> None:
    header, row = csv.reader(gatewright("votes", "export", "--model", "ops-qa").stdout.splitlines())
    assert dict(zip(header, row, strict=True))["comment"] == "'=1+1, both"
    assert dict(zip(header, row, strict=True))["live_version"] == ""
    assert gatewright.api.calls == [("exported_votes", "ops-qa", None)]


def test_votes_are_exported_as_json_lines(gatewright: Terminal) -> None:
    result = gatewright("votes", "export", "--model", "ops-qa", "--version", "2", "--format", "jsonl")
    assert [json.loads(line)["comment"] for line in result.stdout.splitlines()] == ["=1+1, both"]
    assert gatewright.api.calls == [("exported_votes", "ops-qa", 2)]


def test_golden_rows_go_to_the_file_and_the_advice_to_the_terminal(gatewright: Terminal) -> None:
    result = gatewright("votes", "golden", "--model", "ops-qa", "--version", "2")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [GOLDEN.model_dump(mode="json")]
    assert "Zoë" in result.stdout, "people's names stay readable"
    nothing = gatewright("votes", "golden", "--model", "ops-qa", "--version", "3")
    assert (nothing.stdout, nothing.exit_code) == ("", 0)
    assert "No grade is agreed on yet" in nothing.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("votes", "export"),
        ("votes", "export", "--model", "ops-qa", "--format", "xml"),
        ("votes", "export", "--model", "ops-qa", "--version", "0"),
        ("votes", "golden", "--model", "ops-qa"),
    ],
)
def test_wrong_usage_of_votes_asks_nothing(gatewright: Terminal, arguments: tuple[str, ...]) -> None:
    assert gatewright(*arguments).exit_code == 2
    assert gatewright.api.calls == []
