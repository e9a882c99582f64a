"""What a load test ran on, as far as speed depends on it: two tests may be compared only where it is the same. Text in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import parser

# Of vLLM's `cache_config_info`; what it measures when it starts, such as the number of blocks that fit, differs between starts.
_CACHE_FLAGS = ("block_size", "cache_dtype", "enable_prefix_caching", "gpu_memory_utilization", "kv_cache_memory_bytes", "sliding_window")
_INFO = {"vllm:cache_config_info": _CACHE_FLAGS, "vllm:lora_requests_info": ("max_lora",)}


def read(version: str, models: Iterable[Mapping[str, Any]], metrics_text: str) -> dict[str, str]:
    """Version, base model, its longest context and the flags that the server tells.

    Args:
        models: `data` of `/v1/models`.
        metrics_text: of `/metrics`; flags that are not in it are left out.
    """
    base = next((model for model in models if not model.get("parent")), {})
    found = {
        "vllm_version": version,
        "base_model": str(base.get("id", "")),
        "max_model_len": str(base.get("max_model_len") or ""),
        **_flags(metrics_text),
    }
    return {name: value for name, value in found.items() if value}


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """What differs, such as `vllm_version 0.32.0 against 0.31.0`; empty where the tests may be compared."""
    return tuple(
        f"{name} {one.get(name) or 'unknown'} against {other.get(name) or 'unknown'}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    )


def _flags(metrics_text: str) -> dict[str, str]:
    """Raises nothing: a text that cannot be read tells no flags."""
    try:
        samples = [sample for family in parser.text_string_to_metric_families(metrics_text) for sample in family.samples]
    except ValueError:
        return {}
    return {
        name: sample.labels[name] for sample in samples for name in _INFO.get(sample.name, ()) if sample.labels.get(name, "None") != "None"
    }
