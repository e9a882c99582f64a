"""Every port's fake and its real client under one name, so that one suite runs on both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane import ports, testing
from controlplane.clients import mlflow_registry, object_store, prometheus, vllm_inference
from controlplane.core import adapters

FAKE_AND_REAL = ["fake", pytest.param("real", marks=pytest.mark.real)]


@dataclass(frozen=True)
class Mlflow:
    """Registry and tracking of one server."""

    registry: ports.Registry
    tracking: ports.Tracking


@pytest.fixture(params=FAKE_AND_REAL)
def mlflow(request: pytest.FixtureRequest) -> Mlflow:
    if request.param == "fake":
        tracking = testing.FakeTracking()
        return Mlflow(testing.FakeRegistry(tracking), tracking)
    address = request.getfixturevalue("mlflow_server")
    return Mlflow(mlflow_registry.MlflowRegistry(address), mlflow_registry.MlflowTracking(address))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model or experiment name that no other test uses."""
    return request.node.name.partition("[")[0].replace("_", "-")


@pytest.fixture
def adapter_dir(tmp_path: Path) -> Path:
    """A folder `adapter` with the two required files and one more; nothing can serve it."""
    directory = tmp_path / "adapter"
    directory.mkdir()
    for file in (*adapters.REQUIRED_FILES, "README.md"):
        (directory / file).write_bytes(f"content of {file}".encode())
    return directory


@dataclass(frozen=True)
class Replica:
    """A replica with two adapters it can load and one directory it cannot."""

    inference: ports.Inference
    first: Path
    second: Path
    broken: Path


@pytest.fixture(scope="module", params=FAKE_AND_REAL)
def replica(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    home = tmp_path_factory.mktemp("adapters")
    first, second, broken = home / "first", home / "second", home / "broken"
    if request.param == "fake":
        yield Replica(testing.FakeInference(broken={broken}), first, second, broken)
        return
    address, make_adapter = request.getfixturevalue("vllm_server"), request.getfixturevalue("make_adapter")
    client = vllm_inference.VllmReplica(address)
    yield Replica(client, make_adapter(first, seed=1), make_adapter(second, seed=2), broken)
    client.close()


@pytest.fixture(params=FAKE_AND_REAL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ports.ObjectStore:
    return testing.FakeObjectStore() if request.param == "fake" else object_store.open((tmp_path / "store").as_uri())


@dataclass(frozen=True)
class Measured:
    """A metrics server at a moment when it has scraped the series `up` of the job `itself`, and refuses the query `up{`."""

    metrics: ports.Metrics
    now: datetime


@pytest.fixture(scope="module", params=FAKE_AND_REAL)
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    if request.param == "fake":
        points = tuple((testing.EPOCH.timestamp() + second, 1.0) for second in range(60))
        series = {"up": [ports.Series({"__name__": "up", "job": "itself"}, points)]}
        yield Measured(
            testing.FakeMetrics(series=series, refused={"up{"}, clock=testing.EPOCH + timedelta(seconds=59)),
            testing.EPOCH + timedelta(seconds=59),
        )
        return
    client = prometheus.Prometheus(request.getfixturevalue("prometheus_server"))
    deadline = time.monotonic() + 20
    while not client.instant("up == 1", datetime.now(UTC)):
        assert time.monotonic() < deadline, "Prometheus scraped nothing in 20 s"
        time.sleep(0.2)
    # Prometheus counts in whole milliseconds.
    now = datetime.now(UTC)
    yield Measured(client, now.replace(microsecond=now.microsecond // 1000 * 1000))
    client.close()
