"""What only the store on a disk has to get right: links, broken writes, addresses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from controlplane.clients import object_store
from controlplane.core import errors


@pytest.mark.parametrize("url", ["", "/some/path", "file://relative", "file://host/x", "s3://", "http://x/y"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="object store"):
        object_store.open(url)


def test_a_blank_in_the_path_survives(tmp_path: Path) -> None:
    store = object_store.open((tmp_path / "a b").as_uri())
    store.write("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"
    assert store.address("x") == (tmp_path / "a b" / "x").as_uri()


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link").symlink_to(tmp_path)
    store = object_store.open((tmp_path / "store").as_uri())
    with pytest.raises(errors.InvalidInput, match="leads out"):
        store.read("link/secret")
    assert store.list("") == []


def test_a_broken_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = object_store.open(tmp_path.as_uri())
    store.write("x", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.NoSpace, match="No space left"):
        store.write("x", b"new")
    assert store.read("x") == b"old"
    assert store.list("") == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_file_in_place_of_a_folder_is_no_space(tmp_path: Path) -> None:
    store = object_store.open(tmp_path.as_uri())
    store.write("x", b"")
    with pytest.raises(errors.NoSpace, match="x/y"):
        store.write("x/y", b"")
