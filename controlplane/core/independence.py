"""May this judge grade these answers? Not when the model under test, or its base beside it, would grade itself. Pure; it asks nobody."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit


def conflict(judge_url: str, judge_lists: Collection[str], tested_urls: Collection[str], tested_names: Collection[str]) -> str:
    """Why the judge is no independent one; empty when nothing says so.

    Args:
        judge_lists: the model names that the judge's server answers to. One that serves a slot under test also serves its base.
    """
    if any(_place(judge_url) == _place(url) for url in tested_urls):
        return f"The judge at {judge_url} is the server under test: the adapter or its base would grade itself."
    shared = sorted(set(judge_lists) & set(tested_names))
    if shared:
        return f"The judge at {judge_url} serves {', '.join(shared)}, which is under test: the adapter or its base would grade itself."
    return ""


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return ("localhost" if _is_this_machine(parts.hostname or "") else (parts.hostname or "")), port


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
