"""What several fakes need: a clock, the files of an adapter, the fault that stands for an outside system that is down."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from controlplane.core import errors

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def ticks() -> Iterator[datetime]:
    """A clock that moves one second per reading, so that "newest first" is never a matter of luck."""
    return (EPOCH + timedelta(seconds=second) for second in itertools.count())


def adapter_files(name: str, base: str = "base") -> dict[str, bytes]:
    """The two files of a tiny LoRA adapter; another name makes another digest."""
    layer = "base_model.model.q_proj"
    tensors = {f"{layer}.lora_A.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}
    header = json.dumps({"__metadata__": {"name": name}, **tensors}).encode()
    config = {"peft_type": "LORA", "r": 1, "bias": "none", "target_modules": ["q_proj"], "base_model_name_or_path": base}
    weights = len(header).to_bytes(8, "little") + header + bytes(4)
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": weights}


def raise_fault(fault: errors.GatewrightError | None) -> None:
    if fault is not None:
        raise fault
