"""The only place where clients of outside systems meet services: built once from the settings, handed to the API. No rule lives here."""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from controlplane import ports, wire
from controlplane import settings as settings_module
from controlplane.clients import (
    adapter_store,
    database,
    ledger,
    local_jobs,
    mlflow_registry,
    object_store,
    openai_judge,
    prometheus,
    run_store,
    vllm_inference,
)
from controlplane.core import errors, judging
from controlplane.services import charts, compare, datasets, dispatch, health, launch, models, overview, promote, results, serve, watch


@dataclass(frozen=True)
class Outside:
    """Everything outside this process, behind our ports: real clients in production, fakes in tests."""

    registry: ports.Registry
    tracking: ports.Tracking
    adapters: ports.AdapterStore
    replicas: tuple[ports.Inference, ...]
    executor: ports.Executor
    ledger: ports.Ledger
    runs: ports.RunStore
    datasets: ports.ObjectStore
    judge: ports.Judge
    metrics: ports.Metrics | None = None


@dataclass(frozen=True)
class Plane:
    """The services, each made on first use. `now` and `new_id` come in so that tests decide them."""

    settings: settings_module.Settings
    outside: Outside
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    @cached_property
    def launcher(self) -> launch.Launcher:
        out = self.outside
        return launch.Launcher(out.registry, out.runs, out.ledger, self.settings.workflow_defaults, self.new_id, self.now)

    @cached_property
    def watcher(self) -> watch.Watcher:
        return watch.Watcher(self.outside.runs, self.outside.executor, self.settings.workflow_defaults, self.now)

    @cached_property
    def dispatcher(self) -> dispatch.Dispatcher:
        return dispatch.Dispatcher(self.outside.runs, self.outside.executor, self.outside.ledger, self.now)

    @cached_property
    def server(self) -> serve.Server:
        return serve.Server(self.outside.registry, self.outside.adapters, self.outside.replicas)

    @cached_property
    def promoter(self) -> promote.Promoter:
        out = self.outside
        return promote.Promoter(out.registry, out.ledger, self.server, self.settings.required_alias, self.new_id, self.now)

    @cached_property
    def results(self) -> results.Results:
        return results.Results(self.outside.registry, self.outside.tracking)

    @cached_property
    def planner(self) -> overview.Planner:
        return overview.Planner(self.outside.registry, self.outside.ledger, self.promoter, self.results)

    @cached_property
    def overview(self) -> overview.Overview:
        return overview.Overview(self.outside.registry, self.outside.ledger, self.server, self.watcher)

    @cached_property
    def models(self) -> models.Models:
        return models.Models(self.outside.registry, self.outside.tracking, self.outside.ledger)

    @cached_property
    def datasets(self) -> datasets.Datasets:
        return datasets.Datasets(self.outside.datasets, self.outside.registry)

    @cached_property
    def comparer(self) -> compare.Comparer:
        out = self.outside
        return compare.Comparer(out.registry, out.replicas[0], out.judge, out.ledger, self.now)

    @cached_property
    def charts(self) -> charts.Charts:
        return charts.Charts(self.outside.metrics)

    def health(self) -> wire.Health:
        settings = self.settings
        return health.look(self._probes(), version=version(), profile=settings.profile, executor=settings.executor)

    def require_ready(self) -> None:
        """Raises Unreachable while the database or MLflow does not answer."""
        self.outside.runs.list(limit=1)
        self.outside.registry.models()

    def _probes(self) -> list[health.Probe]:
        settings, out = self.settings, self.outside
        found = [
            health.Probe("Database", _without_password(settings.database_url), lambda: _nothing(out.runs.list(limit=1)), "Check the disk, or GATEWRIGHT_DATABASE_URL."),
            health.Probe("MLflow", _without_password(settings.mlflow_url), lambda: _nothing(out.registry.models()), "Start it, or set MLFLOW_TRACKING_URI."),
            *(
                health.Probe("vLLM", replica.address, lambda replica=replica: _nothing(replica.served()), "Start it, or set GATEWRIGHT_VLLM_URLS.")  # type: ignore[misc]
                for replica in out.replicas
            ),
            health.Probe("Object store", settings.artifacts_url, lambda: _nothing(out.datasets.list("")), "Check GATEWRIGHT_ARTIFACTS_URL and its rights."),
        ]
        if out.metrics is not None:
            metrics = out.metrics
            hint = "Start it, or set GATEWRIGHT_PROMETHEUS_URL; charts are empty without it."
            found.append(health.Probe("Prometheus", metrics.address, lambda: _nothing(metrics.instant("1", self.now())), hint, is_optional=True))
        return found


def build(settings: settings_module.Settings) -> Plane:
    """The control plane on its real outside systems, with the database's schema up to date. Contacts nothing but the database.

    Raises:
        InvalidInput: an address or the executor cannot be used.
        NoSpace: the home directory cannot be written.
    """
    database.migrate(settings.database_url)
    engine = database.open(settings.database_url)
    wait = settings.timeouts
    outside = Outside(
        registry=mlflow_registry.MlflowRegistry(settings.mlflow_url),
        tracking=mlflow_registry.MlflowTracking(settings.mlflow_url),
        adapters=adapter_store.LocalAdapterStore(settings.adapters_dir),
        replicas=tuple(
            vllm_inference.VllmReplica(
                url, connect_seconds=wait.connect_seconds, read_seconds=wait.read_seconds, answer_seconds=wait.answer_seconds
            )
            for url in settings.vllm_urls
        ),
        executor=_executor(settings),
        ledger=ledger.SqlLedger(engine),
        runs=run_store.SqlRunStore(engine),
        datasets=object_store.open(f"{settings.artifacts_url.rstrip('/')}/datasets"),
        judge=openai_judge.OpenAiJudge(settings.judge_url) if settings.judge_url else judging.ReferenceJudge(),
        metrics=prometheus.Prometheus(settings.prometheus_url) if settings.prometheus_url else None,
    )
    return Plane(settings, outside, utc_now, new_id)
