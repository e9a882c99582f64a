"""Models and versions as people look at them. One registry request a question: a version's numbers come from its tags."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from controlplane import ports, wire
from controlplane.core import adapters, history, lifecycle
from controlplane.services import promote

TRACK = ("live", "previous", "perf-passed", "perf-failed", "eval-passed", "eval-failed", "staged", "candidate")
MEASURED = ("eval_loss", "perplexity", "a_rate", "b_rate", "c_rate", "refusal_rate", "p95_latency", "p95_ttft", "throughput")
# The version's tag that says since when it is put aside; empty or missing: it is not.
ARCHIVED_AT = "archived-at"
CURVES = ("train_loss", "eval_loss", "learning_rate")


@dataclass(frozen=True)
class Models:
    registry: ports.Registry
    tracking: ports.Tracking
    ledger: ports.Ledger
    now: Callable[[], datetime]

    def all(self) -> list[wire.Model]:
        return [shown_model(model) for model in self.registry.models()]

    def model(self, name: str) -> wire.Model:
        return shown_model(self.registry.model(adapters.check_model_name(name)))

    def versions(self, name: str) -> list[wire.Version]:
        return [shown_version(version) for version in self.registry.versions(adapters.check_model_name(name))]

    def version(self, name: str, number: int) -> wire.VersionDetail:
        version = self.registry.resolve(name, f"version:{number}")
        run = self.tracking.run(version.run_id)
        files = self.tracking.artifacts(version.run_id, "adapter")
        curves = {metric: tuple(self.tracking.history(version.run_id, metric)) for metric in CURVES if metric in run.metrics}
        promotions = [shown_promotion(record) for record in self.ledger.promotions(name) if number in (record.version, record.replaces)]
        return wire.VersionDetail(
            version=shown_version(version),
            parameters=run.parameters,
            files=tuple(wire.File(path=path, size_bytes=size) for path, size in files),
            curves=curves,
            promotions=tuple(promotions),
        )

    def download(self, name: str, number: int) -> bytes:
        """A zip of the adapter's two files."""
        version = self.registry.resolve(name, f"version:{number}")
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory(prefix="gatewright-") as folder, zipfile.ZipFile(packed, "w") as archive:
            directory = self.registry.download(version, Path(folder))
            for file in adapters.REQUIRED_FILES:
                archive.write(directory / file, f"{name}-v{number}/{file}")
        return packed.getvalue()

    def remove(self, name: str, number: int, caller: promote.Caller) -> None:
        """Deletes a version from the registry; its directory on the servers stays, for a request may use it.

        Raises:
            Refused: it is live or previous.
        """
        self._require_removable(name, number)
        version = self.registry.resolve(name, f"version:{number}")
        self.registry.delete(version)
        details = {"digest": version.digest, "aliases": " ".join(version.aliases)}
        self.ledger.append(ports.Event(self.now(), caller.actor, caller.interface, "deleted", name, number, caller.reason, details))

    def archive(self, name: str, number: int, caller: promote.Caller) -> wire.Version:
        """Puts a version aside: it loses its aliases and leaves the lists, and can be restored.

        Raises:
            Refused: it is live or previous.
        """
        aliases = self._require_removable(name, number)
        version = self.registry.resolve(name, f"version:{number}")
        self.registry.apply(name, lifecycle.plan_archiving(aliases, number))
        return self._mark(version, "archived", self.now().isoformat(timespec="seconds"), caller)

    def restore(self, name: str, number: int, caller: promote.Caller) -> wire.Version:
        """Back in the lists, without the aliases it had: it goes through the gates again."""
        return self._mark(self.registry.resolve(name, f"version:{number}"), "restored", "", caller)

    def _require_removable(self, name: str, number: int) -> Mapping[str, int]:
        """The aliases; a version that they or the last decision call live or previous is refused, for servers may answer from it."""
        aliases = self.registry.model(name).aliases
        last = history.decided(self.ledger.latest(name, history.LIVE_ACTIONS))
        for protecting in (aliases, last.aliases if last else {}):
            lifecycle.require_removable(protecting, number)
        return aliases

    def _mark(self, version: ports.Version, action: str, archived_at: str, caller: promote.Caller) -> wire.Version:
        self.registry.tag(version, {ARCHIVED_AT: archived_at})
        details = {"digest": version.digest, "aliases": " ".join(version.aliases)}
        event = ports.Event(self.now(), caller.actor, caller.interface, action, version.model, version.number, caller.reason, details)
        self.ledger.append(event)
        return shown_version(self.registry.resolve(version.model, f"version:{version.number}"))

    def card(self, name: str, number: int) -> str:
        """A model card in markdown, from what was measured."""
        version = shown_version(self.registry.resolve(name, f"version:{number}"))
        run = self.tracking.run(version.run_id)
        return "\n".join(
            [
                f"# {name} v{number}",
                "",
                f"LoRA adapter `{version.digest}`, {version.stage} in the registry.",
                "",
                *_section("Training", run.parameters),
                *_section("Measured", {key: f"{value:.4g}" for key, value in version.metrics.items()}),
                *_section(
                    "Origin", {"MLflow run": version.run_id, **{key: value for key, value in version.tags.items() if key not in MEASURED}}
                ),
            ]
        )


def shown_model(model: ports.Model) -> wire.Model:
    return wire.Model(
        name=model.name,
        aliases=model.aliases,
        created_at=model.created_at,
        live=model.aliases.get(lifecycle.Alias.LIVE),
        candidate=candidate_of(model.aliases),
        latest_version=model.latest_version,
    )


def candidate_of(aliases: Mapping[str, int]) -> int | None:
    """The version on its way to live: the one furthest on the track that is not live already."""
    for alias in ("perf-passed", "eval-passed", "staged", "candidate"):
        if alias in aliases and aliases[alias] != aliases.get(lifecycle.Alias.LIVE):
            return aliases[alias]
    return None


def shown_version(version: ports.Version) -> wire.Version:
    is_archived = bool(version.tags.get(ARCHIVED_AT))
    return wire.Version(
        model=version.model,
        number=version.number,
        run_id=version.run_id,
        created_at=version.created_at,
        aliases=version.aliases,
        tags=version.tags,
        digest=version.digest,
        stage="archived" if is_archived else next((alias for alias in TRACK if alias in version.aliases), "registered"),
        is_archived=is_archived,
        is_protected=any(alias in version.aliases for alias in lifecycle.PROTECTED),
        metrics={name: float(version.tags[name]) for name in MEASURED if _is_number(version.tags.get(name, ""))},
    )


def shown_promotion(record: ports.PromotionRecord) -> wire.Promotion:
    return wire.Promotion(
        id=record.id,
        model=record.model,
        version=record.version,
        replaces=record.replaces,
        is_rollback=record.is_rollback,
        source_alias=record.source_alias,
        actor=record.actor,
        interface=record.interface,
        reason=record.reason,
        state=record.state,
        started_at=record.started_at,
        ended_at=record.ended_at,
        digest=record.digest,
        error=record.error,
        phase=record.phase,
        replaced_digest=record.replaced_digest,
        override=record.override,
        replicas=tuple(wire.ReplicaProof.model_validate(asdict(replica)) for replica in record.replicas),
    )


def shown_event(event: ports.Event) -> wire.Event:
    return wire.Event(
        id=event.id,
        at=event.at,
        actor=event.actor,
        interface=event.interface,
        action=event.action,
        model=event.model,
        version=event.version,
        reason=event.reason,
        details=event.details,
        hash=event.hash,
    )


def _section(title: str, values: Mapping[str, str]) -> list[str]:
    rows = [f"| {name} | {value} |" for name, value in values.items()]
    return [f"## {title}", "", "| | |", "|---|---|", *rows, ""] if rows else []


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
