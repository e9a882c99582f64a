"""What two load tests must have in common to be compared."""

from __future__ import annotations

import pytest

from controlplane.core import serving_environment

METRICS = """\
# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",cache_dtype="auto",enable_prefix_caching="True",engine="0",sliding_window="None"} 1.0
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{max_lora="3",running_lora_adapters="ops-qa-live",waiting_lora_adapters=""} 1.7e+09
"""
MODELS = [{"id": "slot", "parent": "base"}, {"id": "base", "parent": None, "max_model_len": 2048}]
WHOLE = {
    "vllm_version": "0.32.0",
    "base_model": "base",
    "max_model_len": "2048",
    "block_size": "16",
    "cache_dtype": "auto",
    "enable_prefix_caching": "True",
    "max_lora": "3",
}


def test_version_model_and_flags_make_the_environment() -> None:
    assert serving_environment.read("0.32.0", MODELS, METRICS) == WHOLE


@pytest.mark.parametrize("metrics", ["", "<html>", 'vllm:cache_config_info{block_size="16'])
def test_metrics_that_cannot_be_read_tell_no_flags(metrics: str) -> None:
    assert serving_environment.read("0.32.0", [], metrics) == {"vllm_version": "0.32.0"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, ()),
        ({"vllm_version": "0.31.0"}, ("vllm_version 0.32.0 against 0.31.0",)),
        ({"device": "NVIDIA L4", "block_size": "32"}, ("block_size 16 against 32", "device unknown against NVIDIA L4")),
    ],
)
def test_what_differs_is_named(changed: dict[str, str], found: tuple[str, ...]) -> None:
    assert serving_environment.differences(WHOLE, {**WHOLE, **changed}) == found
