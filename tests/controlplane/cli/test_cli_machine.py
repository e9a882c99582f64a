"""`gatewright up`, `demo` and `doctor`: what this machine lacks is named with what to do about it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from scripted_api import Terminal

from controlplane import settings
from controlplane.cli import doctor
from controlplane.core import errors


def test_up_and_demo_hand_on_their_exit_code(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Path] = []

    def ended(config: settings.Settings) -> int:
        seen.append(config.home)
        return 1

    monkeypatch.setattr("controlplane.stack.run_until_interrupted", ended)
    monkeypatch.setattr("controlplane.demo.run", ended)
    assert gatewright("up").exit_code == 1
    assert gatewright("demo").exit_code == 1
    assert seen == [tmp_path, tmp_path]


@pytest.fixture
def sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own state must not decide these tests; each check has a test of its own."""
    fine = doctor.Finding("fine", "ok", "fine")
    monkeypatch.setattr(doctor, "disk", lambda home: fine)
    monkeypatch.setattr(doctor, "packages", lambda is_local: [fine])
    monkeypatch.setattr(doctor, "port", lambda name, number, is_running: fine)


def findings(result: Any) -> dict[str, dict[str, str]]:
    return {item["name"]: item for item in json.loads(result.stdout)}


@pytest.mark.usefixtures("sound_machine")
def test_doctor_works_when_nothing_runs(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    gatewright.api.fault = errors.Unreachable("The API", "http://127.0.0.1:1", "connection refused")
    result = gatewright("doctor", "--json")
    assert result.exit_code == 0
    assert findings(result)["API"]["state"] == "warning"
    assert "gatewright up" in findings(result)["API"]["hint"]


@pytest.mark.usefixtures("sound_machine")
def test_doctor_fails_when_a_named_api_is_away(gatewright: Terminal) -> None:
    gatewright.api.fault = errors.Unreachable("The API", "http://far:1", "connection refused")
    result = gatewright("--api-url", "http://far:1", "doctor")
    assert result.exit_code == 1
    assert "http://far:1" in result.stdout


@pytest.mark.usefixtures("sound_machine")
@pytest.mark.parametrize(("healthy", "code", "state"), [(True, 0, "ok"), (False, 1, "failed")])
def test_doctor_names_each_outside_system(gatewright: Terminal, healthy: bool, code: int, state: str) -> None:
    gatewright.api.healthy = healthy
    result = gatewright("doctor", "--json")
    assert result.exit_code == code
    assert findings(result)["MLflow"]["state"] == state
    assert findings(result)["MLflow"]["hint"] == ("" if healthy else "Start MLflow.")


@pytest.mark.parametrize(("version", "state"), [((3, 10, 9), "failed"), ((3, 11, 0), "ok"), ((3, 13, 2), "ok"), ((3, 14, 0), "failed")])
def test_doctor_on_python(version: tuple[int, ...], state: str) -> None:
    assert doctor.python(version).state == state


@pytest.mark.parametrize(("free_gb", "state"), [(0.5, "failed"), (5, "warning"), (50, "ok")])
def test_doctor_on_space(free_gb: float, state: str) -> None:
    assert doctor.judge_space(Path("/home/ada"), free_gb).state == state


def test_doctor_looks_at_the_disk_of_a_home_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert "GB free" in doctor.disk(tmp_path / "not" / "yet").detail


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ({"a": "1.0", "b": "2.0+cpu"}, "ok", "2 at their pinned versions"),
        ({"a": "1.1", "b": "2.0"}, "warning", "a 1.1 (not 1.0)"),
        ({"a": "1.0", "b": ""}, "failed", "missing: b"),
    ],
    ids=["same", "other", "missing"],
)
def test_doctor_on_packages(found: dict[str, str], state: str, said: str) -> None:
    finding = doctor.judge_packages({"a": "1.0", "b": "2.0"}, found)
    assert (finding.state, finding.detail.removeprefix("other versions: ")) == (state, said)


def test_doctor_knows_our_own_packages_and_their_pins() -> None:
    names = {match["name"]: match["extra"] for match in doctor._pins()}
    assert names["typer"] is None
    assert names["peft"] == "train"


def test_doctor_on_a_missing_program() -> None:
    assert doctor.binary("no-such-program", "install it").state == "warning"


@pytest.mark.parametrize(("is_running", "state"), [(True, "ok"), (False, "failed")])
def test_doctor_on_a_taken_port(is_running: bool, state: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        assert doctor.port("api", holder.getsockname()[1], is_running).state == state


def test_doctor_on_a_free_port() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        number = holder.getsockname()[1]
    assert doctor.port("api", number, False).state == "ok"
