"""A terminal for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_api import Api, Terminal

from controlplane import settings
from controlplane.cli import follow, session


@pytest.fixture
def gatewright(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    terminal = Terminal(Api())

    def make_client(config: settings.Settings, timeout_seconds: float) -> Api:
        terminal.addresses.append(config.api_url)
        return terminal.api

    monkeypatch.setattr(session, "make_client", make_client)
    monkeypatch.setattr(follow, "pause", lambda seconds: None)
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    for name in ("GATEWRIGHT_API_URL", "GATEWRIGHT_PROFILE", "GATEWRIGHT_EXECUTOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return terminal
