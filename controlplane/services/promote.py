"""Make a version live, bring the previous one back, or settle an alias moved elsewhere: on every replica and in the registry together.

The journal is written ahead of every act; `recover` finishes or undoes what a killed process left. The rules are in `core`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from controlplane import ports
from controlplane.core import adapters, errors, fingerprints, history, journal, lifecycle
from controlplane.services import swap

logger = logging.getLogger(__name__)

ADOPT = "live"


@dataclass(frozen=True)
class Caller:
    """Who asks, from where, and why."""

    actor: str
    interface: str
    reason: str


@dataclass(frozen=True)
class Promoter:
    """`required` is the policy: the lowest alias a promotion may start from. `may_degrade`: a replica that fails does not stop the others.

    `holder` is this process; `is_gone` tells whether another one has died. `stuck` holds promotions of ours that could not be undone.
    """

    registry: ports.Registry
    ledger: ports.Ledger
    swapper: swap.Swapper
    required: lifecycle.Alias
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    holder: str
    is_gone: Callable[[str], bool]
    may_degrade: bool = False
    stuck: set[str] = field(default_factory=set)

    def promote(self, model: str, source: str, caller: Caller, *, is_policy_overridden: bool = False) -> ports.PromotionRecord:
        """The closed record, with the proof of each replica.

        Raises:
            Refused: a rule said no, or an override came without a reason.
            Conflict: another promotion of this model runs; it names the holder.
            Unreachable, OutsideError: nothing has changed; replicas were put back.
        """
        if is_policy_overridden and not caller.reason.strip():
            raise errors.Refused("An override needs a reason.", hint="Say why the gates do not matter this time; the ledger keeps it.")
        return self._run(model, source, caller, lambda: self.plan(model, source, is_policy_overridden=is_policy_overridden))

    def adopt(self, model: str, caller: Caller) -> ports.PromotionRecord:
        """Serve what somebody made live in the registry itself. Raises as `promote` does."""
        if not self.drift(model):
            raise errors.Refused(f"No alias of {model} was moved outside Gatewright.", hint="Nothing to adopt.")
        return self._run(model, ADOPT, caller, lambda: lifecycle.plan_adoption(self.registry.model(model).aliases))

    def revert(self, model: str, caller: Caller) -> ports.Event:
        """Put the aliases back to where the last decision put them; the servers have not moved.

        Raises:
            Refused: no alias was moved.
            NotFound: the version was deleted meanwhile.
        """
        found, last = self.drift(model), self._decided(model)
        if not found or last is None:
            raise errors.Refused(f"No alias of {model} was moved outside Gatewright.", hint="Nothing to revert.")
        self.registry.resolve(model, f"version:{last.live}")
        self.registry.apply(model, lifecycle.plan_reversal(last.live, last.previous))
        moved = {f"{one.alias}-found": str(one.found or "") for one in found}
        return self.ledger.append(
            ports.Event(self.now(), caller.actor, caller.interface, "reverted", model, last.live, caller.reason, moved)
        )

    def plan(self, model: str, source: str, *, is_policy_overridden: bool = False) -> lifecycle.Promotion:
        """What a promotion would change now. Raises Refused, NotFound, InvalidInput."""
        aliases = self.registry.model(model).aliases
        if found := history.drift(aliases, self._decided(model)):
            raise errors.Refused(
                f"The alias {found[0].alias} of {model} was moved outside Gatewright, to version {found[0].found or 'none'}.",
                hint="Adopt or revert that first.",
            )
        return lifecycle.plan_promotion(aliases, _alias(source), self.required, is_policy_overridden=is_policy_overridden)

    def drift(self, model: str) -> list[history.AliasDrift]:
        """Aliases that were moved behind our back; none while a promotion of ours moves them. Raises NotFound."""
        if any(record.state is journal.State.RUNNING for record in self.ledger.promotions(model, limit=1)):
            return []
        return history.drift(self.registry.model(model).aliases, self._decided(model))

    def recover(self) -> None:
        """Settles promotions that a dead process left open, or ours when it could not undo one; what cannot be settled now waits."""
        for record in self.ledger.promotions(limit=50):
            if record.state is journal.State.RUNNING and (record.id in self.stuck or self.is_gone(record.holder)):
                try:
                    self._settle(record)
                    self.stuck.discard(record.id)
                except errors.GatewrightError as error:
                    logger.warning("promotion %s stays open: %s", record.id, error)

    def _run(self, model: str, source: str, caller: Caller, decide: Callable[[], lifecycle.Promotion]) -> ports.PromotionRecord:
        plan = decide()
        record = self.ledger.open_promotion(self._record(model, plan, source, caller))
        try:
            # Another promotion may have ended between the plan and the record: only what holds now counts.
            if decide() != plan:
                raise errors.Conflict(f"The aliases of {model} changed meanwhile.", hint="Look at the plan again.")
            return self._carry_out(record, plan)
        except errors.GatewrightError as error:
            if record.id not in self.stuck:
                self._close_failed(record, error)
            raise
        except BaseException:
            self.stuck.add(record.id)
            raise

    def _carry_out(self, record: ports.PromotionRecord, plan: lifecycle.Promotion) -> ports.PromotionRecord:
        before = self.registry.model(record.model).aliases
        target = self._target(record)
        former = self._home_of(record.model, record.replaces)
        if not self.may_degrade:
            self.swapper.require_answers()
        watched = _Watched(self.ledger, record)
        try:
            watched.enter(journal.Phase.SERVING)
            watched.see(self.swapper.swap_all(target, watched.see, may_degrade=self.may_degrade))
            watched.enter(journal.Phase.NAMING)
            self.registry.apply(record.model, plan.changes)
            self._require_live(record.model, record.version)
        except errors.GatewrightError:
            self._undo(watched, former, lifecycle.undo(plan, before))
            raise
        try:
            return self._conclude(watched.record)
        except errors.GatewrightError:
            # It is live; only its record is not written yet.
            self.stuck.add(record.id)
            raise

    def _close_failed(self, record: ports.PromotionRecord, error: errors.GatewrightError) -> None:
        try:
            self._close(self._latest(record), journal.State.FAILED, str(error))
        except errors.GatewrightError as fault:
            logger.warning("closing promotion %s: %s", record.id, fault)
            self.stuck.add(record.id)

    def _undo(self, watched: _Watched, former: Path | None, changes: list[lifecycle.AliasChange]) -> None:
        """Aliases first, for they say what is live. Where they cannot be reached, the record stays open and is finished later."""
        record = watched.record
        try:
            if record.phase is journal.Phase.NAMING:
                self.registry.apply(record.model, changes)
            watched.see(self.swapper.put_back(adapters.live_slot(record.model), former, record.replicas))
        except errors.GatewrightError as error:
            logger.warning("undoing promotion %s: %s", record.id, error)
            self.stuck.add(record.id)

    def _settle(self, record: ports.PromotionRecord) -> None:
        match journal.recovery(record.phase):
            case journal.Recovery.CLOSE:
                self._close(record, journal.State.FAILED, "The control plane stopped before anything changed; nothing was promoted.")
            case journal.Recovery.PUT_BACK:
                former = self._home_of(record.model, record.replaces)
                replicas = self.swapper.put_back(adapters.live_slot(record.model), former, record.replicas)
                told = "The control plane stopped before any alias moved; every replica was put back."
                self._close(replace(record, replicas=replicas), journal.State.FAILED, told)
            case journal.Recovery.FINISH:
                self._finish(record)

    def _finish(self, record: ports.PromotionRecord) -> None:
        """Every replica had been verified. One that is away now is healed when it comes back, and must not lock the model till then."""
        watched = _Watched(self.ledger, record)
        try:
            watched.see(self.swapper.swap_all(self._target(record), watched.see, may_degrade=True))
        except errors.GatewrightError as error:
            logger.warning("no replica follows promotion %s yet: %s", record.id, error)
        if record.source_alias != ADOPT:
            aliases = self.registry.model(record.model).aliases
            self.registry.apply(record.model, lifecycle.rest(aliases, record.version, record.replaces))
        self._conclude(watched.record)

    def _conclude(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        is_whole = all(replica.state is journal.ReplicaState.VERIFIED for replica in record.replicas)
        return self._close(record, journal.State.DONE if is_whole else journal.State.DEGRADED)

    def _close(self, record: ports.PromotionRecord, state: journal.State, error: str = "") -> ports.PromotionRecord:
        closed = replace(record, state=state, ended_at=self.now(), error=error)
        self.ledger.close_promotion(closed, None if state is journal.State.FAILED else self._event(closed))
        return closed

    def _latest(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        """The record with what was noted about its replicas meanwhile."""
        return next((one for one in self.ledger.promotions(record.model, limit=5) if one.id == record.id), record)

    def _decided(self, model: str) -> history.Decided | None:
        return history.decided(self.ledger.latest(model, history.LIVE_ACTIONS))

    def _target(self, record: ports.PromotionRecord) -> swap.Target:
        version = self.registry.resolve(record.model, f"version:{record.version}")
        directory = self.swapper.server.install(version)
        recorded = fingerprints.from_text(version.tags.get(fingerprints.TAG, ""))
        return swap.Target(adapters.live_slot(record.model), directory, recorded)

    def _home_of(self, model: str, version: int | None) -> Path | None:
        return None if version is None else self.swapper.server.install(self.registry.resolve(model, f"version:{version}"))

    def _require_live(self, model: str, version: int) -> None:
        live = self.registry.model(model).aliases.get(lifecycle.Alias.LIVE)
        if live != version:
            raise errors.Conflict(
                f"The alias live points at {live}, not {version}: somebody moved it.", hint="Look at MLflow, then try again."
            )

    def _record(self, model: str, plan: lifecycle.Promotion, source: str, caller: Caller) -> ports.PromotionRecord:
        replaces = self._served_before(model, plan)
        return ports.PromotionRecord(
            id=self.new_id(),
            model=model,
            version=plan.version,
            replaces=replaces,
            is_rollback=plan.is_rollback,
            source_alias=source,
            actor=caller.actor,
            interface=caller.interface,
            reason=caller.reason,
            started_at=self.now(),
            holder=self.holder,
            override=plan.override,
            digest=self.registry.resolve(model, f"version:{plan.version}").digest,
            replaced_digest=self.registry.resolve(model, f"version:{replaces}").digest if replaces is not None else "",
            replicas=self.swapper.waiting(),
        )

    def _served_before(self, model: str, plan: lifecycle.Promotion) -> int | None:
        """What the servers answer with now: an adoption takes over from the last decision, not from the aliases."""
        last = self._decided(model)
        return last.live if plan.changes == () and last is not None else plan.replaces

    def _event(self, record: ports.PromotionRecord) -> ports.Event:
        """The ledger's entry; for an adoption `replaces` is what the registry calls previous."""
        details = {
            "promotion": record.id,
            "digest": record.digest,
            "replaces": str(record.replaces or ""),
            "replaced-digest": record.replaced_digest,
            "source-alias": record.source_alias,
            "outcome": record.state,
            **self._evidence(record),
        }
        if record.source_alias == ADOPT:
            details["replaces"] = str(self.registry.model(record.model).aliases.get(lifecycle.Alias.PREVIOUS) or "")
        if record.override:
            details["override"] = record.override
        return ports.Event(
            self.now(), record.actor, record.interface, _action(record), record.model, record.version, record.reason, details
        )

    def _evidence(self, record: ports.PromotionRecord) -> dict[str, str]:
        """Run ids of the version's verdicts, as the gates tagged them."""
        tags = self.registry.resolve(record.model, f"version:{record.version}").tags
        return {name: value for name, value in tags.items() if name.endswith(("-run", "-outcome"))}


@dataclass
class _Watched:
    """A record that is saved whenever it gets further."""

    ledger: ports.Ledger
    record: ports.PromotionRecord

    def enter(self, phase: journal.Phase) -> None:
        self.record = replace(self.record, phase=phase)
        self.ledger.save_promotion(self.record)

    def see(self, replicas: tuple[ports.ReplicaProof, ...]) -> None:
        self.record = replace(self.record, replicas=replicas)
        self.ledger.save_promotion(self.record)


def _action(record: ports.PromotionRecord) -> str:
    if record.source_alias == ADOPT:
        return history.ADOPTED
    return history.ROLLED_BACK if record.is_rollback else history.PROMOTED


def _alias(source: str) -> lifecycle.Alias:
    try:
        return lifecycle.Alias(source)
    except ValueError:
        raise errors.InvalidInput(f"There is no alias {source!r}.", hint=f"Use one of: {', '.join(lifecycle.Alias)}.") from None
