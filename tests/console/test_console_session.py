"""Where the console finds the API and whose name it speaks with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "address"),
    [({"GATEWRIGHT_API_URL": "http://127.0.0.1:9999"}, "http://127.0.0.1:9999"), ({"GATEWRIGHT_API_URL": ""}, "http://127.0.0.1:8600")],
)
def test_the_address_comes_from_the_environment(given: dict[str, str], address: str) -> None:
    code = "from console import session; print(session.ADDRESS)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == address
