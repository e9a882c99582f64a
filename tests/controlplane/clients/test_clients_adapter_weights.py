"""Reading adapter files that may be anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from controlplane.clients import adapter_weights
from controlplane.core import errors

NAME = "base_model.model.layer.lora_A.weight"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    save_file({NAME: np.ones((2, 3), dtype=np.float32)}, tmp_path / "adapter_model.safetensors")
    return tmp_path


def bfloat16(directory: Path, *words: int) -> None:
    """A weights file in a number format that numpy does not know."""
    content = np.array(words, dtype="<u2").tobytes()
    header = json.dumps({NAME: {"dtype": "BF16", "shape": [1, len(words)], "data_offsets": [0, len(content)]}}).encode()
    (directory / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + content)


def test_shape_and_size_are_read(adapter: Path) -> None:
    found = adapter_weights.inspect(adapter)
    assert found.config["r"] == 2
    assert (found.tensors[NAME].shape, found.tensors[NAME].is_finite) == ((2, 3), True)
    assert found.size_bytes == sum(file.stat().st_size for file in adapter.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_numbers_that_are_none_are_seen(adapter: Path, value: float, kind: type) -> None:
    save_file({NAME: np.array([[1, value]], dtype=kind)}, adapter / "adapter_model.safetensors")
    assert not adapter_weights.inspect(adapter).tensors[NAME].is_finite


@pytest.mark.parametrize(
    ("words", "is_finite"), [((0x3F80, 0xBF80), True), ((0x3F80, 0x7F80), False), ((0x7FC0,), False), ((0xFF80,), False)]
)
def test_bfloat16_is_looked_at_too(adapter: Path, words: tuple[int, ...], is_finite: bool) -> None:
    bfloat16(adapter, *words)
    assert adapter_weights.inspect(adapter).tensors[NAME].is_finite is is_finite


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95pickle", b"\xff" * 64])
def test_what_is_no_safetensors_is_refused_by_name(adapter: Path, content: bytes) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(errors.Refused, match=r"adapter_model\.safetensors is not a whole"):
        adapter_weights.inspect(adapter)


def test_a_file_cut_short_is_refused(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(errors.Refused, match="not a whole"):
        adapter_weights.inspect(adapter)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
def test_a_configuration_that_is_none_is_refused(adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(errors.Refused, match=r"adapter_config\.json"):
        adapter_weights.inspect(adapter)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(adapter: Path, name: str) -> None:
    (adapter / name).unlink()
    with pytest.raises(errors.Refused, match=f"lacks {name}"):
        adapter_weights.inspect(adapter)


def test_layers_of_a_base_model_and_of_none(adapter: Path, tmp_path: Path) -> None:
    save_file({"model.a.weight": np.ones((4, 2), dtype=np.float32)}, adapter / "model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    assert adapter_weights.layers(adapter) == {"model.a": (4, 2)}
    assert adapter_weights.layers(tmp_path / "nowhere") == {}
