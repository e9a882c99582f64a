"""The command line against a scripted API: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from scripted_api import EVENTS, NOW, Terminal

from controlplane import cli, settings
from controlplane.cli import output, session
from controlplane.core import errors

READS: list[tuple[tuple[str, ...], str]] = [
    (("status",), "1 model is live."),
    (("models",), "live→v2, previous→v1"),
    (("versions", "ops-qa"), "dddddddddddd"),
    (("runs",), "eval loss [too] high"),
    (("run", "r-1"), "gatewright launch training -p data-version=2"),
    (("logs", "r-1"), "line 3"),
    (("history", "ops-qa"), "rolled-back"),
    (("datasets",), "eval 120 (90)"),
]


@pytest.mark.parametrize(("command", "expected"), READS, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_a_read_prints_plain_text_in_a_pipe(gatewright: Terminal, command: tuple[str, ...], expected: str) -> None:
    result = gatewright(*command)
    assert result.exit_code == 0
    assert expected in result.stdout
    assert "\x1b" not in result.stdout


def test_json_holds_the_bodies_of_the_api(gatewright: Terminal) -> None:
    api = gatewright.api
    cases: list[tuple[tuple[str, ...], Any]] = [
        (("status",), api.overview()),
        (("models",), api.models()),
        (("versions", "ops-qa"), api.versions("ops-qa")),
        (("runs",), api.runs()),
        (("run", "r-1"), api.run("r-1")),
        (("history", "ops-qa"), EVENTS),
        (("datasets",), api.datasets()),
    ]
    for command, body in cases:
        expected = [item.model_dump(mode="json") for item in body] if isinstance(body, list) else body.model_dump(mode="json")
        assert json.loads(gatewright(*command, "--json").stdout) == expected, command


@pytest.mark.parametrize("command", READS, ids=lambda value: value[0][0])
def test_an_error_is_told_on_stderr_with_hint_and_request_id(gatewright: Terminal, command: tuple[tuple[str, ...], str]) -> None:
    fault = errors.Unreachable("The API", "http://127.0.0.1:1", "connection refused", hint="Start it with gatewright up.")
    fault.request_id = "req-7"  # type: ignore[attr-defined]
    gatewright.api.fault = fault
    result = gatewright(*command[0])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "http://127.0.0.1:1 did not answer: connection refused" in result.stderr
    assert "Next: Start it with gatewright up." in result.stderr
    assert "Request id: req-7" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.InvalidInput("data-version='x' is not a whole number."), 2),
        (errors.NotFound("There is no model 'x'."), 1),
        (errors.Refused("No version carries the alias perf-passed."), 1),
        (errors.Conflict("A promotion by ada is running."), 1),
        (errors.OutsideError("MLflow", "http://127.0.0.1:2", "500"), 1),
        (errors.NoSpace("The disk is full."), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_code_of_each_error(gatewright: Terminal, fault: errors.GatewrightError, code: int) -> None:
    gatewright.api.fault = fault
    result = gatewright("promote", "ops-qa")
    assert result.exit_code == code
    assert fault.detail in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("launch", "nonsense"), "Choose one of: training, deployment, evaluation, performance, promote."),
        (("launch", "training", "-p", "data-version"), "Write -p key=value"),
        (("launch", "training", "-p", "=3"), "Write -p key=value"),
        (("launch", "training", "-p", "seed=1", "-p", "seed=2"), "seed is given twice"),
        (("history", "ops-qa", "--at", "teatime"), "'teatime' is not a time."),
        (("versions",), "MODEL"),
        (("nonsense",), "nonsense"),
        (("compare", "ops-qa"), "--prompt"),
        (("compare", "ops-qa", "--prompt", "Q", "--max-tokens", "0"), "max-tokens"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_exits_2_and_changes_nothing(gatewright: Terminal, arguments: tuple[str, ...], said: str) -> None:
    result = gatewright(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert gatewright.api.calls == []


def test_unknown_profile_is_wrong_usage(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_PROFILE", "moon")
    result = gatewright("status")
    assert result.exit_code == 2
    assert "GATEWRIGHT_PROFILE='moon'" in result.stderr


def test_version(gatewright: Terminal) -> None:
    assert gatewright("--version").stdout.startswith("gatewright ")


def test_every_command_has_help(gatewright: Terminal) -> None:
    for command in app_commands():
        result = gatewright(command, "--help")
        assert result.exit_code == 0, command
        assert "Usage" in result.stdout


def app_commands() -> list[str]:
    return [str(command.name) for command in cli.app.registered_commands]


def test_the_stable_names_are_all_there() -> None:
    wanted = "up demo status models versions launch runs run logs cancel retry promote rollback compare history datasets doctor"
    assert set(app_commands()) >= set(wanted.split())


def test_api_address_from_option_environment_default(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    gatewright("models")
    monkeypatch.setenv("GATEWRIGHT_API_URL", "http://one:1")
    gatewright("models")
    gatewright("--api-url", "http://two:2/", "models")
    assert gatewright.addresses == [f"http://127.0.0.1:{settings.Ports().api}", "http://one:1", "http://two:2"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (59, "59 s ago"), (60, "1 min ago"), (3600 * 5, "5 h ago"), (86400 * 3, "3 d ago"), (-120, "in 2 min")],
)
def test_relative_times(seconds: int, said: str) -> None:
    assert output.relative(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(("seconds", "said"), [(None, "–"), (0.44, "0.4 s"), (59.4, "59 s"), (125, "2 min 5 s"), (3900, "1 h 5 min")])
def test_durations(seconds: float | None, said: str) -> None:
    assert output.lasting(seconds) == said


@pytest.fixture
def closed_address() -> str:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{holder.getsockname()[1]}"


def test_a_dead_api_is_named_with_its_address(closed_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    for command in (["status"], ["logs", "r-1", "--follow"], ["promote", "ops-qa"], ["doctor"]):
        result = typer.testing.CliRunner().invoke(cli.app, ["--api-url", closed_address, *command], catch_exceptions=False)
        assert result.exit_code == 1, command
        assert closed_address in result.output, command


def test_a_login_name_is_always_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert session.login_name().startswith("uid-")
