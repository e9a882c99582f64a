"""Adapters as files: identity, immutable homes, and what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from controlplane.clients import adapter_files
from controlplane.core import adapters, errors


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    for name in adapters.REQUIRED_FILES:
        (directory / name).write_bytes(name.encode() * 1000)
    (directory / "README.md").write_text("not part of it")
    return directory


def _install(source: Path, tmp_path: Path, digest: str = "") -> Path:
    return adapter_files.install(
        source, tmp_path / "adapters", "ops-qa", 3, adapters.Digest(digest) or adapter_files.digest_of(source), lambda _: None
    )


def _left_over(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "adapters" / "ops-qa").glob("*")]


def test_the_digest_is_that_of_the_core(source: Path) -> None:
    assert adapter_files.digest_of(source) == adapters.digest({name: [name.encode() * 1000] for name in adapters.REQUIRED_FILES})


def test_install_copies_the_required_files_to_the_versions_own_directory(source: Path, tmp_path: Path) -> None:
    home = _install(source, tmp_path)
    assert home == tmp_path / "adapters" / "ops-qa" / f"3-{adapter_files.digest_of(source)[:12]}"
    assert sorted(path.name for path in home.iterdir()) == sorted(adapters.REQUIRED_FILES)
    assert _left_over(tmp_path) == [home.name]


def test_installing_again_leaves_the_directory_alone(source: Path, tmp_path: Path) -> None:
    home = _install(source, tmp_path)
    before = [path.stat() for path in sorted(home.iterdir())]
    assert _install(source, tmp_path) == home
    assert [path.stat() for path in sorted(home.iterdir())] == before


def test_a_changed_directory_is_not_trusted(source: Path, tmp_path: Path) -> None:
    (_install(source, tmp_path) / adapters.REQUIRED_FILES[1]).write_bytes(b"other")
    with pytest.raises(errors.OutsideError, match="digest"):
        _install(source, tmp_path)


def test_files_of_another_digest_are_not_installed(source: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.OutsideError, match="digest"):
        _install(source, tmp_path, "0" * 64)
    assert not (tmp_path / "adapters").exists()


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "state.pkl"])
def test_pickles_are_refused(source: Path, tmp_path: Path, name: str) -> None:
    (source / name).write_bytes(b"")
    with pytest.raises(errors.InvalidInput, match="pickle"):
        adapter_files.digest_of(source)


def test_links_are_refused(source: Path, tmp_path: Path) -> None:
    path = source / adapters.REQUIRED_FILES[0]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.InvalidInput, match="link"):
        adapter_files.digest_of(source)


def test_missing_files_and_directories_are_named(source: Path, tmp_path: Path) -> None:
    (source / adapters.REQUIRED_FILES[0]).unlink()
    with pytest.raises(errors.InvalidInput, match=adapters.REQUIRED_FILES[0]):
        adapter_files.digest_of(source)
    with pytest.raises(errors.NotFound, match="nowhere"):
        adapter_files.digest_of(tmp_path / "nowhere")


def test_a_full_disk_leaves_nothing_behind(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.NoSpace, match="No space left"):
        _install(source, tmp_path)
    assert _left_over(tmp_path) == []
