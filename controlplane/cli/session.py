"""From a command to the API: settings, who asks, through which client. Only this module makes a client; it prints nothing."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace
from typing import cast

import typer

from controlplane import client, settings

READ_SECONDS = 30.0


def configure(ctx: typer.Context, api_url: str) -> None:
    """Reads the settings once and hands them to the command; an address on the command line wins over the environment."""
    loaded = settings.load()
    ctx.obj = replace(loaded, api_url=api_url.rstrip("/"), embedded=loaded.embedded - {"api"}) if api_url else loaded


def config(ctx: typer.Context) -> settings.Settings:
    return cast(settings.Settings, ctx.obj)


def reading(ctx: typer.Context) -> client.Client:
    """A client for questions that are answered at once."""
    return make_client(config(ctx), READ_SECONDS)


def patient(ctx: typer.Context) -> client.Client:
    """A client for what takes as long as a model's answer or a swap on every replica."""
    return make_client(config(ctx), config(ctx).timeouts.answer_seconds)


def make_client(config: settings.Settings, timeout_seconds: float) -> client.Client:
    """The seam that tests replace."""
    return client.Client(config.api_url, token=config.api_token, actor=login_name(), interface="cli", timeout_seconds=timeout_seconds)


def login_name() -> str:
    """The login name, or the user's number where the machine knows no name for it, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
