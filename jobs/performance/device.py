"""What the servers of a load test compute on, as far as this machine can tell. It measures nothing."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path

_SECONDS = 10


def name(address: str) -> str:
    """The GPUs of this machine, else its processor, where the server is on it; empty for a server elsewhere."""
    return (_gpus() or _processor()) if is_here(address) else ""


def is_here(address: str) -> bool:
    host = urllib.parse.urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _gpus() -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    names = found.stdout.strip().splitlines() if found.returncode == 0 else []
    return ", ".join(f"{names.count(one)} x {one}" for one in sorted(set(names)))


def _processor() -> str:
    """Linux names it; a virtual machine may leave the name out."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{os.cpu_count()} x {model}"
