"""May these adapter files go near a server? Every reason why not, in words. Pure: it is told what the files hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from controlplane.core import errors

LORA_TENSOR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])(?:\.[^.]+)?\.weight$")
DEFAULT_MAX_BYTES = 2 << 30
DEFAULT_MAX_RANK = 64


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    is_finite: bool


@dataclass(frozen=True)
class Files:
    """What was found: the parsed configuration, every tensor by name, and the bytes of both files together."""

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    size_bytes: int


@dataclass(frozen=True)
class Server:
    """What the server can take. `bases` are the names and paths its base model goes by; empty: not known, so not checked.

    `modules` are the base model's layers with (outputs, inputs); empty: not known.
    """

    bases: tuple[str, ...] = ()
    max_rank: int = DEFAULT_MAX_RANK
    max_bytes: int = DEFAULT_MAX_BYTES
    modules: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def require(files: Files, server: Server, place: str) -> None:
    """Raises Refused with every reason, naming the file."""
    reasons = refusals(files, server)
    if reasons:
        raise errors.Refused(
            f"{place} is not admitted: {'; '.join(reasons)}.", hint="Train the adapter for the model this server serves, as safetensors."
        )


def refusals(files: Files, server: Server) -> list[str]:
    """Every reason against these files; empty when there is none."""
    return [*_config(files.config, server), *_weights(files, server)]


def _config(config: Mapping[str, Any], server: Server) -> Iterator[str]:
    name = "adapter_config.json"
    if config.get("peft_type") != "LORA":
        yield f"{name}: peft_type is {config.get('peft_type')!r}, not 'LORA'"
    if config.get("bias", "none") != "none":
        yield f"{name}: bias is {config.get('bias')!r}; vLLM serves no adapter with a bias"
    for unsupported in ("use_dora", "modules_to_save"):
        if config.get(unsupported):
            yield f"{name}: {unsupported} is set, which vLLM does not serve"
    rank = config.get("r")
    if not isinstance(rank, int) or rank < 1:
        yield f"{name}: r is {rank!r}, not a rank"
    elif rank > server.max_rank:
        yield f"{name}: rank {rank} is above the server's maximum {server.max_rank}"
    base = str(config.get("base_model_name_or_path") or "")
    if server.bases and not any(_is_same_model(base, one) for one in server.bases):
        yield f"{name}: it was trained for {base or 'an unnamed model'}, the server serves {server.bases[0]}"


def _weights(files: Files, server: Server) -> Iterator[str]:
    name = "adapter_model.safetensors"
    if files.size_bytes > server.max_bytes:
        yield f"{name}: {files.size_bytes:,} bytes are above the limit {server.max_bytes:,}"
    if not files.tensors:
        yield f"{name}: it holds no tensor"
        return
    for tensor_name, tensor in files.tensors.items():
        if not tensor.is_finite:
            yield f"{name}: {tensor_name} holds NaN or Inf"
    modules = {match["module"] for tensor in files.tensors if (match := LORA_TENSOR.match(tensor))}
    strangers = [tensor for tensor in files.tensors if not LORA_TENSOR.match(tensor)]
    if strangers:
        yield f"{name}: {strangers[0]} is no LoRA weight"
    yield from _targets(files.config, modules)
    yield from _layers(files.tensors, server)


def _targets(config: Mapping[str, Any], modules: set[str]) -> Iterator[str]:
    """Each target module that the configuration lists has weights; a pattern cannot be checked this way."""
    targets = config.get("target_modules")
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        for target in targets:
            if not any(module == target or module.endswith(f".{target}") for module in modules):
                yield f"adapter_model.safetensors: it has no weights for the target module {target!r}"


def _layers(tensors: Mapping[str, Tensor], server: Server) -> Iterator[str]:
    if not server.modules:
        return
    for name, tensor in tensors.items():
        match = LORA_TENSOR.match(name)
        if match is None:
            continue
        layer = server.modules.get(match["module"])
        if layer is None:
            yield f"adapter_model.safetensors: the base model has no layer {match['module']}"
        elif tensor.shape[1 if match["side"] == "A" else 0] != layer[1 if match["side"] == "A" else 0]:
            yield f"adapter_model.safetensors: {name} has shape {list(tensor.shape)}, which does not fit the layer's {list(layer)}"


def _is_same_model(trained: str, served: str) -> bool:
    """By full name or path, or by the last part of it: the same model lies in other folders on other machines."""
    return trained == served or PurePosixPath(trained).name == PurePosixPath(served).name != ""
