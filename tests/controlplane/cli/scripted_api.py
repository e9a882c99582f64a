"""An API that answers what a test gave it, and a terminal that runs commands against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import typer.testing

from controlplane import cli, wire
from controlplane.core import errors

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


VERSION = wire.Version(
    model="ops-qa",
    number=2,
    run_id="0123456789abcdef",
    created_at=NOW,
    aliases=("live",),
    tags={},
    digest="d" * 64,
    stage="live",
    metrics={"perplexity": 1.25},
)


LINES = [
    wire.LogLine(id=f"train:{n}", step="train", number=n, time="2026-03-01T12:00:00", level="INFO", message=f"line {n}") for n in (1, 2, 3)
]


VOTE = wire.ExportedVote(
    id=1,
    at=NOW,
    actor="ada",
    model="ops-qa",
    candidate_version=2,
    live_version=None,
    choice="tie",
    counts=True,
    left="live",
    comment="=1+1, both",
    evaluation_run="e1",
    row_id="q-1",
    prompt="Which port?",
    candidate_answer="22",
)


GOLDEN = wire.GoldenRow(
    id="q-1-v2-live", question="Which port?", context="", reference="22", answerable=True, answer="80", grade="C", source="ada, Zoë"
)


def run_in(state: str, reason: str = "") -> wire.Run:
    step = wire.Step(name="train", state=state, attempt=1, started_at=NOW, reason=reason, outputs={"run-id": "abc"})
    return wire.Run(
        id="r-1",
        workflow="training",
        title="Train an adapter",
        state=state,
        parameters={"data-version": "2", "seed": ""},
        steps=(step,),
        created_at=NOW,
        created_by="ada",
        interface="cli",
        ended_at=NOW + timedelta(seconds=90),
        reason=reason,
        command="gatewright launch training -p data-version=2",
    )


def event(number: int, action: str, version: int, hour: int, reason: str = "") -> wire.Event:
    at = NOW.replace(hour=hour)
    return wire.Event(id=number, at=at, actor="ada", interface="cli", action=action, model="ops-qa", version=version, reason=reason)


EVENTS = [
    event(4, "rolled-back", 1, 11, "slow"),
    event(3, "promoted", 2, 10),
    event(2, "staged", 2, 9),
    event(1, "promoted", 1, 8, "first"),
]


def promotion(state: str, error: str = "") -> wire.Promotion:
    return wire.Promotion(
        id="p-1",
        model="ops-qa",
        version=2,
        replaces=1,
        is_rollback=False,
        source_alias="perf-passed",
        actor="ada",
        interface="cli",
        reason="",
        state=state,
        started_at=NOW,
        error=error,
        replicas=(wire.ReplicaProof(address="http://127.0.0.1:1", state="verified", root="/adapters/ops-qa/2-dddddddddddd"),),
    )


@dataclass
class Api:
    """Answers what it was given; an error in the place of an answer is raised; a list of `run_states` is walked through."""

    fault: errors.GatewrightError | None = None
    run_states: list[str] = field(default_factory=lambda: ["succeeded"])
    events: list[wire.Event] = field(default_factory=lambda: list(EVENTS))
    reason: str = ""
    log_faults: list[int] = field(default_factory=list)
    promotion_states: list[str] = field(default_factory=lambda: ["done"])
    pieces: list[wire.ComparisonEvent] = field(default_factory=list)
    healthy: bool = True
    faults: tuple[str, ...] = ()
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _answer(self, *call: Any) -> None:
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault

    def run(self, run_id: str) -> wire.Run:
        self._answer("run", run_id)
        state = self.run_states.pop(0) if len(self.run_states) > 1 else self.run_states[0]
        return run_in(state, self.reason)

    def progress(self, run_id: str) -> wire.RunProgress:
        return wire.RunProgress(run_id=run_id, state="running", step="train", fraction=0.5, seconds_left=70)

    def runs(self, *, workflow: str = "", is_active: bool = False, limit: int = 50) -> list[wire.Run]:
        self._answer("runs", workflow, is_active, limit)
        return [run_in("stopped", "eval loss [too] high")]

    def launch(self, workflow: str, parameters: Mapping[str, str]) -> wire.Run:
        self._answer("launch", workflow, dict(parameters))
        return run_in("running")

    def cancel(self, run_id: str) -> wire.Run:
        self._answer("cancel", run_id)
        return run_in("running")

    def retry(self, run_id: str) -> wire.Run:
        self._answer("retry", run_id)
        return run_in("running")

    def logs(self, run_id: str, after: str = "") -> list[wire.LogLine]:
        self._answer("logs", run_id)
        return LINES

    def exported_votes(self, model: str, version: int | None = None) -> list[wire.ExportedVote]:
        self._answer("exported_votes", model, version)
        return [VOTE]

    def golden_rows(self, model: str, version: int) -> list[wire.GoldenRow]:
        self._answer("golden_rows", model, version)
        return [GOLDEN] if version == 2 else []

    def stream_logs(self, run_id: str, last_event_id: str = "") -> Iterator[wire.LogLine]:
        self._answer("stream_logs", run_id, last_event_id)
        seen = int(last_event_id.partition(":")[2] or 0)
        for line in LINES[seen:]:
            if self.log_faults and self.log_faults[0] == line.number:
                self.log_faults.pop(0)
                raise errors.Unreachable("The API", "http://127.0.0.1:1", "connection reset")
            yield line

    def models(self) -> list[wire.Model]:
        self._answer("models")
        return [wire.Model(name="ops-qa", aliases={"live": 2, "previous": 1}, created_at=NOW, live=2, latest_version=2)]

    def versions(self, name: str) -> list[wire.Version]:
        self._answer("versions", name)
        return [VERSION]

    def history(self, name: str, limit: int = 100) -> list[wire.Event]:
        self._answer("history", name, limit)
        return self.events

    def live_at(self, name: str, moment: datetime) -> wire.Event | None:
        self._answer("live_at", name, moment)
        return next((event for event in self.events if event.action in ("promoted", "rolled-back") and event.at <= moment), None)

    def adopt(self, name: str, reason: str) -> None:
        self._answer("adopt", name, reason)

    def revert(self, name: str, reason: str) -> None:
        self._answer("revert", name, reason)

    def remove(self, name: str, number: int, reason: str) -> None:
        self._answer("remove", name, number, reason)

    def archive(self, name: str, number: int, reason: str) -> None:
        self._answer("archive", name, number, reason)

    def restore(self, name: str, number: int, reason: str) -> None:
        self._answer("restore", name, number, reason)

    def audit(self) -> wire.Audit:
        return wire.Audit(entries=2, models=1, head="abc", faults=self.faults)

    def model(self, name: str) -> wire.Model:
        if self.fault is not None:
            raise self.fault
        return wire.Model(name=name, aliases={"live": 3}, created_at=NOW, live=3)

    def promote(
        self, name: str, source_alias: str, reason: str, *, override: bool = False, expected_live: int | None = None
    ) -> wire.Promotion:
        self._answer("promote", name, source_alias, reason, override, expected_live)
        return promotion(self.promotion_states[0], "replica drifted")

    def rollback(self, name: str, reason: str, *, expected_live: int | None = None) -> wire.Promotion:
        self._answer("rollback", name, reason, expected_live)
        return promotion(self.promotion_states[0])

    def promotions(self, name: str = "", limit: int = 100) -> list[wire.Promotion]:
        self.promotion_states.pop(0)
        return [promotion(self.promotion_states[0])]

    def compare(self, asked: wire.Comparison) -> Iterator[wire.ComparisonEvent]:
        self._answer("compare", asked)
        yield from self.pieces

    def datasets(self) -> list[wire.Dataset]:
        self._answer("datasets")
        split = wire.Split(name="eval", rows=120, answerable=90, digest="e" * 64)
        return [wire.Dataset(id="ops-qa-v1", name="ops-qa", version=1, splits=(split,))]

    def overview(self) -> wire.Overview:
        self._answer("overview")
        slot = wire.SlotState(
            name="ops-qa-live", model="ops-qa", alias="live", wanted_version=2, wanted_root="/a/2", served_root="/a/1", state="drift"
        )
        shown = wire.OverviewModel(
            name="ops-qa", live=VERSION, previous=None, candidate=None, headline="Version 2 is live.", next_step="Nothing waits."
        )
        return wire.Overview(
            headline="1 model is live.",
            models=(shown,),
            replicas=(wire.Replica(address="http://127.0.0.1:1", is_healthy=True, slots=(slot,)),),
            active_runs=(run_in("running"),),
            events=tuple(EVENTS),
            problems=("ops-qa-live drifts.",),
        )

    def health(self) -> wire.Health:
        self._answer("health")
        system = wire.System(name="MLflow", address="http://127.0.0.1:2", is_well=self.healthy, hint="Start MLflow.")
        return wire.Health(is_well=self.healthy, version="0.1.0", profile="local", executor="local", systems=(system,))


@dataclass
class Terminal:
    """Runs commands against one API and remembers the addresses that were asked for."""

    api: Api
    addresses: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str) -> Any:
        return typer.testing.CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
