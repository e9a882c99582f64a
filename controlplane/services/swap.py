"""One slot on every replica: swapped, verified by directory and by fingerprint, and put back when one replica cannot follow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from controlplane import ports
from controlplane.core import errors, fingerprints, journal
from controlplane.services import serve

logger = logging.getLogger(__name__)

Report = Callable[[tuple[ports.ReplicaProof, ...]], None]


@dataclass(frozen=True)
class Target:
    """What a slot is to answer from; `fingerprint` is what this adapter is known to answer, None when nobody recorded it."""

    slot: str
    directory: Path
    fingerprint: fingerprints.Fingerprint | None


@dataclass(frozen=True)
class Swapper:
    """Args of the calls below: `report` is told after every step, so that others can watch."""

    server: serve.Server
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = field(default=time.monotonic)

    def waiting(self) -> tuple[ports.ReplicaProof, ...]:
        return tuple(ports.ReplicaProof(replica.address) for replica in self.server.replicas)

    def require_answers(self) -> None:
        """Raises Unreachable, OutsideError for the first replica that does not answer."""
        for replica in self.server.replicas:
            replica.served()

    def swap_all(self, target: Target, report: Report, *, may_degrade: bool) -> tuple[ports.ReplicaProof, ...]:
        """Every replica answers from the target.

        Args:
            may_degrade: go on when a replica fails, as long as one follows; else the first failure ends it.

        Raises:
            GatewrightError: the first replica's failure; those before it have been swapped already.
        """
        replicas = list(self.server.replicas)
        proofs = [ports.ReplicaProof(replica.address) for replica in replicas]
        failures: list[errors.GatewrightError] = []
        for number, replica in enumerate(replicas):
            proofs[number] = replace(proofs[number], state=journal.ReplicaState.SWAPPING)
            report(tuple(proofs))
            try:
                proofs[number] = self._swapped(replica, target)
            except errors.GatewrightError as error:
                failures.append(error)
                proofs[number] = replace(proofs[number], state=journal.ReplicaState.FAILED, note=str(error))
            report(tuple(proofs))
            if failures and not may_degrade:
                raise failures[0]
        if failures and len(failures) == len(proofs):
            raise failures[0]
        return tuple(proofs)

    def put_back(self, slot: str, former: Path | None, proofs: Sequence[ports.ReplicaProof]) -> tuple[ports.ReplicaProof, ...]:
        """Every replica as it was; one that is away follows the pointer, or is healed, when it comes back."""
        by_address = {proof.address: proof for proof in proofs}
        return tuple(
            self._put_back(replica, slot, former, by_address.get(replica.address) or ports.ReplicaProof(replica.address))
            for replica in self.server.replicas
        )

    def _swapped(self, replica: ports.Inference, target: Target) -> ports.ReplicaProof:
        started = self.monotonic()
        swap = self.server.swap(replica, target.slot, target.directory)
        found = fingerprints.compare(target.fingerprint, replica.fingerprint(target.slot))
        if not found.is_acceptable:
            raise errors.OutsideError(
                "vLLM",
                replica.address,
                f"{target.slot} does not answer as this adapter does: {found.reason}",
                hint="Stage the version again to record how it answers, or restart this server.",
            )
        note = "; ".join(part for part in (swap.warning if swap else "", found.reason) if part)
        return ports.ReplicaProof(
            replica.address,
            journal.ReplicaState.VERIFIED,
            str(target.directory),
            self.monotonic() - started,
            found.match,
            note,
            self.now(),
        )

    def _put_back(self, replica: ports.Inference, slot: str, former: Path | None, proof: ports.ReplicaProof) -> ports.ReplicaProof:
        try:
            self.server.swap(replica, slot, former)
        except errors.GatewrightError as error:
            logger.warning("putting %s at %s back: %s", slot, replica.address, error)
            return replace(proof, state=journal.ReplicaState.FAILED, note=f"{proof.note} Not put back: {error}".strip())
        return replace(proof, state=journal.ReplicaState.PUT_BACK, root=str(former or ""))
