"""What each replica serves, held against what the registry wants, and the loading that brings them together. Knows no gate."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from controlplane import ports
from controlplane.core import adapters, errors, history, lifecycle, serving

logger = logging.getLogger(__name__)

# Shown where a directory would stand; nothing can be served from it, so the slot counts as drifting.
NO_DIGEST = "unknown: the registry has no digest for this version"


@dataclass(frozen=True)
class ReplicaView:
    """One replica as it was seen now; `detail` says what is wrong with it."""

    address: str
    is_healthy: bool
    served: tuple[ports.Served, ...]
    slots: tuple[serving.SlotState, ...]
    detail: str = ""


@dataclass(frozen=True)
class Server:
    """The replicas and the directory their adapters live in."""

    registry: ports.Registry
    ledger: ports.Ledger
    adapters: ports.AdapterStore
    replicas: Sequence[ports.Inference]

    def view(self) -> list[ReplicaView]:
        """Every replica; one that does not answer is a row that says so."""
        return self._views(list(self.replicas))

    def wanted(self) -> list[serving.Wanted]:
        """Which directory each slot should answer from: by the last decision on what is live, and by the alias `staged`."""
        return [slot for model in self.registry.models() for slot in self._wanted_of(model)]

    def reconcile(self, turn: Callable[[str], AbstractContextManager[bool]]) -> list[str]:
        """Brings healthy replicas to what is wanted, as after a restart. Returns what it did.

        Args:
            turn: true inside when nobody else changes the slots of the model named, or will before the block ends.
        """
        done = []
        replicas = list(self.replicas)
        for view, replica in zip(self._views(replicas), replicas, strict=True):
            for slot in serving.to_heal(view.slots) if view.is_healthy else []:
                try:
                    if self._heal(replica, slot, turn):
                        done.append(f"{replica.address}: {slot.wanted.name} serves version {slot.wanted.version} again")
                except errors.GatewrightError as error:
                    logger.warning("%s at %s cannot be healed: %s", slot.wanted.name, replica.address, error)
        return done

    def install(self, version: ports.Version) -> Path:
        """The version's immutable directory, downloaded and checked against its digest when it is not there yet."""
        home = self.adapters.find(version)
        if home is not None:
            return home
        with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
            return self.adapters.install(version, self.registry.download(version, Path(folder)))

    def swap(self, replica: ports.Inference, slot: str, directory: Path | None) -> ports.Swap | None:
        """The slot answers from the directory, or from nothing. The pointer goes first: a replica that restarts in between follows it."""
        self.adapters.point(slot, directory)
        if directory is None:
            replica.unload(slot)
            return None
        return replica.load(slot, directory)

    def _heal(self, replica: ports.Inference, slot: serving.SlotState, turn: Callable[[str], AbstractContextManager[bool]]) -> bool:
        """False when it is not our turn, or the slot is not as it was seen: a promotion may have begun and ended since."""
        model = slot.wanted.model
        directory = self.install(self.registry.resolve(model, f"version:{slot.wanted.version}"))
        with turn(model) as is_ours:
            if not is_ours or slot not in _compared(self._wanted_of(self.registry.model(model)), replica.served()):
                return False
            self.swap(replica, slot.wanted.name, directory)
        return True

    def _wanted_of(self, model: ports.Model) -> list[serving.Wanted]:
        slots = {lifecycle.Alias.LIVE: adapters.live_slot(model.name), lifecycle.Alias.STAGED: adapters.candidate_slot(model.name)}
        versions = {alias: model.aliases[alias] for alias in slots if alias in model.aliases}
        last = history.decided(self.ledger.latest(model.name, history.LIVE_ACTIONS))
        if last is not None:
            # An alias moved elsewhere moves no server: somebody must adopt it first.
            versions[lifecycle.Alias.LIVE] = last.live
        found = []
        for alias, slot in slots.items():
            root = ""
            if alias in versions:
                version = self.registry.resolve(model.name, f"version:{versions[alias]}")
                root = str(self.adapters.home(version)) if version.digest else NO_DIGEST
            found.append(serving.Wanted(slot, model.name, alias, versions.get(alias), root))
        return found

    def _views(self, replicas: Sequence[ports.Inference]) -> list[ReplicaView]:
        wanted = self.wanted()
        return [self._view(replica, wanted) for replica in replicas]

    def _view(self, replica: ports.Inference, wanted: Sequence[serving.Wanted]) -> ReplicaView:
        try:
            served = replica.served()
        except errors.GatewrightError as error:
            return ReplicaView(replica.address, False, (), tuple(serving.compare(wanted, {})), str(error))
        return ReplicaView(replica.address, True, tuple(served), tuple(_compared(wanted, served)))


def _compared(wanted: Sequence[serving.Wanted], served: Sequence[ports.Served]) -> list[serving.SlotState]:
    return serving.compare(wanted, {item.name: item.root for item in served})
