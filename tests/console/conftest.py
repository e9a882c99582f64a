"""The console on a client that answers from memory, with nothing left in Streamlit's caches between tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
import streamlit as st
from console_fakes import NOW, FakeClient

from console import session


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClient]:
    client = FakeClient()
    monkeypatch.setattr(session, "connect", client.speaking_for)
    monkeypatch.setattr(session, "now", _now)
    st.cache_data.clear()
    yield client
    st.cache_data.clear()


def _now() -> datetime:
    return NOW
