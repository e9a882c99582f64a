"""What every model registry does, fake or MLflow."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from controlplane import ports
from controlplane.core import adapters, errors, lifecycle


def _change(alias: str, version: int | None) -> lifecycle.AliasChange:
    return lifecycle.AliasChange(lifecycle.Alias(alias), version)


def _run(mlflow, name: str, adapter_dir: Path) -> str:
    return mlflow.tracking.log(name, "train", parameters={}, metrics={}, tags={}, files=[adapter_dir])


@pytest.fixture
def versions(mlflow, name: str, adapter_dir: Path) -> list[ports.Version]:
    """Two versions of one model."""
    run_id = _run(mlflow, name, adapter_dir)
    return [mlflow.registry.register(name, run_id, {"digest": f"{number}" * 64}) for number in (1, 2)]


def test_register_numbers_versions_and_keeps_run_and_tags(mlflow, name: str, adapter_dir: Path) -> None:
    run_id = _run(mlflow, name, adapter_dir)
    made = [mlflow.registry.register(name, run_id, {"digest": "d" * 64, "dataset": "ops qa"}) for _ in range(2)]
    assert [version.number for version in made] == [1, 2]
    assert made[1].run_id == run_id
    assert made[1].digest == "d" * 64
    assert made[1].tags["dataset"] == "ops qa"
    assert made[1].created_at.tzinfo == UTC


def test_versions_come_newest_first_with_their_aliases(mlflow, name: str, versions: list[ports.Version]) -> None:
    mlflow.registry.apply(name, [_change("previous", 1), _change("live", 2), _change("staged", 2)])
    found = mlflow.registry.versions(name)
    assert [(version.number, version.aliases) for version in found] == [(2, ("live", "staged")), (1, ("previous",))]
    assert found[1].tags["digest"] == "1" * 64


def test_a_model_tells_its_aliases_and_latest_version(mlflow, name: str, versions: list[ports.Version]) -> None:
    mlflow.registry.apply(name, [_change("live", 1)])
    model = mlflow.registry.model(name)
    assert (model.name, model.aliases, model.latest_version) == (name, {"live": 1}, 2)
    assert [listed for listed in mlflow.registry.models() if listed.name == name] == [model]


def test_resolve_finds_by_alias_and_by_number(mlflow, name: str, versions: list[ports.Version]) -> None:
    mlflow.registry.apply(name, [_change("eval-passed", 1)])
    assert mlflow.registry.resolve(name, "alias:eval-passed").number == 1
    assert mlflow.registry.resolve(name, "version:1").aliases == ("eval-passed",)


@pytest.mark.parametrize("source", ["alias:live", "alias:no-such", "version:9"])
def test_resolve_of_what_is_not_there(mlflow, name: str, adapter_dir: Path, source: str) -> None:
    mlflow.registry.register(name, _run(mlflow, name, adapter_dir), {})
    with pytest.raises(errors.NotFound):
        mlflow.registry.resolve(name, source)


@pytest.mark.parametrize("source", ["", "live", "version:", "version:one", "version:-1", "alias:", "tag:x"])
def test_resolve_of_what_cannot_be(mlflow, source: str) -> None:
    with pytest.raises(errors.InvalidInput):
        mlflow.registry.resolve("any", source)


def test_an_unknown_model_is_not_found(mlflow, name: str) -> None:
    with pytest.raises(errors.NotFound, match=name):
        mlflow.registry.model(name)
    with pytest.raises(errors.NotFound, match=name):
        mlflow.registry.versions(name)
    with pytest.raises(errors.NotFound, match=name):
        mlflow.registry.apply(name, [_change("live", 1)])


def test_apply_moves_and_removes_and_may_be_repeated(mlflow, name: str, versions: list[ports.Version]) -> None:
    changes = [_change("live", 1), _change("previous", 1), _change("live", 2), _change("candidate", None), _change("previous", None)]
    for _ in range(2):
        mlflow.registry.apply(name, changes)
        assert mlflow.registry.model(name).aliases == {"live": 2}


def test_apply_to_a_version_that_is_not_there(mlflow, name: str, versions: list[ports.Version]) -> None:
    with pytest.raises(errors.NotFound):
        mlflow.registry.apply(name, [_change("live", 7)])
    assert mlflow.registry.model(name).aliases == {}


def test_tags_are_added(mlflow, name: str, versions: list[ports.Version]) -> None:
    mlflow.registry.tag(versions[0], {"evaluation-run": "abc", "digest": "new"})
    assert mlflow.registry.resolve(name, "version:1").tags == {"digest": "new", "evaluation-run": "abc"}


def test_download_brings_the_required_files_only(mlflow, name: str, versions: list[ports.Version], tmp_path: Path) -> None:
    directory = mlflow.registry.download(versions[0], tmp_path / "new" / "place")
    assert directory == tmp_path / "new" / "place"
    assert {path.name: path.read_text() for path in directory.iterdir()} == {file: f"content of {file}" for file in adapters.REQUIRED_FILES}


def test_a_run_without_an_adapter_cannot_be_registered(mlflow, name: str) -> None:
    run_id = mlflow.tracking.log(name, "empty", parameters={}, metrics={}, tags={})
    with pytest.raises(errors.NotFound, match="adapter"):
        mlflow.registry.register(name, run_id, {})
    with pytest.raises(errors.NotFound):
        mlflow.registry.register(name, "0" * 32, {})
    assert name not in [model.name for model in mlflow.registry.models()]


def test_a_bad_model_name_is_refused(mlflow, name: str, adapter_dir: Path) -> None:
    with pytest.raises(errors.InvalidInput):
        mlflow.registry.register("../escape", _run(mlflow, name, adapter_dir), {})
