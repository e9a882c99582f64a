"""An adapter's identity, its directory and the names of its slots."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import adapters, errors

FILES = {"adapter_config.json": [b"{}"], "adapter_model.safetensors": [b"abc", b"def"]}


def test_digest_is_the_documented_one() -> None:
    lines = "".join(f"{name}\0{hashlib.sha256(b''.join(FILES[name])).hexdigest()}\n" for name in sorted(FILES))
    assert adapters.digest(FILES) == hashlib.sha256(lines.encode()).hexdigest()


def test_digest_ignores_order_chunks_and_files_that_the_server_does_not_read() -> None:
    other = {"README.md": [b"card"], "adapter_model.safetensors": [b"abcdef"], "adapter_config.json": [b"{", b"}"]}
    assert adapters.digest(other) == adapters.digest(FILES)


@given(st.binary(), st.binary())
def test_digest_tells_contents_apart(one: bytes, other: bytes) -> None:
    first, second = ({**FILES, "adapter_model.safetensors": [content]} for content in (one, other))
    assert (adapters.digest(first) == adapters.digest(second)) == (one == other)


def test_digest_tells_which_file_holds_what() -> None:
    swapped = {"adapter_config.json": FILES["adapter_model.safetensors"], "adapter_model.safetensors": FILES["adapter_config.json"]}
    assert adapters.digest(swapped) != adapters.digest(FILES)


def test_missing_file_is_named() -> None:
    with pytest.raises(errors.InvalidInput, match=r"adapter_model\.safetensors"):
        adapters.digest({"adapter_config.json": [b"{}"]})


def test_directory_and_slots() -> None:
    digest = adapters.digest(FILES)
    assert adapters.directory_name("ops-qa", 3, digest) == f"ops-qa/3-{digest[:12]}"
    assert (adapters.live_slot("ops-qa"), adapters.candidate_slot("ops-qa")) == ("ops-qa-live", "ops-qa-candidate")


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "a..b", ".hidden", "a b", "-x", "x" * 101, "a\n"])
def test_names_that_could_leave_the_directory_are_refused(name: str) -> None:
    with pytest.raises(errors.InvalidInput, match="is not a model name"):
        adapters.directory_name(name, 1, adapters.Digest("0" * 64))


@pytest.mark.parametrize("name", ["ops-qa", "mistral-7b-lora", "A1", "a.b_c", "x" * 100])
def test_plain_names_are_taken(name: str) -> None:
    assert adapters.check_model_name(name) == name
