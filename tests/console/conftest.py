"""The console on a client that answers from memory, with nothing left in Streamlit's caches between tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from console_fakes import NOW, FakeClient

from console import reads, session


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClient]:
    client = FakeClient()
    monkeypatch.setattr(session, "connect", client.speaking_for)
    monkeypatch.setattr(session, "now", _now)
    reads.forget()
    yield client
    reads.forget()


def _now() -> datetime:
    return NOW
