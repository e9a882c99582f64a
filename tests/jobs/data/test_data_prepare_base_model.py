"""The base model's directory: complete or made anew, never half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jobs.data import prepare_base_model


def weights(directory: Path, data: bytes, ends: int) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [ends // 4], "data_offsets": [0, ends]}}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    for name in prepare_base_model.REQUIRED_FILES:
        (tmp_path / name).write_text("{}")
    weights(tmp_path, b"\0" * 8, 8)
    return tmp_path


def test_a_whole_directory_is_complete(model_dir: Path) -> None:
    assert prepare_base_model.is_complete(model_dir)


@pytest.mark.parametrize("name", prepare_base_model.REQUIRED_FILES)
def test_a_missing_file_makes_it_incomplete(model_dir: Path, name: str) -> None:
    (model_dir / name).unlink()
    assert not prepare_base_model.is_complete(model_dir)


def test_cut_off_weights_make_it_incomplete(model_dir: Path) -> None:
    weights(model_dir, b"\0" * 4, 8)
    assert not prepare_base_model.is_complete(model_dir)


def test_unreadable_settings_make_it_incomplete(model_dir: Path) -> None:
    (model_dir / "config.json").write_text("{")
    assert not prepare_base_model.is_complete(model_dir)


@pytest.mark.real
@pytest.mark.timeout(600)
def test_the_prepared_model_is_whole_and_speaks_chat(base_model_dir: Path, tmp_path: Path) -> None:
    import transformers

    assert prepare_base_model.is_complete(base_model_dir)
    copy = shutil.copytree(base_model_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("model.safetensors"))
    assert not prepare_base_model.is_complete(copy)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base_model_dir)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], add_generation_prompt=True, tokenize=False)
    assert text.endswith("<|im_start|>assistant\n")
