"""A server may close an idle connection in the moment of a request: what only reads asks again, what would act twice does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import faulty_proxy
import pytest

from controlplane import ports
from controlplane.clients import mlflow_registry
from controlplane.core import adapters, errors, lifecycle

pytestmark = pytest.mark.real

MODEL = "often-cut"


@pytest.fixture
def proxy(mlflow_server: str) -> Iterator[faulty_proxy.FaultyProxy]:
    with faulty_proxy.running(mlflow_server) as proxy:
        yield proxy


@pytest.fixture
def version(mlflow_server: str, tmp_path: Path) -> ports.Version:
    (tmp_path / "adapter").mkdir()
    for name in adapters.REQUIRED_FILES:
        (tmp_path / "adapter" / name).write_text(name)
    tracking = mlflow_registry.MlflowTracking(mlflow_server)
    run_id = tracking.log(MODEL, "train", parameters={}, metrics={}, tags={}, files=[tmp_path / "adapter"])
    return mlflow_registry.MlflowRegistry(mlflow_server).register(MODEL, run_id, {})


REPEATED: dict[str, Callable[[mlflow_registry.MlflowRegistry, ports.Version], object]] = {
    "models": lambda registry, _: registry.models(),
    "apply": lambda registry, version: registry.apply(MODEL, [lifecycle.AliasChange(lifecycle.Alias.LIVE, version.number)]),
    "tag": lambda registry, version: registry.tag(version, {"digest": "d"}),
}


@pytest.mark.parametrize("ask", REPEATED.values(), ids=REPEATED)
def test_what_may_be_asked_twice_is_asked_again(
    proxy: faulty_proxy.FaultyProxy, version: ports.Version, ask: Callable[[mlflow_registry.MlflowRegistry, ports.Version], object]
) -> None:
    registry = mlflow_registry.MlflowRegistry(proxy.address)
    registry.models()
    proxy.faults = ["cut"]
    ask(registry, version)
    assert proxy.faults == []


def test_what_would_act_twice_is_not_asked_again(proxy: faulty_proxy.FaultyProxy, version: ports.Version) -> None:
    registry = mlflow_registry.MlflowRegistry(proxy.address)
    proxy.faults = ["cut", "cut"]
    with pytest.raises(errors.Unreachable, match="connection failed"):
        registry.delete(version)
    assert proxy.faults == ["cut"], "one request was made"


def test_a_server_that_cuts_again_is_unreachable(proxy: faulty_proxy.FaultyProxy) -> None:
    registry = mlflow_registry.MlflowRegistry(proxy.address)
    proxy.faults = ["cut"] * 3
    with pytest.raises(errors.Unreachable, match="connection failed"):
        registry.models()
    assert proxy.faults == ["cut"], "two requests were made"
