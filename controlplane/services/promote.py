"""Make a version live, or bring the previous one back, on every replica and in the registry together. The rules are in `core.lifecycle`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from controlplane import ports
from controlplane.core import adapters, errors, lifecycle
from controlplane.services import serve

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who asks, from where, and why."""

    actor: str
    interface: str
    reason: str


@dataclass(frozen=True)
class Promoter:
    """`required` is the policy: the lowest alias a promotion may start from. `stuck` holds promotions of ours that could not be undone."""

    registry: ports.Registry
    ledger: ports.Ledger
    server: serve.Server
    required: lifecycle.Alias
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    stuck: set[str] = field(default_factory=set)

    def promote(self, model: str, source: str, caller: Caller) -> ports.PromotionRecord:
        """The closed record, with the directory each replica's live slot answers from.

        Raises:
            Refused: a rule said no.
            Conflict: another promotion of this model runs; it names the holder.
            Unreachable, OutsideError: nothing has changed; replicas were put back.
        """
        plan = self.plan(model, source)
        version = self.registry.resolve(model, f"version:{plan.version}")
        record = self.ledger.open_promotion(self._record(version, plan, source, caller))
        try:
            # Another promotion may have ended between the plan and the record: only what holds now counts.
            plan = self.plan(model, source)
            if plan.version != version.number:
                raise errors.Conflict(f"The version behind {source} changed to {plan.version} meanwhile.", hint="Look at the plan again.")
            return self._carry_out(record, plan, version)
        except errors.GatewrightError as error:
            if record.id not in self.stuck:
                self._close(record, "failed", error=str(error))
            raise

    def plan(self, model: str, source: str) -> lifecycle.Promotion:
        """What a promotion would change now. Raises Refused, NotFound, InvalidInput."""
        return lifecycle.plan_promotion(self.registry.model(model).aliases, _alias(source), self.required)

    def recover(self, started_at: datetime) -> None:
        """Settles promotions left open by a control plane killed before `started_at`, or by ours when it could not undo one.

        Finished when an alias had moved, else undone; what cannot be settled now stays open for the next call.
        """
        for record in self.ledger.promotions(limit=50):
            if record.state == "running" and (record.started_at < started_at or record.id in self.stuck):
                try:
                    self._settle(record)
                    self.stuck.discard(record.id)
                except errors.GatewrightError as error:
                    logger.warning("promotion %s stays open: %s", record.id, error)

    def _carry_out(self, record: ports.PromotionRecord, plan: lifecycle.Promotion, version: ports.Version) -> ports.PromotionRecord:
        before = self.registry.model(record.model).aliases
        directory = self.server.install(version)
        former = self._directory_of(record.model, plan.replaces)
        try:
            self._serve(record.model, directory)
            self.registry.apply(record.model, plan.changes)
            self._require_live(record.model, plan.version)
        except errors.GatewrightError:
            if not self._put_back(record.model, former, lifecycle.undo(plan, before)):
                self.stuck.add(record.id)
            raise
        proof = {replica.address: str(directory) for replica in self.server.replicas}
        closed = self._close(record, "done", proof=proof)
        self._note(closed)
        return closed

    def _directory_of(self, model: str, version: int | None) -> Path | None:
        return None if version is None else self.server.install(self.registry.resolve(model, f"version:{version}"))

    def _serve(self, model: str, directory: Path) -> None:
        for replica in self.server.replicas:
            self.server.swap(replica, adapters.live_slot(model), directory)

    def _require_live(self, model: str, version: int) -> None:
        live = self.registry.model(model).aliases.get(lifecycle.Alias.LIVE)
        if live != version:
            raise errors.Conflict(
                f"The alias live points at {live}, not {version}: somebody moved it.", hint="Look at MLflow, then try again."
            )

    def _put_back(self, model: str, former: Path | None, changes: Sequence[lifecycle.AliasChange]) -> bool:
        """Each replica and the aliases as they were; one that cannot be reached does not keep the others from it.

        Returns:
            Whether the aliases are. A replica that was away is brought back by `reconcile` once it answers.
        """
        for replica in self.server.replicas:
            try:
                self.server.swap(replica, adapters.live_slot(model), former)
            except errors.GatewrightError as error:
                logger.warning("putting %s at %s back: %s", model, replica.address, error)
        try:
            self.registry.apply(model, changes)
        except errors.GatewrightError as error:
            logger.warning("putting the aliases of %s back: %s", model, error)
            return False
        return True

    def _settle(self, record: ports.PromotionRecord) -> None:
        aliases = self.registry.model(record.model).aliases
        changes = lifecycle.rest_of(aliases, record.version, record.replaces)
        if changes is None:
            self._put_back(record.model, self._directory_of(record.model, record.replaces), ())
            self._close(record, "failed", error="The control plane stopped before any alias moved; nothing was promoted.")
            return
        directory = self.server.install(self.registry.resolve(record.model, f"version:{record.version}"))
        self._serve(record.model, directory)
        self.registry.apply(record.model, changes)
        self._note(self._close(record, "done", proof={replica.address: str(directory) for replica in self.server.replicas}))

    def _record(self, version: ports.Version, plan: lifecycle.Promotion, source: str, caller: Caller) -> ports.PromotionRecord:
        return ports.PromotionRecord(
            id=self.new_id(),
            model=version.model,
            version=plan.version,
            replaces=plan.replaces,
            is_rollback=plan.is_rollback,
            source_alias=source,
            actor=caller.actor,
            interface=caller.interface,
            reason=caller.reason,
            started_at=self.now(),
            digest=version.digest,
        )

    def _close(
        self, record: ports.PromotionRecord, state: str, *, error: str = "", proof: dict[str, str] | None = None
    ) -> ports.PromotionRecord:
        closed = replace(record, state=state, ended_at=self.now(), error=error, proof=proof or {})
        self.ledger.close_promotion(closed)
        return closed

    def _note(self, record: ports.PromotionRecord) -> None:
        action = "rolled-back" if record.is_rollback else "promoted"
        details = {
            "promotion": record.id,
            "digest": record.digest,
            "replaces": str(record.replaces or ""),
            "source-alias": record.source_alias,
        }
        event = ports.Event(self.now(), record.actor, record.interface, action, record.model, record.version, record.reason, details)
        self.ledger.append(event)


def _alias(source: str) -> lifecycle.Alias:
    try:
        return lifecycle.Alias(source)
    except ValueError:
        raise errors.InvalidInput(f"There is no alias {source!r}.", hint=f"Use one of: {', '.join(lifecycle.Alias)}.") from None
