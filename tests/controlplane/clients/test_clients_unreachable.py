"""A dead or silent outside system is named with its address, in time, by every client."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from controlplane.clients import mlflow_registry, prometheus, vllm_inference
from controlplane.core import errors

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def refusing() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _vllm_stream(address: str) -> None:
    async def first() -> None:
        async for _ in vllm_inference.VllmReplica(address, answer_seconds=0.3).stream("m", [], max_tokens=1):
            return

    asyncio.run(first())


CALLS: dict[str, Callable[[str], object]] = {
    "vLLM served": lambda address: vllm_inference.VllmReplica(address, read_seconds=0.3).served(),
    "vLLM chat": lambda address: vllm_inference.VllmReplica(address, answer_seconds=0.3).chat("m", [], max_tokens=1),
    "vLLM stream": _vllm_stream,
    "vLLM metrics": lambda address: vllm_inference.VllmReplica(address, read_seconds=0.3).metrics_text(),
    "Prometheus": lambda address: prometheus.Prometheus(address, read_seconds=0.3).instant("up", NOW),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_unreachable_says_which_system_and_where(request: pytest.FixtureRequest, kind: str, call: Callable[[str], object]) -> None:
    address = request.getfixturevalue(kind)
    with pytest.raises(errors.Unreachable) as caught:
        call(address)
    assert caught.value.address == address
    assert caught.value.system in ("vLLM", "Prometheus")


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_unhealthy_is_an_answer_not_an_error(request: pytest.FixtureRequest, kind: str) -> None:
    address = request.getfixturevalue(kind)
    assert not vllm_inference.VllmReplica(address, read_seconds=0.3).is_healthy()
    assert not prometheus.Prometheus(address, read_seconds=0.3).is_healthy()


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("refusing", lambda address: mlflow_registry.MlflowRegistry(address).versions("m")),
        ("refusing", lambda address: mlflow_registry.MlflowTracking(address).artifact("0" * 32, "x.json")),
        ("silent", lambda address: mlflow_registry.MlflowRegistry(address).models()),
    ],
)
def test_mlflow_is_given_up_within_ten_seconds(request: pytest.FixtureRequest, kind: str, call: Callable[[str], object]) -> None:
    address = request.getfixturevalue(kind)
    mlflow_registry.MlflowRegistry(address)  # imports mlflow, which is not what is timed
    started = time.monotonic()
    with pytest.raises(errors.Unreachable) as caught:
        call(address)
    assert time.monotonic() - started < 10
    assert (caught.value.system, caught.value.address) == ("MLflow", address)


@pytest.mark.parametrize("address", ["", "mlflow:5000", "file:///tmp/x", "http://"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(errors.InvalidInput, match="address"):
        mlflow_registry.MlflowRegistry(address)


def test_a_password_in_the_address_stays_out_of_messages(refusing: str) -> None:
    registry = mlflow_registry.MlflowRegistry(refusing.replace("http://", "http://me:hunter2@"))
    with pytest.raises(errors.Unreachable) as caught:
        registry.models()
    assert "hunter2" not in str(caught.value)
    assert caught.value.address == refusing
