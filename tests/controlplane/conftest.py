"""A control plane on the shipped fakes, for the tests of services and of the API."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import fastapi
import made_load_tests
import pytest

from controlplane import plane, ports, settings, testing
from controlplane.api import app
from controlplane.core import evidence, gates, judging, latency, load_results, reference_judge, sample_table
from controlplane.services import promote

MODEL = "ops-qa"
ADA = promote.Caller("ada", "console", "both gates passed")


@dataclass
class World:
    """The fakes, and the plane over them."""

    home: Path
    registry: testing.FakeRegistry = field(default_factory=testing.FakeRegistry)
    adapters: testing.FakeAdapterStore = field(default_factory=testing.FakeAdapterStore)
    executor: testing.FakeExecutor = field(default_factory=testing.FakeExecutor)
    ledger: testing.FakeLedger = field(default_factory=testing.FakeLedger)
    store: testing.FakeRunStore = field(default_factory=testing.FakeRunStore)
    objects: testing.FakeObjectStore = field(default_factory=testing.FakeObjectStore)
    metrics: testing.FakeMetrics = field(default_factory=testing.FakeMetrics)
    replicas: tuple[testing.FakeInference, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = testing.ticks()
        self.ids = (f"id-{number:04d}" for number in itertools.count(1))
        # A plane started later finds that the process of an earlier one is gone, as after a restart.
        self.starts = itertools.count(1)
        self.plane = self.start_plane()

    @property
    def tracking(self) -> testing.FakeTracking:
        return self.registry.tracking

    def start_plane(self) -> plane.Plane:
        """A control plane that starts now, as after a restart."""
        given = {"GATEWRIGHT_HOME": str(self.home), **self.environment}
        outside = plane.Ports(
            registry=self.registry,
            tracking=self.tracking,
            adapters=self.adapters,
            replicas=self.replicas,
            executor=self.executor,
            ledger=self.ledger,
            store=self.store,
            objects=self.objects,
            judge=reference_judge.ReferenceJudge(),
            metrics=self.metrics,
        )
        now = lambda: next(self.clock)  # noqa: E731 - a clock that moves with every look
        soon = settings.Timeouts(tick_seconds=0.01, reconcile_seconds=0.01, healing_seconds=0.01)
        return plane.Plane(
            replace(settings.load(given), timeouts=soon), outside, now, lambda: next(self.ids), f"test:{next(self.starts)}", now()
        )

    def add_version(self, *aliases: str, **tags: str) -> ports.Version:
        return self.registry.add(MODEL, aliases=aliases, tags=tags)

    def home_of(self, number: int) -> Path:
        return self.adapters.home(self.registry.resolve(MODEL, f"version:{number}"))

    def live_roots(self) -> list[str]:
        """What each replica's live slot answers from."""
        return [str(replica.slots.get(f"{MODEL}-live", "")) for replica in self.replicas]

    def add_live(self) -> ports.Version:
        """Version 1, live on both replicas."""
        version = self.add_version("live")
        for replica in self.replicas:
            replica.slots[f"{MODEL}-live"] = self.home_of(version.number)
        return version

    def add_evaluation(self, version: ports.Version, answers: Mapping[str, str]) -> str:
        """Gate 1 of a version whose answers to one question are given by role."""
        rows = [
            judging.GradedRow("r1", role, "Which port?", "It is 22.", "22", True, text, "A" if text == "22" else "C", "", False, 0.3)
            for role, text in answers.items()
        ]
        scores = judging.scores([row for row in rows if row.role == "candidate"])
        verdict = gates.evaluate_answers(scores, None, gates.AnswerThresholds())
        files = {"verdict.json": json.dumps(evidence.to_dict(verdict)), "grades.jsonl": _lines(rows)}
        return self._record(version, evidence.Gate.EVALUATION, verdict, files, {"a_rate": 1.0}, {"judge": reference_judge.NAME})

    def add_performance(self, version: ports.Version, seconds: float, tags: Mapping[str, str] | None = None) -> str:
        """Gate 2 of a version whose requests all took this long."""
        record = made_load_tests.made([seconds] * 10)
        summary = latency.summarize_role(record.test, latency.CANDIDATE)
        verdict = gates.evaluate_performance(summary, None, gates.LoadThresholds())
        files = {
            "verdict.json": json.dumps(evidence.to_dict(verdict)),
            "samples.parquet": sample_table.to_parquet(record.samples),
            "results.json": load_results.to_json(record),
            "sweep.json": "[]",
        }
        return self._record(version, evidence.Gate.PERFORMANCE, verdict, files, latency.to_metrics(summary), tags or {})

    def _record(
        self,
        version: ports.Version,
        gate: evidence.Gate,
        verdict: evidence.Verdict,
        files: Mapping[str, str | bytes],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> str:
        run_id = self.tracking.log(gate, str(gate), parameters={}, metrics=metrics, tags=tags)
        for name, content in files.items():
            self.tracking.files[run_id, name] = content.encode() if isinstance(content, str) else content
        self.registry.tag(version, {f"{gate}-run": run_id, f"{gate}-outcome": verdict.outcome})
        return run_id


@pytest.fixture(scope="session")
def application() -> fastapi.FastAPI:
    """The application without heartbeats, made once: building its routes takes longer than most tests."""
    return app.create(World(Path("/nowhere")).plane, with_loops=False)


@pytest.fixture
def served(application: fastapi.FastAPI, world: World) -> fastapi.FastAPI:
    """The application on this test's world."""
    application.state.plane = world.plane
    return application


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replicas=(testing.FakeInference("http://vllm-0.test"), testing.FakeInference("http://vllm-1.test")))


def _lines(items: list[judging.GradedRow] | list[latency.Sample]) -> str:
    return "".join(json.dumps(asdict(item)) + "\n" for item in items)
