"""The directory that replicas read adapters from: one immutable home a version. What the files are is in `adapter_files`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controlplane import ports
from controlplane.clients import adapter_files, adapter_weights, slot_pointers
from controlplane.core import adapters, admission, errors


class LocalAdapterStore:
    """Implements `ports.AdapterStore` in a directory that this process and every replica see under the same path."""

    def __init__(self, root: Path, limits: Callable[[], admission.Server]) -> None:
        """`limits` tells what the servers take; it is asked when a version is installed."""
        self._root = root.absolute()
        self._limits = limits

    def home(self, version: ports.Version) -> Path:
        """Raises Refused when the registry knows no digest for the version: then nobody can tell what would be served."""
        if not version.digest:
            raise errors.Refused(
                f"{version.model} v{version.number} has no digest in the registry.", hint="Register it through the training workflow."
            )
        return self._root / adapters.directory_name(version.model, version.number, version.digest)

    def find(self, version: ports.Version) -> Path | None:
        home = self.home(version)
        return home if home.is_dir() and adapter_files.digest_of(home) == version.digest else None

    def install(self, version: ports.Version, source: Path) -> Path:
        def admit(directory: Path) -> None:
            admission.require(adapter_weights.inspect(directory), self._limits(), f"{version.model} v{version.number}")

        self.home(version)
        return adapter_files.install(source, self._root, version.model, version.number, version.digest, admit)

    def point(self, slot: str, directory: Path | None) -> None:
        slot_pointers.write(self._root, slot, directory)
