"""What every object store does, fake or on a disk."""

from __future__ import annotations

import pytest

from controlplane import ports
from controlplane.core import errors


def test_what_is_written_reads_back(store: ports.ObjectStore) -> None:
    store.write("datasets/ops-qa/v1/train.jsonl", b"one")
    store.write("datasets/ops-qa/v1/train.jsonl", b"two")
    assert store.read("datasets/ops-qa/v1/train.jsonl") == b"two"


def test_list_by_prefix_in_order(store: ports.ObjectStore) -> None:
    for key in ("datasets/b/eval.jsonl", "datasets/a/train.jsonl", "datasets/a/eval.jsonl", "datasets-old/x", "top"):
        store.write(key, b"")
    assert store.list("datasets/a/") == ["datasets/a/eval.jsonl", "datasets/a/train.jsonl"]
    assert store.list("datasets/a/e") == ["datasets/a/eval.jsonl"]
    assert store.list("datasets") == ["datasets-old/x", "datasets/a/eval.jsonl", "datasets/a/train.jsonl", "datasets/b/eval.jsonl"]
    assert len(store.list("")) == 5
    assert store.list("nothing/here/") == []


@pytest.mark.parametrize("key", ["no-such", "folder", "folder/file/deeper"])
def test_what_is_not_there(store: ports.ObjectStore, key: str) -> None:
    store.write("folder/file", b"")
    with pytest.raises(errors.NotFound, match=key):
        store.read(key)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "a/../../outside", "a/.."])
def test_no_key_leads_outside(store: ports.ObjectStore, key: str) -> None:
    for call in (store.read, store.address, lambda key: store.write(key, b"x")):
        with pytest.raises(errors.InvalidInput):
            call(key)


def test_an_address_is_a_url_that_ends_in_the_key(store: ports.ObjectStore) -> None:
    assert "://" in store.address("a/b.json")
    assert store.address("a/b.json").endswith("/a/b.json")
