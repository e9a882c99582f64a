"""Is the ledger whole, and does the registry still say what the ledger decided? Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controlplane import ports, wire
from controlplane.core import chain, errors, history, journal


@dataclass(frozen=True)
class Auditor:
    registry: ports.Registry
    ledger: ports.Ledger

    def verify(self) -> wire.Audit:
        """The chain entry by entry, every ended promotion's entry, and every model's aliases and digests against the last decision.

        Raises:
            Unreachable: the database or the registry does not answer; then nothing can be said.
        """
        entries = list(self.ledger.chain())
        broken = chain.faults(chain.Link(event.id, event.entry(), event.previous_hash, event.hash) for event in entries)
        lost = list(self._without_entry({event.details.get("promotion", "") for event in entries}))
        models = self.registry.models()
        registry = [fault for model in models for fault in self._against_registry(model)]
        head = entries[-1].hash if entries else chain.GENESIS
        return wire.Audit(entries=len(entries), models=len(models), head=head, faults=tuple([*broken, *lost, *registry]))

    def _without_entry(self, told: set[str]) -> Iterator[str]:
        for record in self.ledger.promotions(limit=100_000):
            if record.state in (journal.State.DONE, journal.State.DEGRADED) and record.id not in told:
                yield f"Promotion {record.id} of {record.model} v{record.version} has no entry: the end of the ledger was cut off."

    def _against_registry(self, model: ports.Model) -> Iterator[str]:
        last = next(iter(self.ledger.latest(model.name, history.LIVE_ACTIONS)), None)
        for found in history.drift(model.aliases, history.decided([last] if last else [])):
            decided, now = _shown(found.decided), _shown(found.found)
            yield f"{model.name}: the ledger says {found.alias} is {decided}, MLflow says {now}. Adopt or revert it."
        if last is not None and last.version is not None:
            yield from self._digest_fault(model.name, last.version, last.details.get("digest", ""))

    def _digest_fault(self, model: str, number: int, digest: str) -> Iterator[str]:
        try:
            found = self.registry.resolve(model, f"version:{number}").digest
        except errors.NotFound:
            yield f"{model}: version {number}, which the ledger says is live, is not in MLflow any more."
            return
        if digest and found != digest:
            yield f"{model} v{number}: the ledger recorded digest {digest[:12]}, MLflow has {found[:12] or 'none'}."


def _shown(version: int | None) -> str:
    return "not set" if version is None else f"v{version}"
