"""What only the MLflow client has to get right: requests that do not grow with the rows, and a server's own words in errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from controlplane.clients import mlflow_registry
from controlplane.core import adapters, errors, lifecycle

pytestmark = pytest.mark.real


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that left, in order."""
    paths: list[str] = []
    send = requests.Session.send

    def count(self: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        paths.append(request.path_url)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", count)
    return paths


@pytest.fixture
def tracking(mlflow_server: str) -> mlflow_registry.MlflowTracking:
    return mlflow_registry.MlflowTracking(mlflow_server)


def _adapter(directory: Path) -> Path:
    (directory / "adapter").mkdir()
    for name in adapters.REQUIRED_FILES:
        (directory / "adapter" / name).write_text(name)
    return directory / "adapter"


def test_reading_versions_takes_two_requests_however_many(
    mlflow_server: str, tracking: mlflow_registry.MlflowTracking, tmp_path: Path, sent: list[str]
) -> None:
    registry = mlflow_registry.MlflowRegistry(mlflow_server)
    run_id = tracking.log("many", "train", parameters={}, metrics={}, tags={}, files=[_adapter(tmp_path)])
    for _ in range(12):
        registry.register("many", run_id, {"digest": "d"})
    registry.apply("many", [lifecycle.AliasChange(lifecycle.Alias.LIVE, 12)])
    sent.clear()
    assert len(registry.versions("many")) == 12
    assert len(sent) == 2, sent
    sent.clear()
    assert registry.resolve("many", "alias:live").number == 12
    assert len(sent) == 2, sent
    sent.clear()
    assert "many" in [model.name for model in registry.models()]
    assert len(sent) == 1, sent


def test_pages_are_read_to_the_end(
    mlflow_server: str, tracking: mlflow_registry.MlflowTracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_registry, "VERSIONS_PER_PAGE", 2)
    registry = mlflow_registry.MlflowRegistry(mlflow_server)
    run_id = tracking.log("paged", "train", parameters={}, metrics={}, tags={}, files=[_adapter(tmp_path)])
    for _ in range(5):
        registry.register("paged", run_id, {})
    assert [version.number for version in registry.versions("paged")] == [5, 4, 3, 2, 1]


def test_a_refusal_carries_the_servers_words(tracking: mlflow_registry.MlflowTracking) -> None:
    with pytest.raises(errors.OutsideError, match="parameter"):
        tracking.log("refused", "train", parameters={"": "x"}, metrics={}, tags={})


def test_a_search_value_with_both_quotes_is_refused(tracking: mlflow_registry.MlflowTracking) -> None:
    with pytest.raises(errors.InvalidInput, match="searched"):
        tracking.search("any", {"tag": "'\""})


def test_not_a_number_is_kept(tracking: mlflow_registry.MlflowTracking) -> None:
    run_id = tracking.log("nan", "train", parameters={}, metrics={"loss": float("nan")}, tags={})
    loss = tracking.run(run_id).metrics["loss"]
    assert loss != loss


def test_an_unwritable_directory_has_no_space(mlflow_server: str, tracking: mlflow_registry.MlflowTracking, tmp_path: Path) -> None:
    registry = mlflow_registry.MlflowRegistry(mlflow_server)
    run_id = tracking.log("full", "train", parameters={}, metrics={}, tags={}, files=[_adapter(tmp_path)])
    version = registry.register("full", run_id, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.NoSpace, match="file"):
        registry.download(version, tmp_path / "file" / "below")
