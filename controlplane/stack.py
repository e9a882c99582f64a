"""The embedded stack on one machine: MLflow, vLLM, Prometheus, the API and the console. Starts, watches and stops them; decides nothing.

Everything listens on loopback. What a killed stack left behind is recognised by pid and start time and stopped before a new one starts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from controlplane import settings as settings_module
from controlplane.clients import processes
from controlplane.core import errors, gates, histogram_bounds, profiles

Report = Callable[[str], None]

PASSED_ON = (
    *(
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "USER",
        "LOGNAME",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CUDA_VISIBLE_DEVICES",
        "LD_LIBRARY_PATH",
    ),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)

# The base model takes 0.3 GB and as much again while it is made; MLflow, Prometheus, runs and adapters take the rest.
SPACE_BYTES = 1_000_000_000

SECRETS = ("GATEWRIGHT_API_TOKEN", "GATEWRIGHT_DATABASE_URL")


@dataclass(frozen=True)
class Service:
    """One server process of the stack. `health` answers 200 once it is ready, within `start_seconds`."""

    name: str
    command: tuple[str, ...]
    port: int
    health: str
    start_seconds: float
    environment: Mapping[str, str]


def environment(settings: settings_module.Settings) -> dict[str, str]:
    """What every process of the stack may know of ours: no other variable is handed on."""
    own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    gatewright = {name: value for name, value in os.environ.items() if name.startswith("GATEWRIGHT_") and name not in SECRETS}
    return {
        **own,
        **gatewright,
        "GATEWRIGHT_HOME": str(settings.home),
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "GATEWRIGHT_API_URL": settings.api_url,
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        # Threads that wait by spinning take the cores from the server or training run beside them: measured, 4 to 20 times slower.
        "OMP_WAIT_POLICY": "passive",
    }


def _with_secrets(settings: settings_module.Settings) -> dict[str, str]:
    """For the API and the console, which need the token; the database address may hold a password."""
    return {**environment(settings), **{name: os.environ[name] for name in SECRETS if name in os.environ}}


def services(settings: settings_module.Settings) -> list[Service]:
    """The servers this installation runs itself, in the order they are started."""
    wanted = [_mlflow(settings), _vllm(settings), _prometheus(settings), _api(settings), _console(settings)]
    return [service for service in wanted if service is not None]


def vllm_command(settings: settings_module.Settings) -> tuple[str, ...]:
    """The local vLLM server: the base model, three adapters active at once (live, its successor, the candidate), more kept in memory."""
    general = (
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(settings.base_model_dir)),
        *("--served-model-name", profiles.LOCAL_BASE_MODEL, "--host", "127.0.0.1", "--port", str(settings.ports.vllm)),
        *(
            "--enable-lora",
            "--max-loras",
            "3",
            "--max-cpu-loras",
            "6",
            "--max-lora-rank",
            str(settings.max_lora_rank),
            "--max-model-len",
            "2048",
        ),
        # Prometheus can then tell which side of a floor a quantile lies on.
        *("--custom-histogram-buckets", json.dumps(histogram_bounds.for_gate(gates.LoadThresholds()))),
    )
    if has_gpu():
        return (*general, "--gpu-memory-utilization", "0.4")
    # One process and passive waiting leave both cores to the arithmetic; float32 is what CPUs without bfloat16 units compute fastest.
    return (*general, "--dtype", "float32", "--max-num-seqs", "16", "--distributed-executor-backend", "uni")


def vllm_environment(settings: settings_module.Settings) -> dict[str, str]:
    always = {
        **environment(settings),
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "GATEWRIGHT_ADAPTERS_DIR": str(settings.adapters_dir),
    }
    if has_gpu():
        return always
    cpu = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    return {**always, **cpu, "OMP_NUM_THREADS": str(os.cpu_count() or 1)}


def has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None and Path("/dev/nvidia0").exists()


class Stack:
    """The running processes of one installation; one stack at a time per home directory."""

    def __init__(self, settings: settings_module.Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        self.state_dir = settings.home / "stack"
        self.log_dir = settings.home / "logs"
        self.running: dict[str, processes.ProcessHandle] = {}

    def prepare(self) -> None:
        """Base model and demo data set, made once.

        Raises:
            Conflict: a port is taken; it is said before anything takes time.
            NoSpace: the home directory cannot be written, or has no room for the base model.
            OutsideError: a program failed; the message names its log.
        """
        _make_directories(self.settings)
        wanted = services(self.settings)
        self.stop_leftovers([service.name for service in wanted])
        for service in wanted:
            _require_free(service)
        _require_space(self.settings)
        self._program(
            "prepare-base-model",
            "jobs.data.prepare_base_model",
            f"--model-dir={self.settings.base_model_dir}",
            f"--output-dir={self.state_dir / 'base-model'}",
        )
        self._program(
            "build-dataset",
            "jobs.data.build_ops_qa",
            f"--data-dir={self.settings.home / 'store' / 'datasets'}",
            f"--output-dir={self.state_dir / 'dataset'}",
        )

    def start(self, names: Sequence[str] = ()) -> None:
        """Starts the named services (all when none is named) at once; `wait` waits for them.

        Raises:
            Conflict: a port is taken by somebody else; nothing is started then.
        """
        chosen = [service for service in services(self.settings) if not names or service.name in names]
        self.stop_leftovers([service.name for service in chosen])
        for service in chosen:
            _require_free(service)
        for service in chosen:
            handle = processes.start(service.command, log=self.log_of(service.name), env=service.environment, cwd=self.settings.home)
            self.running[service.name] = handle
            self._pid_file(service.name).write_text(handle.to_text())

    def wait(self, names: Sequence[str] = ()) -> None:
        """Until the named services are healthy.

        Raises:
            OutsideError: one ended or was not ready in time; the message names its log.
        """
        for service in services(self.settings):
            if service.name in self.running and (not names or service.name in names):
                self._wait_for(service)

    def stop(self) -> None:
        """Stops everything this stack started, last first; a second Ctrl-C does not interrupt it."""
        with _undisturbed():
            for name in reversed(list(self.running)):
                processes.stop(self.running.pop(name), grace_seconds=10)
                self._pid_file(name).unlink(missing_ok=True)

    def stop_leftovers(self, names: Sequence[str]) -> None:
        """Stops what a killed stack of this home left running."""
        for file in [self._pid_file(name) for name in names]:
            if file.exists():
                processes.stop(processes.ProcessHandle.from_text(file.read_text()), grace_seconds=10)
                file.unlink()

    def dead(self) -> list[str]:
        """Services that ended by themselves."""
        return [name for name, handle in self.running.items() if not processes.is_alive(handle)]

    def log_of(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"

    def _program(self, name: str, module: str, *arguments: str) -> None:
        """Runs a job to its end; its log says what went wrong."""
        command = (sys.executable, "-m", module, *arguments)
        code = processes.run(command, log=self.log_of(name), env=environment(self.settings), cwd=self.settings.home)
        if code != 0:
            raise errors.OutsideError(name, module, f"exit status {code}", hint=f"{_last_line(self.log_of(name))} See {self.log_of(name)}.")

    def _wait_for(self, service: Service) -> None:
        deadline = time.monotonic() + service.start_seconds
        while not _answers(service.health):
            for name in self.dead():
                raise errors.OutsideError(name, "this machine", "it ended while starting", hint=f"See {self.log_of(name)}.")
            if time.monotonic() > deadline:
                raise errors.OutsideError(
                    service.name, service.health, f"not ready after {service.start_seconds:.0f} s", hint=f"See {self.log_of(service.name)}."
                )
            time.sleep(0.3)
        self.report(f"{service.name} is ready at {service.health.split('/', 3)[2]}")

    def _pid_file(self, name: str) -> Path:
        return self.state_dir / f"{name}.json"


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM becomes KeyboardInterrupt, so that one way of stopping serves both."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_running(settings: settings_module.Settings) -> bool:
    """Does a stack of this home answer already?"""
    return (settings.home / "stack" / "api.json").exists() and _answers(f"{settings.api_url}/health")


def run_until_interrupted(settings: settings_module.Settings, report: Report = print) -> int:
    """`gatewright up`: everything until Ctrl-C; 1 when a service ended by itself."""
    stack = Stack(settings, report)
    with interruptible():
        try:
            report("Preparing the base model and the demo data set")
            stack.prepare()
            report("Starting the stack (vLLM takes about a minute on a CPU)")
            stack.start()
            stack.wait()
            report(f"Console: {settings.console_url}    API: {settings.api_url}/docs    Ctrl-C stops everything")
            while not stack.dead():
                time.sleep(1)
            name = stack.dead()[0]
            report(f"{name} ended by itself; see {stack.log_of(name)}")
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            report("Stopping")
            stack.stop()


def _mlflow(settings: settings_module.Settings) -> Service | None:
    if "mlflow" not in settings.embedded:
        return None
    home = settings.home / "mlflow"
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(settings.ports.mlflow), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}", "--artifacts-destination", str(home / "artifacts")),
    )
    env = {**environment(settings), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    env.pop("MLFLOW_TRACKING_URI")
    return Service("mlflow", command, settings.ports.mlflow, f"{settings.mlflow_url}/health", 90, env)


def _vllm(settings: settings_module.Settings) -> Service | None:
    if "vllm" not in settings.embedded:
        return None
    return Service(
        "vllm",
        vllm_command(settings),
        settings.ports.vllm,
        f"http://127.0.0.1:{settings.ports.vllm}/health",
        300,
        vllm_environment(settings),
    )


def _prometheus(settings: settings_module.Settings) -> Service | None:
    binary = shutil.which("prometheus")
    if "prometheus" not in settings.embedded or binary is None:
        return None
    home = settings.home / "prometheus"
    command = (
        *(binary, f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}", "--storage.tsdb.retention.time=7d"),
        f"--web.listen-address=127.0.0.1:{settings.ports.prometheus}",
    )
    return Service("prometheus", command, settings.ports.prometheus, f"{settings.prometheus_url}/-/ready", 30, environment(settings))


def _api(settings: settings_module.Settings) -> Service | None:
    if "api" not in settings.embedded:
        return None
    command = (
        *(sys.executable, "-m", "uvicorn", "controlplane.api.main:app", "--factory", "--host", "127.0.0.1"),
        *("--port", str(settings.ports.api), "--log-level", "warning", "--timeout-graceful-shutdown", "3"),
    )
    return Service("api", command, settings.ports.api, f"{settings.api_url}/health", 60, _with_secrets(settings))


def _console(settings: settings_module.Settings) -> Service:
    command = (
        *(sys.executable, "-m", "streamlit", "run", str(_console_script()), "--server.address", "127.0.0.1"),
        *("--server.port", str(settings.ports.console), "--server.headless", "true", "--browser.gatherUsageStats", "false"),
        *("--server.fileWatcherType", "none"),
    )
    return Service("console", command, settings.ports.console, f"{settings.console_url}/_stcore/health", 60, _with_secrets(settings))


def _console_script() -> Path:
    spec = importlib.util.find_spec("console")
    if spec is None or not spec.submodule_search_locations:
        raise errors.NotFound("The console is not installed.", hint="Install Gatewright again: make install.")
    return Path(next(iter(spec.submodule_search_locations))) / "app.py"


def _make_directories(settings: settings_module.Settings) -> None:
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("stack", "logs", "runs", "adapters", "mlflow", "prometheus", "store/datasets"):
            (settings.home / name).mkdir(parents=True, exist_ok=True)
        (settings.home / "prometheus" / "prometheus.yml").write_text(_prometheus_config(settings))
    except OSError as error:
        raise errors.NoSpace(
            f"Cannot write below {settings.home}: {error.strerror}.", hint="Free some space or set GATEWRIGHT_HOME."
        ) from error


def _prometheus_config(settings: settings_module.Settings) -> str:
    targets = {"vllm": settings.vllm_urls, "gatewright": (settings.api_url,)}
    jobs = "".join(
        f"  - job_name: {name}\n    static_configs:\n      - targets: [{', '.join(repr(url.split('//', 1)[1]) for url in urls)}]\n"
        for name, urls in targets.items()
    )
    return f"global:\n  scrape_interval: 2s\nscrape_configs:\n{jobs}"


def _require_space(settings: settings_module.Settings) -> None:
    free = shutil.disk_usage(settings.home).free
    if not settings.base_model_dir.exists() and free < SPACE_BYTES:
        raise errors.NoSpace(
            f"{settings.home} has {free / 1e9:.1f} GB free; the base model and the servers' data need {SPACE_BYTES / 1e9:.0f} GB.",
            hint="Free some space or set GATEWRIGHT_HOME.",
        )


def _require_free(service: Service) -> None:
    if not processes.is_port_free(service.port):
        raise errors.Conflict(
            f"Port {service.port}, which {service.name} needs, is taken by another program.",
            hint="Stop that program, or set GATEWRIGHT_PORT_BASE to another number.",
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else ""


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
