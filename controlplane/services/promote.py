"""Make a version live, bring the previous one back, or settle an alias moved elsewhere: on every replica and in the registry together.

The journal is written ahead of every act; `recover` finishes or undoes what a killed process left. The rules are in `core`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from controlplane import ports
from controlplane.core import adapters, errors, fingerprints, history, journal, lifecycle, runs
from controlplane.services import swap

logger = logging.getLogger(__name__)

ADOPT = "live"
HEALING_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Caller:
    """Who asks, from where, and why."""

    actor: str
    interface: str
    reason: str


@dataclass(frozen=True)
class Promoter:
    """`required` is the policy: the lowest alias a promotion may start from. `may_degrade`: a replica that fails does not stop the others.

    `holder` is this process; `is_gone` tells whether another one has died. `runs_under_way`: of the promote workflow. `is_healing`: a
    replica is being given an adapter of this model back, which takes at most `healing_seconds`. `stuck` holds promotions of ours that
    could not be undone.
    """

    registry: ports.Registry
    ledger: ports.Ledger
    swapper: swap.Swapper
    required: lifecycle.Alias
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    holder: str
    is_gone: Callable[[str], bool]
    runs_under_way: Callable[[str], Sequence[runs.Run]]
    is_healing: Callable[[str], bool]
    healing_seconds: float
    may_degrade: bool = False
    stuck: set[str] = field(default_factory=set)

    def promote(
        self, model: str, source: str, caller: Caller, *, is_policy_overridden: bool = False, expected_live: int | None = None
    ) -> ports.PromotionRecord:
        """The closed record, with the proof of each replica.

        Args:
            expected_live: the version that the caller saw live, 0 for none, so that two people who press at once do not undo each other.

        Raises:
            Refused: a rule said no, or an override came without a reason.
            Conflict: another promotion of this model runs, or has ended since the caller looked; it names who and since when.
            Unreachable, OutsideError: nothing has changed; replicas were put back.
        """
        if is_policy_overridden and not caller.reason.strip():
            raise errors.Refused("An override needs a reason.", hint="Say why the gates do not matter this time; the ledger keeps it.")

        def decide(aliases: Mapping[str, int]) -> lifecycle.Promotion:
            if expected_live is not None and aliases.get(lifecycle.Alias.LIVE, 0) != expected_live:
                raise self._overtaken(model)
            return self._planned(model, aliases, source, is_policy_overridden=is_policy_overridden)

        return self._run(model, source, caller, decide)

    def adopt(self, model: str, caller: Caller) -> ports.PromotionRecord:
        """Serve what somebody made live in the registry itself. Raises as `promote` does."""
        if not self.drift(model):
            raise errors.Refused(f"No alias of {model} was moved outside Gatewright.", hint="Nothing to adopt.")
        return self._run(model, ADOPT, caller, lifecycle.plan_adoption)

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
        return self._planned(model, self.registry.model(model).aliases, source, is_policy_overridden=is_policy_overridden)

    def drift(self, model: str) -> list[history.AliasDrift]:
        """Aliases that were moved behind our back; none while a promotion of ours moves them. Raises NotFound."""
        return self._drift(model, self.registry.model(model).aliases)

    def recover(self) -> None:
        """Settles promotions that a dead process left open, or ours when it could not undo one; what cannot be settled now waits."""
        for record in self.ledger.promotions(limit=50):
            if record.state is journal.State.RUNNING and (record.id in self.stuck or self.is_gone(record.holder)):
                try:
                    self._settle(record)
                    self.stuck.discard(record.id)
                except errors.GatewrightError as error:
                    logger.warning("promotion %s stays open: %s", record.id, error)

    def _drift(self, model: str, aliases: Mapping[str, int]) -> list[history.AliasDrift]:
        return [] if _running(self._recent(model)) else history.drift(aliases, self._decided(model))

    def _planned(self, model: str, aliases: Mapping[str, int], source: str, *, is_policy_overridden: bool = False) -> lifecycle.Promotion:
        if found := self._drift(model, aliases):
            raise errors.Refused(
                f"The alias {found[0].alias} of {model} was moved outside Gatewright, to version {found[0].found or 'none'}.",
                hint="Adopt or revert that first.",
            )
        return lifecycle.plan_promotion(aliases, _alias(source), self.required, is_policy_overridden=is_policy_overridden)

    def _aliases_at_rest(self, model: str) -> Mapping[str, int]:
        """Raises Conflict while a promotion moves them: what is read in between is neither before nor after."""
        before = self._recent(model)
        aliases = self.registry.model(model).aliases
        after = self._recent(model)
        if running := _running(after):
            raise _taken(running)
        if before != after:
            raise self._overtaken(model)
        return aliases

    def _overtaken(self, model: str) -> errors.Conflict:
        """Names the last one who made a version live."""
        for record in self.ledger.promotions(model):
            if record.state in (journal.State.DONE, journal.State.DEGRADED):
                return _taken(record)
        return errors.Conflict(f"What is live of {model} changed meanwhile.", hint="Look at the plan again.")

    def _recent(self, model: str) -> list[ports.PromotionRecord]:
        """By the time they began, which is not always the order in which they got their turn."""
        return list(self.ledger.promotions(model, limit=20))

    def _run(
        self, model: str, source: str, caller: Caller, decide: Callable[[Mapping[str, int]], lifecycle.Promotion]
    ) -> ports.PromotionRecord:
        plan = decide(self._aliases_at_rest(model))
        pair = self._pair(model, plan)
        record = self.ledger.open_promotion(self._record(plan, pair, source, caller))
        try:
            self._require_no_run(model)
            self._wait_for_healing(model)
            # Another promotion may have ended between the plan and the record: only what holds now counts.
            aliases = self.registry.model(model).aliases
            if decide(aliases) != plan:
                raise errors.Conflict(f"The aliases of {model} changed meanwhile.", hint="Look at the plan again.")
            return self._carry_out(record, pair, plan, aliases)
        except errors.GatewrightError as error:
            if record.id not in self.stuck:
                self._close_failed(record, error)
            raise
        except BaseException:
            self.stuck.add(record.id)
            raise

    def _require_no_run(self, model: str) -> None:
        """The dispatcher starts none while a promotion is open, so that of the two one always sees the other."""
        for run in self.runs_under_way(model):
            raise journal.taken_by_run(model, run.id, run.created_by, run.created_at)

    def _wait_for_healing(self, model: str) -> None:
        """What a restarted replica is given back in this moment must not come after what is promoted now."""
        deadline = self.swapper.monotonic() + self.healing_seconds
        while self.is_healing(model):
            if self.swapper.monotonic() >= deadline:
                raise errors.Conflict(f"A server is being given an adapter of {model} back.", hint="Try again in a minute.")
            time.sleep(HEALING_LOOK_SECONDS)

    def _carry_out(
        self, record: ports.PromotionRecord, pair: _Pair, plan: lifecycle.Promotion, before: Mapping[str, int]
    ) -> ports.PromotionRecord:
        target = self._target(pair.new)
        former = self._home_of(pair.old)
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
            return self._conclude(watched.record, pair.new)
        except errors.GatewrightError:
            # It is live; only its record is not written yet.
            self.stuck.add(record.id)
            raise

    def _close_failed(self, record: ports.PromotionRecord, error: errors.GatewrightError) -> None:
        try:
            self._fail(self._latest(record), str(error))
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
                self._fail(record, "The control plane stopped before anything changed; nothing was promoted.")
            case journal.Recovery.PUT_BACK:
                former = self._home_of(self._replaced(record.model, record.replaces))
                replicas = self.swapper.put_back(adapters.live_slot(record.model), former, record.replicas)
                told = "The control plane stopped before any alias moved; every replica was put back."
                self._fail(replace(record, replicas=replicas), told)
            case journal.Recovery.FINISH:
                self._finish(record)

    def _finish(self, record: ports.PromotionRecord) -> None:
        """Every replica had been verified. One that is away now is healed when it comes back, and must not lock the model till then."""
        watched = _Watched(self.ledger, record)
        version = self.registry.resolve(record.model, f"version:{record.version}")
        try:
            watched.see(self.swapper.swap_all(self._target(version), watched.see, may_degrade=True))
        except errors.GatewrightError as error:
            logger.warning("no replica follows promotion %s yet: %s", record.id, error)
        if record.source_alias != ADOPT:
            aliases = self.registry.model(record.model).aliases
            self.registry.apply(record.model, lifecycle.rest(aliases, record.version, record.replaces))
        self._conclude(watched.record, version)

    def _conclude(self, record: ports.PromotionRecord, version: ports.Version) -> ports.PromotionRecord:
        is_whole = all(replica.state is journal.ReplicaState.VERIFIED for replica in record.replicas)
        state = journal.State.DONE if is_whole else journal.State.DEGRADED
        closed = replace(record, state=state, ended_at=self.now())
        self.ledger.close_promotion(closed, self._event(closed, _evidence(version)))
        return closed

    def _fail(self, record: ports.PromotionRecord, error: str) -> None:
        self.ledger.close_promotion(replace(record, state=journal.State.FAILED, ended_at=self.now(), error=error), None)

    def _latest(self, record: ports.PromotionRecord) -> ports.PromotionRecord:
        """The record with what was noted about its replicas meanwhile."""
        return next((one for one in self.ledger.promotions(record.model, limit=5) if one.id == record.id), record)

    def _decided(self, model: str) -> history.Decided | None:
        return history.decided(self.ledger.latest(model, history.LIVE_ACTIONS))

    def _target(self, version: ports.Version) -> swap.Target:
        directory = self.swapper.server.install(version)
        recorded = fingerprints.from_text(version.tags.get(fingerprints.TAG, ""))
        return swap.Target(adapters.live_slot(version.model), directory, recorded)

    def _home_of(self, version: ports.Version | None) -> Path | None:
        """Where the servers read what they answer from now; it was checked when it was installed."""
        return None if version is None else self.swapper.server.adapters.home(version)

    def _pair(self, model: str, plan: lifecycle.Promotion) -> _Pair:
        new = self.registry.resolve(model, f"version:{plan.version}")
        return _Pair(new, self._replaced(model, self._served_before(model, plan)))

    def _replaced(self, model: str, number: int | None) -> ports.Version | None:
        return None if number is None else self.registry.resolve(model, f"version:{number}")

    def _require_live(self, model: str, version: int) -> None:
        live = self.registry.model(model).aliases.get(lifecycle.Alias.LIVE)
        if live != version:
            raise errors.Conflict(
                f"The alias live points at {live}, not {version}: somebody moved it.", hint="Look at MLflow, then try again."
            )

    def _record(self, plan: lifecycle.Promotion, pair: _Pair, source: str, caller: Caller) -> ports.PromotionRecord:
        return ports.PromotionRecord(
            id=self.new_id(),
            model=pair.new.model,
            version=pair.new.number,
            replaces=pair.old.number if pair.old else None,
            is_rollback=plan.is_rollback,
            source_alias=source,
            actor=caller.actor,
            interface=caller.interface,
            reason=caller.reason,
            started_at=self.now(),
            holder=self.holder,
            override=plan.override,
            digest=pair.new.digest,
            replaced_digest=pair.old.digest if pair.old else "",
            replicas=self.swapper.waiting(),
        )

    def _served_before(self, model: str, plan: lifecycle.Promotion) -> int | None:
        """What the servers answer with now: an adoption takes over from the last decision, not from the aliases."""
        last = self._decided(model)
        return last.live if plan.changes == () and last is not None else plan.replaces

    def _event(self, record: ports.PromotionRecord, evidence: Mapping[str, str]) -> ports.Event:
        """The ledger's entry; for an adoption `replaces` is what the registry calls previous."""
        details = {
            "promotion": record.id,
            "digest": record.digest,
            "replaces": str(record.replaces or ""),
            "replaced-digest": record.replaced_digest,
            "source-alias": record.source_alias,
            "outcome": record.state,
            **evidence,
        }
        if record.source_alias == ADOPT:
            details["replaces"] = str(self.registry.model(record.model).aliases.get(lifecycle.Alias.PREVIOUS) or "")
        if record.override:
            details["override"] = record.override
        return ports.Event(
            self.now(), record.actor, record.interface, _action(record), record.model, record.version, record.reason, details
        )


@dataclass(frozen=True)
class _Pair:
    """What is to be live, and what the servers answer with until then."""

    new: ports.Version
    old: ports.Version | None


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


def _evidence(version: ports.Version) -> dict[str, str]:
    """Run ids of the version's verdicts, as the gates tagged them."""
    return {name: value for name, value in version.tags.items() if name.endswith(("-run", "-outcome"))}


def _running(records: Sequence[ports.PromotionRecord]) -> ports.PromotionRecord | None:
    return next((record for record in records if record.state is journal.State.RUNNING), None)


def _taken(record: ports.PromotionRecord) -> errors.Conflict:
    return journal.taken(record.model, record.version, record.actor, record.started_at, record.ended_at)


def _action(record: ports.PromotionRecord) -> str:
    if record.source_alias == ADOPT:
        return history.ADOPTED
    return history.ROLLED_BACK if record.is_rollback else history.PROMOTED


def _alias(source: str) -> lifecycle.Alias:
    try:
        return lifecycle.Alias(source)
    except ValueError:
        raise errors.InvalidInput(f"There is no alias {source!r}.", hint=f"Use one of: {', '.join(lifecycle.Alias)}.") from None
