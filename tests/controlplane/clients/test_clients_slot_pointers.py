"""Pointer files: written whole, read with suspicion."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.clients import slot_pointers
from controlplane.core import errors

NAME = "ops-qa/3-0123456789ab"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / NAME).mkdir(parents=True)
    return tmp_path / NAME


def test_a_pointer_leads_to_its_directory_until_it_is_taken_away(tmp_path: Path, home: Path) -> None:
    assert slot_pointers.read(tmp_path, "ops-qa-live") is None
    slot_pointers.write(tmp_path, "ops-qa-live", home)
    assert slot_pointers.read(tmp_path, "ops-qa-live") == home
    slot_pointers.write(tmp_path, "ops-qa-live", None)
    slot_pointers.write(tmp_path, "ops-qa-live", None)
    assert slot_pointers.read(tmp_path, "ops-qa-live") is None
    assert list((tmp_path / slot_pointers.FOLDER).iterdir()) == [], "no half-written file stays"


@pytest.mark.parametrize(
    "text", ["", "..", "/etc", "../ops-qa/3-0123456789ab", "ops-qa/../../etc", "ops-qa/3", "ops-qa/9-0123456789ab", "\udcff"]
)
def test_a_pointer_that_leads_elsewhere_is_not_followed(tmp_path: Path, home: Path, text: str) -> None:
    slot_pointers.write(tmp_path, "ops-qa-live", home)
    (tmp_path / slot_pointers.FOLDER / "ops-qa-live").write_bytes(text.encode(errors="surrogateescape"))
    assert slot_pointers.read(tmp_path, "ops-qa-live") is None


@pytest.mark.parametrize("slot", ["", "..", "../x", "a/b", ".hidden", "x" * 200])
def test_a_name_that_is_no_slot_is_not_looked_up(tmp_path: Path, home: Path, slot: str) -> None:
    assert slot_pointers.read(tmp_path, slot) is None
    with pytest.raises(errors.InvalidInput, match="slot"):
        slot_pointers.write(tmp_path, slot, home)


@pytest.mark.parametrize("directory", ["/etc", "ops-qa", "ops-qa/3-short", "elsewhere/../ops-qa/3-0123456789ab"])
def test_only_the_home_of_a_version_is_pointed_to(tmp_path: Path, home: Path, directory: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not the home"):
        slot_pointers.write(tmp_path, "ops-qa-live", tmp_path / directory)
    assert slot_pointers.read(tmp_path, "ops-qa-live") is None
