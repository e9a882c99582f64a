"""One visitor's connection to the API: address and token, who acts, and what the page's address asks for. Draws nothing."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import streamlit as st

from controlplane import client as api

T = TypeVar("T")

ADDRESS = os.environ.get("GATEWRIGHT_API_URL") or "http://127.0.0.1:8600"
_TOKEN = os.environ.get("GATEWRIGHT_API_TOKEN", "")
DEFAULT_ACTOR = os.environ.get("USER") or "console"


@functools.lru_cache(maxsize=64)
def _connect(actor: str) -> api.Client:
    return api.Client(ADDRESS, token=_TOKEN, actor=actor, interface="console")


# The one place a test replaces, by a function that takes the actor's name.
connect: Callable[[str], api.Client] = _connect


def client() -> api.Client:
    """The typed client that speaks for this visitor."""
    return connect(actor())


def reader() -> api.Client:
    """The typed client for reads that all visitors share through the cache."""
    return connect("")


def actor() -> str:
    """The name that the ledger will carry for this visitor's decisions."""
    name: str = st.session_state.get("app_actor", DEFAULT_ACTOR)
    return name.strip() or DEFAULT_ACTOR


def now() -> datetime:
    return datetime.now(UTC)


def parameter(name: str) -> str:
    """A value of the page's address, empty when it has none."""
    return st.query_params.get(name, "")


def chosen(options: Sequence[T], key: str, name: str, default: T | None = None) -> T | None:
    """The option that the address names as `name`, else the default, else the first; put into the widget state `key`.

    The address is the truth: a link opens as it was seen, and a press on the widget changes the address (`remember`).
    """
    wanted = parameter(name)
    match = next((option for option in options if str(option) == wanted), None)
    if match is None:
        match = default if default in options else next(iter(options), None)
    st.session_state[key] = match
    return match


def remember(key: str, name: str) -> None:
    """Write the widget's value into the page's address; meant as `on_change`."""
    value = st.session_state.get(key)
    if value is None or value == "":
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = str(value)
