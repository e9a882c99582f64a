"""The only place where clients of outside systems meet services: built once from the settings, handed to the API. No rule lives here."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import socket
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
    processes,
    prometheus,
    run_store,
    vllm_inference,
)
from controlplane.core import errors, judging
from controlplane.services import charts, compare, datasets, dispatch, health, launch, models, overview, promote, results, serve, watch


JOB_ENVIRONMENT = (
    *(
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "LD_LIBRARY_PATH",
        "OMP_NUM_THREADS",
        "CUDA_VISIBLE_DEVICES",
    ),
    *("HF_HUB_OFFLINE", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "GIT_PYTHON_REFRESH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@dataclass(frozen=True)
class Outside:
    """Everything outside this process, behind our ports: real clients in production, fakes in tests."""

    registry: ports.Registry
    tracking: ports.Tracking
    adapters: ports.AdapterStore
    replicas: tuple[ports.Inference, ...]
    executor: ports.Executor
    ledger: ports.Ledger
    store: ports.RunStore
    datasets: ports.ObjectStore
    judge: ports.Judge
    metrics: ports.Metrics | None = None


class Plane:
    """The services, each made on first use. `now` and `new_id` come in so that tests decide them."""

    def __init__(
        self, settings: settings_module.Settings, outside: Outside, now: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self.settings = settings
        self.outside = outside
        self.now = now
        self.new_id = new_id
        self.started_at = now()
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    @cached_property
    def launcher(self) -> launch.Launcher:
        out = self.outside
        return launch.Launcher(out.registry, out.store, out.ledger, self.settings.workflow_defaults, self.new_id, self.now)

    @cached_property
    def watcher(self) -> watch.Watcher:
        return watch.Watcher(self.outside.store, self.outside.executor, self.now)

    @cached_property
    def dispatcher(self) -> dispatch.Dispatcher:
        return dispatch.Dispatcher(self.outside.store, self.outside.executor, self.outside.ledger, self.now)

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
        version = importlib.metadata.version("gatewright")
        return health.look(self._probes(), version=version, profile=self.settings.profile, executor=self.settings.executor)

    def require_ready(self) -> None:
        """Raises Unreachable while the database or MLflow does not answer."""
        self.outside.store.list(limit=1)
        self.outside.registry.models()

    def busy_models(self) -> frozenset[str]:
        """Models that a promotion is moving right now; the reconcile tick keeps away from them."""
        return frozenset(record.model for record in self.outside.ledger.promotions(limit=50) if record.state == "running")

    def _probes(self) -> list[health.Probe]:
        settings, out = self.settings, self.outside
        mend = "Start it with `gatewright up` (its log lies in GATEWRIGHT_HOME/logs)"
        found = [
            health.Probe(
                "Database",
                settings.database_url.split("@")[-1],
                lambda: _nothing(out.store.list(limit=1)),
                "Check GATEWRIGHT_DATABASE_URL and the free disk space.",
            ),
            health.Probe(
                "MLflow", settings.mlflow_url, lambda: f"{len(out.registry.models())} models", f"{mend}, or set MLFLOW_TRACKING_URI."
            ),
            *(health.Probe("vLLM", replica.address, _served(replica), f"{mend}, or set GATEWRIGHT_VLLM_URLS.") for replica in out.replicas),
            health.Probe(
                "Object store", settings.artifacts_url, lambda: _nothing(out.datasets.list("")), "Check GATEWRIGHT_ARTIFACTS_URL."
            ),
        ]
        if out.metrics is not None:
            metrics = out.metrics
            hint = "Install it (Debian package prometheus) and start the stack again; Gate 2 works without it."
            ask = lambda: _nothing(metrics.instant("1", self.now()))  # noqa: E731 - as short as its neighbours
            found.append(health.Probe("Prometheus", metrics.address, ask, hint, is_optional=True))
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
        adapters=adapter_store.AdapterDirectory(settings.adapters_dir),
        replicas=tuple(
            vllm_inference.VllmReplica(
                url, connect_seconds=wait.connect_seconds, read_seconds=wait.read_seconds, answer_seconds=wait.answer_seconds
            )
            for url in settings.vllm_urls
        ),
        executor=_executor(settings),
        ledger=ledger.SqlLedger(engine),
        store=run_store.SqlRunStore(engine),
        datasets=object_store.open(f"{settings.artifacts_url.rstrip('/')}/datasets"),
        judge=openai_judge.OpenAiJudge(settings.judge_url) if settings.judge_url else judging.ReferenceJudge(),
        metrics=prometheus.Prometheus(settings.prometheus_url) if settings.prometheus_url else None,
    )
    return Plane(settings, outside, _now, _new_id)


def _executor(settings: settings_module.Settings) -> ports.Executor:
    if settings.executor != "local":
        raise errors.InvalidInput(f"The executor {settings.executor!r} is not part of this release.", hint="Set GATEWRIGHT_EXECUTOR=local.")
    return local_jobs.LocalJobs(settings.runs_dir, _job_environment(settings), processes.gpu_ids())


def _job_environment(settings: settings_module.Settings) -> dict[str, str]:
    """What a job may know: no variable that is not named here, so no secret of ours."""
    passed = {name: os.environ[name] for name in JOB_ENVIRONMENT if name in os.environ}
    own = {"MLFLOW_TRACKING_URI": settings.mlflow_url, "GATEWRIGHT_HOME": str(settings.home), "GATEWRIGHT_PROFILE": settings.profile}
    return {**passed, **own}


def _served(replica: ports.Inference) -> Callable[[], str]:
    return lambda: f"{len(replica.served())} names served"


def _nothing(_answer: object) -> str:
    return ""


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    """Sortable by time, short enough to read out."""
    return f"{_now():%m%d-%H%M%S}-{secrets.token_hex(3)}"
