"""The layer arithmetic of the CPU LoRA plugin. Imported by vLLM only, inside its worker process."""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper import punica_cpu

from controlplane.clients import packed_lora


class GroupedLora(punica_cpu.PunicaWrapperCPU):  # type: ignore[misc] # vLLM's extension point is a subclass
    """Adds `x @ A.T @ B.T * scale` for each adapter in the batch to that adapter's tokens, and nothing to base-model tokens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slots: tuple[int, ...] = ()
        self.is_of_slot: dict[int, torch.Tensor] | None = None
        self.packed: dict[tuple[int, tuple[int, ...]], tuple[tuple[int, ...], packed_lora.Packed | None]] = {}

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Called once per step: notes which adapter slots the batch has, and which tokens are whose."""
        super().update_metadata(*args, **kwargs)
        indices = self.token_lora_indices
        found = indices.unique().tolist()
        self.slots = tuple(slot for slot in found if slot >= 0)
        self.is_of_slot = {slot: (indices == slot).float()[:, None] for slot in self.slots} if len(found) > 1 else None

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_kwargs: Any,
    ) -> None:
        """In place. x: [tokens, in]; y: [tokens, sum(output_slices)]; A: [slots, 1, rank, in]; B: [slots, 1, out, rank]."""
        if not self.slots:
            return
        packed = self._packed(lora_a_stacked, lora_b_stacked, output_slices)
        if packed is not None:
            packed_lora.add(packed, y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1]), scale, self.is_of_slot)

    def _packed(
        self, a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...], output_slices: tuple[int, ...]
    ) -> packed_lora.Packed | None:
        """This layer's matrices, packed anew when vLLM has written other weights into any slot since."""
        key = (id(a), self.slots)
        versions = tuple(one._version for one in (*a, *b))
        known = self.packed.get(key)
        if known is None or known[0] != versions:
            known = self.packed[key] = (versions, packed_lora.pack(self.slots, a, b, output_slices))
        return known[1]

    def add_lora_logits(
        self, y: torch.Tensor, x: torch.Tensor, lora_a_stacked: torch.Tensor, lora_b_stacked: torch.Tensor, scale: float, **_kwargs: Any
    ) -> None:
        """In place. x: [rows, hidden]; y: [rows, vocabulary]; A: [slots, 1, rank, hidden]; B: [slots, 1, vocabulary, rank].

        vLLM's own copies [rows, vocabulary, rank] numbers at each step, though hardly any adapter changes the head, and ends the server
        when somebody asks for the log-probabilities of several prompts: the rows then are one prompt's tokens, and nobody says whose.
        """
        indices = self.sampler_indices
        slots = indices.unique().tolist()
        if len(slots) > 1 and len(indices) != len(x):
            return
        for slot in slots:
            if slot >= 0 and lora_a_stacked[slot].any():
                rows = slice(None) if len(slots) == 1 else indices == slot
                y[rows] += (x[rows] @ lora_a_stacked[slot, 0].T) @ lora_b_stacked[slot, 0].T[:, : y.shape[1]] * scale
