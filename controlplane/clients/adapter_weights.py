"""What adapter and model files hold, read without running anything in them: safetensors headers, and numbers a tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from controlplane.core import admission, errors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BFLOAT16_EXPONENT = 0x7F80


def inspect(directory: Path) -> admission.Files:
    """Both files of an adapter.

    Raises:
        Refused: a file is missing or cannot be parsed; it is named.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (directory / name).is_file()]
    if missing:
        raise errors.Refused(f"{directory} lacks {missing[0]}.", hint="Train or export the adapter again.")
    size = sum((directory / name).stat().st_size for name in (CONFIG, WEIGHTS))
    return admission.Files(_config(directory / CONFIG), _tensors(directory / WEIGHTS), size)


def layers(model_dir: Path) -> Mapping[str, tuple[int, ...]]:
    """The base model's matrices by layer name, from the headers only; empty when its files are not on this machine."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(model_dir.glob("*.safetensors")) if model_dir.is_dir() else []:
        try:
            with safe_open(file, framework="np") as weights:
                for name in weights.keys():  # noqa: SIM118 - not a dict
                    found[name.removesuffix(".weight")] = tuple(weights.get_slice(name).get_shape())
        except (SafetensorError, OSError):
            return {}
    return found


def _config(file: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise errors.Refused(f"{file} cannot be parsed: {error}.", hint="Train or export the adapter again.") from error
    if not isinstance(config, dict):
        raise errors.Refused(f"{file} is not a JSON object.", hint="Train or export the adapter again.")
    return config


def _tensors(file: Path) -> dict[str, admission.Tensor]:
    try:
        with safe_open(file, framework="np") as weights:
            return {name: _tensor(weights, file, name) for name in weights.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, TypeError) as error:
        raise errors.Refused(f"{file} is not a whole safetensors file: {error}.", hint="Train or export the adapter again.") from error


def _tensor(weights: Any, file: Path, name: str) -> admission.Tensor:
    piece = weights.get_slice(name)
    shape = tuple(piece.get_shape())
    if piece.get_dtype() != "BF16":
        return admission.Tensor(shape, bool(np.isfinite(weights.get_tensor(name)).all()))
    return admission.Tensor(shape, bool(((_raw(file, name) & BFLOAT16_EXPONENT) != BFLOAT16_EXPONENT).all()))


def _raw(file: Path, name: str) -> Any:
    """The 16-bit words of a tensor whose number format numpy does not know."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        begin, end = json.loads(content.read(length))[name]["data_offsets"]
        content.seek(8 + length + begin)
        return np.frombuffer(content.read(end - begin), dtype="<u2")
