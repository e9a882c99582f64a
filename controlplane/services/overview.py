"""What is live, and is anything waiting for me? One answer from everything the control plane knows. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane import ports, wire
from controlplane.core import errors, history, lifecycle, serving
from controlplane.services import models, promote, results, review, serve, watch

EVENTS = 10
NEXT_STEP = {
    "candidate": "Stage it: launch the deployment workflow.",
    "staged": "Launch Gate 1, the evaluation workflow.",
    "eval-passed": "Launch Gate 2, the performance workflow.",
    "perf-passed": "It waits for a decision: promote it.",
    "eval-failed": "Gate 1 did not pass: look at its answers.",
    "perf-failed": "Gate 2 did not pass: look at its timings.",
}


@dataclass(frozen=True)
class Overview:
    registry: ports.Registry
    ledger: ports.Ledger
    server: serve.Server
    watcher: watch.Watcher
    drift: Callable[[str], list[history.AliasDrift]]

    def look(self) -> wire.Overview:
        """A system that is away becomes a problem on the page, not an error of the page."""
        problems: list[str] = []
        rows: list[wire.OverviewModel] = []
        replicas: list[wire.Replica] = []
        try:
            rows = [self._model(model) for model in self.registry.models()]
            replicas = [shown_replica(view) for view in self.server.view()]
            problems += [_told(row.name, one) for row in rows for one in self.drift(row.name)]
        except errors.GatewrightError as error:
            problems.append(str(error))
        problems += [f"{replica.address}: {replica.detail}" for replica in replicas if not replica.is_healthy]
        return wire.Overview(
            headline=_headline(rows, replicas, problems),
            models=tuple(rows),
            replicas=tuple(replicas),
            active_runs=tuple(self.watcher.recent(is_active=True, limit=10)),
            events=tuple(models.shown_event(event) for event in self.ledger.events(limit=EVENTS)),
            problems=tuple(problems),
        )

    def _model(self, model: ports.Model) -> wire.OverviewModel:
        live = self._version(model, model.aliases.get(lifecycle.Alias.LIVE))
        candidate = self._version(model, models.candidate_of(model.aliases))
        return wire.OverviewModel(
            name=model.name,
            live=live,
            previous=self._version(model, model.aliases.get(lifecycle.Alias.PREVIOUS)),
            candidate=candidate,
            headline=_model_headline(live, candidate),
            next_step=NEXT_STEP.get(_furthest(candidate), "") if candidate else "",
        )

    def _version(self, model: ports.Model, number: int | None) -> wire.Version | None:
        return None if number is None else models.shown_version(self.registry.resolve(model.name, f"version:{number}"))


@dataclass(frozen=True)
class Planner:
    """What a promotion would change, with the evidence for it, before anyone presses."""

    registry: ports.Registry
    ledger: ports.Ledger
    promoter: promote.Promoter
    results: results.Results
    reviewer: review.Reviewer

    def plan(self, model: str, source: str) -> wire.Plan:
        """A refusal is part of the answer, so that the page can show it beside the evidence. Raises NotFound, InvalidInput."""
        aliases = self.registry.model(model).aliases
        holder = next((record for record in self.ledger.promotions(model, limit=5) if record.state == "running"), None)
        try:
            plan, refusal = self.promoter.plan(model, source), ""
        except errors.Refused as error:
            plan, refusal = None, str(error)
        override = "" if plan else self._overridden(model, source)
        number = plan.version if plan else aliases.get(source)
        version = self.registry.resolve(model, f"version:{number}") if number else None
        return wire.Plan(
            model=model,
            source_alias=source,
            is_rollback=source == lifecycle.Alias.PREVIOUS,
            version=number,
            replaces=aliases.get(lifecycle.Alias.LIVE),
            moves=_moves(plan, aliases),
            evidence=self._evidence(version) if version else (),
            refusal=refusal,
            override=override,
            drift=tuple(shown_drift(model, one) for one in self.promoter.drift(model)),
            holder=f"{holder.actor} since {holder.started_at:%H:%M:%S} UTC" if holder else "",
            replicas=tuple(replica.address for replica in self.promoter.swapper.server.replicas),
        )

    def _evidence(self, version: ports.Version) -> tuple[wire.Evidence, ...]:
        people = self.reviewer.checklist_item(version)
        return (*self.results.checklist(version), *([people] if people else []))

    def _overridden(self, model: str, source: str) -> str:
        """The rule that an override would go past; empty when no override helps."""
        try:
            return self.promoter.plan(model, source, is_policy_overridden=True).override
        except errors.Refused:
            return ""


def _told(model: str, drift: history.AliasDrift) -> str:
    decided, found = (f"v{number}" if number else "no version" for number in (drift.decided, drift.found))
    return f"The alias {drift.alias} of {model} was moved outside Gatewright, from {decided} to {found}: adopt or revert it on Promotion."


def shown_drift(model: str, drift: history.AliasDrift) -> wire.AliasDrift:
    return wire.AliasDrift(model=model, alias=drift.alias, decided=drift.decided, found=drift.found)


def shown_replica(view: serve.ReplicaView) -> wire.Replica:
    slots = tuple(
        wire.SlotState(
            name=slot.wanted.name,
            model=slot.wanted.model,
            alias=slot.wanted.alias,
            wanted_version=slot.wanted.version,
            wanted_root=slot.wanted.root,
            served_root=slot.served_root,
            state=slot.state,
        )
        for slot in view.slots
    )
    return wire.Replica(
        address=view.address, is_healthy=view.is_healthy, detail=view.detail, served=tuple(item.name for item in view.served), slots=slots
    )


def _moves(plan: lifecycle.Promotion | None, aliases: Mapping[str, int]) -> tuple[wire.AliasMove, ...]:
    changes = plan.changes if plan else ()
    return tuple(wire.AliasMove(alias=change.alias, before=aliases.get(change.alias), after=change.version) for change in changes)


def _furthest(version: wire.Version) -> str:
    failed = [alias for alias in ("perf-failed", "eval-failed") if alias in version.aliases]
    return failed[0] if failed else version.stage


def _model_headline(live: wire.Version | None, candidate: wire.Version | None) -> str:
    served = f"v{live.number} is live" if live else "Nothing is live yet"
    waiting = f"v{candidate.number} is {_furthest(candidate)}" if candidate else "no candidate waits"
    return f"{served}; {waiting}."


def _headline(rows: Sequence[wire.OverviewModel], replicas: Sequence[wire.Replica], problems: Sequence[str]) -> str:
    if problems:
        return "Something needs attention: " + problems[0]
    drifting = [slot.name for replica in replicas for slot in replica.slots if slot.state == serving.Agreement.DRIFT]
    if drifting:
        return f"{drifting[0]} does not answer with the version the registry names."
    if not rows:
        return "No model yet. Launch a training run to make the first version."
    ready = [row for row in rows if row.candidate is not None and row.candidate.stage == "perf-passed"]
    if ready:
        names = ", ".join(f"{row.name} v{row.candidate.number}" for row in ready if row.candidate is not None)
        return f"Waiting for your decision: {names} passed every gate."
    live = [f"{row.name} v{row.live.number}" for row in rows if row.live is not None]
    return f"Live: {', '.join(live)}. Nothing waits for you." if live else "Nothing is live yet."
