"""A vLLM plugin for servers without a GPU: applies LoRA by matrix products per adapter instead of gathering weights per token.

vLLM's CPU code copies an adapter's whole matrices for every token of a prompt, which makes a prompt several times slower than on
the base model. It also picks some adapter's weights for base-model tokens that share a batch with adapter tokens. Grouping the
tokens by adapter mends both. Loaded inside vLLM through the entry point `vllm.general_plugins`; it does nothing on a GPU.
"""

from __future__ import annotations

WRAPPER = "controlplane.clients.vllm_cpu_lora_layers.GroupedLora"


def register() -> None:
    """Called by vLLM in each of its processes at start-up."""
    from vllm import platforms

    if platforms.current_platform.is_cpu():
        type(platforms.current_platform).get_punica_wrapper = classmethod(lambda _cls: WRAPPER)
