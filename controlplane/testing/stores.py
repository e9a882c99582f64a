"""Stores of objects and adapters in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from controlplane import ports
from controlplane.core import adapters, errors
from controlplane.testing.basics import raise_fault


@dataclass
class FakeObjectStore:
    """Contents by key."""

    fault: errors.GatewrightError | None = None
    contents: dict[str, bytes] = field(default_factory=dict)

    def list(self, prefix: str) -> list[str]:
        raise_fault(self.fault)
        return sorted(key for key in self.contents if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        raise_fault(self.fault)
        if _checked(key) not in self.contents:
            raise errors.NotFound(f"There is no {self.address(key)}.")
        return self.contents[key]

    def write(self, key: str, content: bytes) -> None:
        raise_fault(self.fault)
        self.contents[_checked(key)] = content

    def address(self, key: str) -> str:
        return f"memory://{_checked(key)}"


@dataclass
class FakeAdapterStore:
    """Homes below `root`, which need not exist: `installed` holds the homes that have been filled, once each."""

    root: Path = Path("/adapters")
    fault: errors.GatewrightError | None = None
    installed: list[Path] = field(default_factory=list)
    pointers: dict[str, Path] = field(default_factory=dict)

    def home(self, version: ports.Version) -> Path:
        raise_fault(self.fault)
        if not version.digest:
            raise errors.Refused(f"{version.model} v{version.number} has no digest in the registry.")
        return self.root / adapters.directory_name(version.model, version.number, version.digest)

    def find(self, version: ports.Version) -> Path | None:
        home = self.home(version)
        return home if home in self.installed else None

    def install(self, version: ports.Version, source: Path) -> Path:
        home = self.home(version)
        found = adapters.digest({name: [(source / name).read_bytes()] for name in adapters.REQUIRED_FILES})
        if found != version.digest:
            raise errors.OutsideError("Adapter", str(source), f"its digest is {found[:12]}, not {version.digest[:12]}")
        if home not in self.installed:
            self.installed.append(home)
        return home

    def point(self, slot: str, directory: Path | None) -> None:
        raise_fault(self.fault)
        self.pointers.pop(slot, None)
        if directory is not None:
            self.pointers[slot] = directory


def _checked(key: str) -> str:
    if not key or key.startswith("/") or ".." in PurePosixPath(key).parts:
        raise errors.InvalidInput(f"{key!r} is not a key of the object store.", hint="Use a relative path without '..'.")
    return key
