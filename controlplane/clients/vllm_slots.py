"""A vLLM plugin: a slot name answers from the directory its pointer file names, and changes directory without a moment's absence.

Loaded inside every vLLM process through the entry point `vllm.general_plugins`; it does nothing unless GATEWRIGHT_ADAPTERS_DIR is set.
Three things, measured on vLLM 0.32:

- A LoRA resolver finds the directory of an unknown name, so a restarted server answers for its slots by itself.
- Unloading a name whose pointer names another directory loads the new adapter first and then replaces the entry. Plain vLLM drops the
  entry; a request whose prompt is being tokenized at that moment has passed the check of its name and then fails.
- Adapter requests are told apart by their number too. Plain vLLM compares them by name alone, so that of an old and a new adapter
  under one name in one batch only one is made ready, and the other's tokens are computed with whatever lies in its place.
"""

from __future__ import annotations

import logging
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

from controlplane.clients import slot_pointers

logger = logging.getLogger("vllm.gatewright")

ADAPTERS_DIR = "GATEWRIGHT_ADAPTERS_DIR"
RESOLVER = "gatewright-slots"


def register() -> None:
    """Called by vLLM in each of its processes at start-up."""
    root = os.environ.get(ADAPTERS_DIR, "")
    if not root:
        return
    from vllm.entrypoints.openai.models.serving import OpenAIServingModels
    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolverRegistry

    LoRAResolverRegistry.register_resolver(RESOLVER, _resolver(Path(root)))
    _tell_adapters_apart(LoRARequest)
    _replace_instead_of_dropping(OpenAIServingModels, LoRARequest, Path(root))


def _resolver(root: Path) -> Any:
    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolver

    class SlotResolver(LoRAResolver):  # type: ignore[misc]
        async def resolve_lora(self, base_model_name: str, lora_name: str) -> Any:  # noqa: ARG002 - vLLM's signature
            directory = slot_pointers.read(root, lora_name)
            # vLLM puts a number of its own in place of this one.
            return None if directory is None else LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(directory))

    return SlotResolver()


def _tell_adapters_apart(request_type: Any) -> None:
    def is_same(one: Any, other: object) -> bool:
        return isinstance(other, request_type) and _identity(one) == _identity(other)

    request_type.__eq__ = is_same
    request_type.__hash__ = lambda request: hash(_identity(request))


def _identity(request: Any) -> tuple[str, int]:
    return request.lora_name, request.lora_int_id


def _replace_instead_of_dropping(models_type: Any, request_type: Any, root: Path) -> None:
    from vllm.entrypoints.serve import create_error_response

    drop = models_type.unload_lora_adapter

    async def unload_lora_adapter(self: Any, request: Any) -> Any:
        name = request.lora_name
        wanted = slot_pointers.read(root, name)
        async with self.lora_resolver_lock[name]:
            present = self.lora_requests.get(name)
            is_swap = present is not None and wanted is not None and present.lora_path != str(wanted)
            if is_swap:
                successor = request_type(lora_name=name, lora_int_id=self.lora_id_counter.inc(1), lora_path=str(wanted))
                try:
                    await self.engine_client.add_lora(successor)
                except Exception as error:  # noqa: BLE001 - an error that leaves a route's handler ends the whole server
                    reason = f"The slot keeps what it had: {wanted} cannot be loaded: {error}"
                    return create_error_response(reason, "InternalServerError", HTTPStatus.INTERNAL_SERVER_ERROR)
                self.lora_requests[name] = successor
                logger.info("Slot %s answers from %s", name, wanted)
                return f"Success: LoRA adapter '{name}' removed; its slot answers from {wanted}."
        return await drop(self, request)

    models_type.unload_lora_adapter = unload_lora_adapter
