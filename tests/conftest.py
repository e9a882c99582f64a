"""Real parts for the tests that want them, each started once and stopped at the end. With GATEWRIGHT_REQUIRE_REAL=1 a skip is a failure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import hypothesis
import numpy
import pytest
from safetensors.numpy import save_file
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from controlplane import settings as settings_module
from controlplane import stack
from controlplane.core import profiles

# Deadlines measure the machine, and examples that differ between runs hide what failed.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")

MakeAdapter = Callable[..., Path]
StartPrometheus = Callable[..., str]


class _Scheduler(LoadScopeScheduling):
    """Several processes: one has the end-to-end tests, one all that shares real servers; the other files go to whoever is free."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        folder = _longest_first(nodeid)
        return str(folder) if folder < 2 else nodeid.split("::", 1)[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _longest_first(item.nodeid))


def _longest_first(nodeid: str) -> int:
    if nodeid.startswith("tests/e2e/"):
        return 0
    return 1 if nodeid.startswith(("tests/jobs/", "tests/ports/", "tests/controlplane/clients/")) else 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    return _without_skips(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    return _without_skips(report)


def require_real(binary: str, package: str) -> str:
    """The path of a program that a test needs; without it the test is skipped, saying which package brings it."""
    path = shutil.which(binary)
    if path is None:
        pytest.skip(f"{binary} is not installed (Debian package {package})")
    return path


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real MLflow server with an empty registry; artifacts go through it."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{home / 'mlflow.db'}",
            "--artifacts-destination",
            str(home / "artifacts"),
            "--serve-artifacts",
        ),
    )
    env = {**_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with serving(command, env, home / "server.log", f"{address}/health", 90):
        yield address


@pytest.fixture(scope="session")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Starts a real Prometheus: `start_prometheus({"vllm": ["127.0.0.1:8000"]}, interval="500ms")` gives its address.

    It scrapes itself as the job `itself`, too.
    """
    binary = require_real("prometheus", "prometheus")
    with ExitStack() as running:

        def start(targets: Mapping[str, Sequence[str]], interval: str = "1s") -> str:
            home, port = tmp_path_factory.mktemp("prometheus"), free_port()
            jobs = [
                {"job_name": name, "static_configs": [{"targets": list(own)}]}
                for name, own in {"itself": [f"127.0.0.1:{port}"], **targets}.items()
            ]
            # JSON is YAML.
            (home / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": interval}, "scrape_configs": jobs}))
            command = (
                *(binary, f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}"),
                f"--web.listen-address=127.0.0.1:{port}",
            )
            address = f"http://127.0.0.1:{port}"
            running.enter_context(serving(command, _environment(), home / "server.log", f"{address}/-/ready", 30))
            return address

        yield start


@pytest.fixture(scope="session")
def prometheus_server(start_prometheus: StartPrometheus) -> str:
    """Address of a real Prometheus that scrapes itself every second."""
    return start_prometheus({})


@pytest.fixture(scope="session")
def base_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's base model: GATEWRIGHT_TEST_BASE_MODEL, else the installation's own, else made now (half a minute)."""
    given = os.environ.get("GATEWRIGHT_TEST_BASE_MODEL")
    directory = Path(given) if given else settings_module.load().base_model_dir
    if not (directory / "config.json").exists():
        directory = tmp_path_factory.mktemp("models") / "base"
        subprocess.run([sys.executable, "-m", "jobs.data.prepare_base_model", f"--output-dir={directory}"], check=True, timeout=300)
    return directory


@pytest.fixture(scope="session")
def vllm_adapters_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plugin inside `vllm_server` looks for slots; GATEWRIGHT_TEST_ADAPTERS_DIR for a server that runs already."""
    given = os.environ.get("GATEWRIGHT_TEST_ADAPTERS_DIR")
    return Path(given) if given else tmp_path_factory.mktemp("served-adapters")


@pytest.fixture(scope="session")
def vllm_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vllm_adapters_dir: Path) -> Iterator[str]:
    """Address of a real vLLM that serves the base model and loads adapters: GATEWRIGHT_TEST_VLLM_URL, else started now (a minute)."""
    given = os.environ.get("GATEWRIGHT_TEST_VLLM_URL")
    if given:
        yield given
        return
    model: Path = request.getfixturevalue("base_model_dir")
    home = tmp_path_factory.mktemp("vllm")
    settings = settings_module.load({"GATEWRIGHT_HOME": str(home)})
    settings.base_model_dir.parent.mkdir(parents=True)
    settings.base_model_dir.symlink_to(model)
    command, port = list(stack.vllm_command(settings)), free_port()
    command[command.index("--port") + 1] = str(port)
    address = f"http://127.0.0.1:{port}"
    env = {**stack.vllm_environment(settings), "GATEWRIGHT_ADAPTERS_DIR": str(vllm_adapters_dir)}
    with serving(command, env, home / "server.log", f"{address}/health", 300):
        yield address


@pytest.fixture(scope="session")
def make_adapter(base_model_dir: Path) -> MakeAdapter:
    """Makes a LoRA adapter of random weights that fits the base model: `make_adapter(directory, seed=1, rank=4)`."""
    config = json.loads((base_model_dir / "config.json").read_text())

    def make(directory: Path, *, seed: int = 1, rank: int = 4) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        save_file(_weights(config, seed, rank), directory / "adapter_model.safetensors")
        adapter = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0, "bias": "none"}
        (directory / "adapter_config.json").write_text(
            json.dumps(
                {
                    **adapter,
                    "target_modules": ["q_proj", "v_proj"],
                    "base_model_name_or_path": profiles.LOCAL_BASE_MODEL,
                    "modules_to_save": None,
                }
            )
        )
        return directory

    return make


@contextmanager
def serving(command: Sequence[str], env: Mapping[str, str], log: Path, health: str, seconds: float) -> Iterator[None]:
    """Runs a server until the block ends; its whole process group goes with it."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(env), stdout=output, stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent)
    try:
        _wait_until_healthy(process, log, health, seconds)
        yield
    finally:
        _stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _without_skips(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
    is_expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not is_expected_failure and os.environ.get("GATEWRIGHT_REQUIRE_REAL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason} (GATEWRIGHT_REQUIRE_REAL=1 allows no skip)"
    return report


def _weights(config: Mapping[str, int], seed: int, rank: int) -> dict[str, numpy.ndarray]:
    generator = numpy.random.default_rng(seed)
    hidden, head = config["hidden_size"], config["head_dim"]
    outputs = {"q_proj": head * config["num_attention_heads"], "v_proj": head * config["num_key_value_heads"]}
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for module, size in outputs.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{name}.lora_A.weight"] = generator.normal(0, 0.1, (rank, hidden)).astype("float32")
            tensors[f"{name}.lora_B.weight"] = generator.normal(0, 0.1, (size, rank)).astype("float32")
    return tensors


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def _wait_until_healthy(process: subprocess.Popen[bytes], log: Path, health: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(health):
        tail = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"{process.args} ended with {process.returncode}:\n{tail}"
        assert time.monotonic() < deadline, f"{process.args} was not ready after {seconds} s:\n{tail}"
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
