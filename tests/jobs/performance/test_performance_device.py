"""What a load test says about the machine under the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.performance import device


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://vllm-service.ml-models:8000", False),
        ("http://10.0.0.1:8000", False),
        ("nonsense", False),
    ],
)
def test_only_a_server_on_this_machine_is_known(address: str, is_here: bool) -> None:
    assert device.is_here(address) is is_here
    assert bool(device.name(address)) is is_here


@pytest.mark.parametrize(("script", "found"), [("echo NVIDIA L4; echo NVIDIA L4", "2 x NVIDIA L4"), ("exit 9", "CPU")])
def test_gpus_go_before_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    name = device.name("http://127.0.0.1:1")
    assert name == found if found != "CPU" else " x " in name
