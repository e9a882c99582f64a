"""Which servers the embedded stack starts, where they listen, what they may know; a taken port is named before anything starts."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from controlplane import settings, stack
from controlplane.clients import processes
from controlplane.core import errors, gates


def local(home: Path, **more: str) -> settings.Settings:
    return settings.load({"GATEWRIGHT_HOME": str(home), "GATEWRIGHT_PORT_BASE": "28600", **more})


def test_every_server_listens_on_loopback(tmp_path: Path) -> None:
    for service in stack.services(local(tmp_path)):
        assert "127.0.0.1" in " ".join(service.command)
        assert service.health.startswith("http://127.0.0.1:")
        assert "0.0.0.0" not in " ".join(service.command)  # noqa: S104 - the address that must not be there


def test_a_server_of_somebody_else_is_not_started(tmp_path: Path) -> None:
    names = [service.name for service in stack.services(local(tmp_path, MLFLOW_TRACKING_URI="http://mlflow:5000"))]
    assert "mlflow" not in names
    assert "vllm" in names


def test_the_token_reaches_the_api_but_not_the_model_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_API_TOKEN", "secret")
    monkeypatch.setenv("SOME_CLOUD_SECRET", "other")
    by_name = {service.name: service.environment for service in stack.services(local(tmp_path))}
    assert by_name["api"]["GATEWRIGHT_API_TOKEN"] == "secret"
    for name in ("mlflow", "vllm"):
        assert "GATEWRIGHT_API_TOKEN" not in by_name[name]
    assert all("SOME_CLOUD_SECRET" not in environment for environment in by_name.values())


def test_a_taken_port_is_named_and_nothing_starts(tmp_path: Path) -> None:
    found = local(tmp_path)
    made = stack.Stack(found, print)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", found.ports.vllm))
        taken.listen()
        with pytest.raises(errors.Conflict, match=str(found.ports.vllm)):
            made.start()
    assert made.running == {}


def test_what_a_killed_stack_left_is_stopped_first(tmp_path: Path) -> None:
    made = stack.Stack(local(tmp_path), print)
    made.state_dir.mkdir(parents=True)
    left = processes.start([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log", env={})
    (made.state_dir / "mlflow.json").write_text(left.to_text())
    made.stop_leftovers(["mlflow"])
    assert not processes.is_alive(left)
    assert not (made.state_dir / "mlflow.json").exists()


def test_two_adapters_are_active_at_once_and_more_are_kept(tmp_path: Path) -> None:
    command = stack.vllm_command(local(tmp_path))
    assert command[command.index("--max-loras") + 1] == "3"
    assert int(command[command.index("--max-cpu-loras") + 1]) >= 3
    assert int(command[command.index("--max-lora-rank") + 1]) == 32


def test_the_model_server_s_histograms_have_bounds_on_the_floors_of_gate_2(tmp_path: Path) -> None:
    command = stack.vllm_command(local(tmp_path))
    bounds = json.loads(command[command.index("--custom-histogram-buckets") + 1])
    floors = gates.LoadThresholds()
    assert floors.max_p95_latency_seconds in bounds["request_latency"]
    assert floors.max_p95_ttft_seconds in bounds["time_to_first_token"]


def test_a_disk_without_room_is_said_before_anything_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "SPACE_BYTES", 1 << 62)
    monkeypatch.setattr(stack.Stack, "_program", lambda *_: pytest.fail("nothing may run"))
    with pytest.raises(errors.NoSpace, match="GB free"):
        stack.Stack(local(tmp_path), print).prepare()


def test_a_taken_port_is_said_before_anything_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.Stack, "_program", lambda *_: pytest.fail("nothing may run"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        base = str(taken.getsockname()[1])
        with pytest.raises(errors.Conflict, match=base):
            stack.Stack(local(tmp_path, GATEWRIGHT_PORT_BASE=base), print).prepare()
