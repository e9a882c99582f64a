"""The only place where clients of outside systems meet services: built once from the settings, handed to the API. No rule lives here."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from controlplane import ports, wire
from controlplane import settings as settings_module
from controlplane.clients import (
    adapter_store,
    adapter_weights,
    database,
    ledger,
    local_jobs,
    mlflow_registry,
    object_store,
    openai_judge,
    processes,
    prometheus,
    replica_set,
    run_store,
    vllm_inference,
)
from controlplane.core import admission, errors, reference_judge, workflows
from controlplane.services import (
    audit,
    calibrations,
    charts,
    compare,
    datasets,
    dispatch,
    health,
    launch,
    models,
    overview,
    promote,
    results,
    review,
    serve,
    swap,
    watch,
)

NVIDIA_SMI_SECONDS = 10
# While one of these runs, the slots of its model move under its hands; the heartbeat leaves them alone.
WORKFLOWS_THAT_LOAD = ("deployment", "promote")


@dataclass(frozen=True)
class Ports:
    """Everything outside this process: real clients in production, fakes in tests."""

    registry: ports.Registry
    tracking: ports.Tracking
    adapters: ports.AdapterStore
    replicas: Sequence[ports.Inference]
    executor: ports.Executor
    ledger: ports.Ledger
    store: ports.RunStore
    objects: ports.ObjectStore
    judge: ports.Judge
    metrics: ports.Metrics | None = None


@dataclass(frozen=True)
class Plane:
    """The services over one set of ports. `holder` names this process in leases; `now` and `new_id` come in so that tests decide them."""

    settings: settings_module.Settings
    outside: Ports
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    holder: str
    started_at: datetime

    @cached_property
    def launcher(self) -> launch.Launcher:
        out = self.outside
        defaults, required = self.settings.workflow_defaults, self.settings.required_alias
        return launch.Launcher(out.registry, out.store, out.ledger, defaults, self.new_id, self.now, required)

    @cached_property
    def watcher(self) -> watch.Watcher:
        return watch.Watcher(self.outside.store, self.outside.executor, self.now)

    @cached_property
    def dispatcher(self) -> dispatch.Dispatcher:
        return dispatch.Dispatcher(self.outside.store, self.outside.executor, self.outside.ledger, self.now)

    @cached_property
    def server(self) -> serve.Server:
        return serve.Server(self.outside.registry, self.outside.ledger, self.outside.adapters, self.outside.replicas)

    @cached_property
    def promoter(self) -> promote.Promoter:
        out = self.outside
        return promote.Promoter(
            out.registry,
            out.ledger,
            swap.Swapper(self.server, self.now),
            self.settings.required_alias,
            self.new_id,
            self.now,
            self.holder,
            self.is_gone,
            lambda model: out.store.list(workflow=workflows.PROMOTE.name, model=model, is_active=True, limit=1),
            lambda model: out.store.is_leased(_healing_lease(model)),
            self.settings.timeouts.healing_seconds,
            self.settings.may_degrade,
        )

    @cached_property
    def results(self) -> results.Results:
        return results.Results(self.outside.registry, self.outside.tracking)

    @cached_property
    def calibrations(self) -> calibrations.Calibrations:
        return calibrations.Calibrations(self.outside.tracking)

    @cached_property
    def planner(self) -> overview.Planner:
        return overview.Planner(self.outside.registry, self.outside.ledger, self.promoter, self.results, self.reviewer)

    @cached_property
    def overview(self) -> overview.Overview:
        return overview.Overview(self.outside.registry, self.outside.ledger, self.server, self.watcher, self.promoter.drift)

    @cached_property
    def models(self) -> models.Models:
        return models.Models(self.outside.registry, self.outside.tracking, self.outside.ledger, self.now)

    @cached_property
    def auditor(self) -> audit.Auditor:
        return audit.Auditor(self.outside.registry, self.outside.ledger)

    @cached_property
    def datasets(self) -> datasets.Datasets:
        return datasets.Datasets(self.outside.objects, self.outside.registry)

    @cached_property
    def comparer(self) -> compare.Comparer:
        out = self.outside
        return compare.Comparer(out.registry, out.replicas, out.judge, out.ledger, self.now)

    @cached_property
    def reviewer(self) -> review.Reviewer:
        return review.Reviewer(self.results, self.outside.ledger, self.comparer, self.now)

    @cached_property
    def charts(self) -> charts.Charts:
        return charts.Charts(self.outside.metrics)

    def require_ready(self) -> None:
        """Raises Unreachable while the database or MLflow does not answer."""
        self.outside.store.list(limit=1)
        self.outside.registry.models()

    def is_gone(self, holder: str) -> bool:
        """Has this process died? One of this machine is looked up; one elsewhere is believed dead when it has not said that it lives."""
        if holder == self.holder:
            return False
        host, _, process = holder.partition(":")
        if host == self.holder.partition(":")[0]:
            return not _is_process_alive(process)
        return not self.outside.store.is_beating(holder)

    def busy_models(self) -> frozenset[str]:
        """Models whose slots somebody is changing right now."""
        loading = [run for run in self.outside.store.list(is_active=True, limit=1000) if run.workflow in WORKFLOWS_THAT_LOAD]
        promoting = [record.model for record in self.outside.ledger.promotions(limit=100) if record.state == "running"]
        return frozenset([*promoting, *(run.parameters.get("model-name", "") for run in loading)])

    @contextmanager
    def healing(self, model: str) -> Iterator[bool]:
        """True inside when nobody changes the model's slots; a promotion that begins inside waits for the end of the block."""
        # First the lease, then the look: a promotion first says that it runs, then looks for the lease, so that one sees the other.
        with self.outside.store.lease(_healing_lease(model), self.holder, self.settings.timeouts.healing_seconds) as is_ours:
            yield is_ours and model not in self.busy_models()

    def systems(self) -> wire.Health:
        settings = self.settings
        return health.look(self._probes(), version=version(), profile=settings.profile, executor=settings.executor)

    def _probes(self) -> list[health.Probe]:
        settings, out = self.settings, self.outside
        vllm_hint = "Start it (gatewright up), or set GATEWRIGHT_VLLM_URLS; a CPU server takes about a minute."
        return [
            _probe(
                "Database", _shown(settings.database_url), lambda: out.store.list(limit=1), "Check the disk and GATEWRIGHT_DATABASE_URL."
            ),
            _probe("MLflow", _shown(settings.mlflow_url), out.registry.models, "Start it (gatewright up), or set MLFLOW_TRACKING_URI."),
            *(_probe("vLLM", replica.address, replica.served, vllm_hint) for replica in out.replicas),
            _probe("Object store", _shown(settings.artifacts_url), lambda: out.objects.list(""), "Check GATEWRIGHT_ARTIFACTS_URL."),
            *self._optional_probes(),
        ]

    def _optional_probes(self) -> list[health.Probe]:
        metrics = self.outside.metrics
        if metrics is None:
            return []
        hint = "Start it, or set GATEWRIGHT_PROMETHEUS_URL; only charts need it."
        return [_probe("Prometheus", metrics.address, lambda: metrics.instant("1", self.now()), hint, is_optional=True)]


def _healing_lease(model: str) -> str:
    return f"healing:{model}"


def build(settings: settings_module.Settings) -> Plane:
    """The control plane on its real outside systems, the database's schema brought up to date. Contacts nothing else yet.

    Raises:
        InvalidInput: an address cannot be read, or the executor is not offered.
        NoSpace: the home directory cannot be written.
    """
    database.migrate(settings.database_url)
    engine = database.open(settings.database_url)
    replicas = replica_set.ReplicaSet(settings.vllm_urls, lambda url: _replica(url, settings.timeouts))
    outside = Ports(
        registry=mlflow_registry.MlflowRegistry(settings.mlflow_url),
        tracking=mlflow_registry.MlflowTracking(settings.mlflow_url),
        adapters=adapter_store.LocalAdapterStore(settings.adapters_dir, lambda: _limits(settings, replicas[0])),
        replicas=replicas,
        executor=_executor(settings),
        ledger=ledger.SqlLedger(engine),
        store=run_store.SqlRunStore(engine),
        objects=object_store.open(f"{settings.artifacts_url.rstrip('/')}/datasets"),
        judge=openai_judge.OpenAiJudge(settings.judge_url) if settings.judge_url else reference_judge.ReferenceJudge(),
        metrics=prometheus.Prometheus(settings.prometheus_url) if settings.prometheus_url else None,
    )
    return Plane(settings, outside, utc_now, new_id, holder(), utc_now())


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """Short, and in the order of time: 20260131-142530-a1b2."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def holder() -> str:
    """This process among all API replicas: the host, and the process with the time it was made."""
    found = processes.find(os.getpid())
    return f"{socket.gethostname()}:{found.to_text() if found else os.getpid()}"


def version() -> str:
    return importlib.metadata.version("gatewright")


def _limits(settings: settings_module.Settings, replica: ports.Inference) -> admission.Server:
    """What the servers take, as far as the first tells: the base model's names, and its layers when its files are on this machine."""
    base = next(served for served in replica.served() if not served.parent)
    modules = adapter_weights.layers(Path(base.root))
    return admission.Server((base.root, base.name), settings.max_lora_rank, settings.max_adapter_bytes, modules)


def _replica(url: str, timeouts: settings_module.Timeouts) -> vllm_inference.VllmReplica:
    return vllm_inference.VllmReplica(
        url,
        connect_seconds=timeouts.connect_seconds,
        read_seconds=timeouts.read_seconds,
        answer_seconds=timeouts.answer_seconds,
    )


def _executor(settings: settings_module.Settings) -> ports.Executor:
    if settings.executor != "local":
        raise errors.InvalidInput(f"The executor {settings.executor!r} is not offered yet.", hint="Set GATEWRIGHT_EXECUTOR=local.")
    return local_jobs.LocalJobs(settings.runs_dir, os.environ, processes.gpu_ids())


def _is_process_alive(text: str) -> bool:
    try:
        return processes.is_alive(processes.ProcessHandle.from_text(text))
    except errors.InvalidInput:
        return False


def _probe(name: str, address: str, ask: Callable[[], object], hint: str, *, is_optional: bool = False) -> health.Probe:
    def asked() -> str:
        ask()
        return ""

    return health.Probe(name, address, asked, hint, is_optional)


def _shown(url: str) -> str:
    """The address without a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url
