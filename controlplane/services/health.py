"""Is everything well? Each outside system asked once, with its address, how long it took, and what to do when it did not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from controlplane import wire
from controlplane.core import errors


@dataclass(frozen=True)
class Probe:
    """`ask` returns the system's version, or raises one of our errors. An optional system that is away leaves the whole well."""

    name: str
    address: str
    ask: Callable[[], str]
    hint: str
    is_optional: bool = False


def look(probes: Sequence[Probe], *, version: str, profile: str, executor: str) -> wire.Health:
    """All at once, so that one that hangs does not add its time-out to the others'."""
    with ThreadPoolExecutor(max_workers=max(1, len(probes))) as pool:
        systems = tuple(pool.map(_ask, probes))
    is_well = all(system.is_well or probe.is_optional for system, probe in zip(systems, probes, strict=True))
    return wire.Health(is_well=is_well, version=version, profile=profile, executor=executor, systems=systems)


def _ask(probe: Probe) -> wire.System:
    began = time.monotonic()
    try:
        version = probe.ask()
    except errors.GatewrightError as error:
        return wire.System(name=probe.name, address=probe.address, is_well=False, detail=error.detail, hint=probe.hint)
    return wire.System(
        name=probe.name, address=probe.address, is_well=True, latency_seconds=time.monotonic() - began, version=version, detail="answers"
    )
