"""The layer arithmetic of the CPU LoRA plugin. Imported by vLLM only, inside its worker process."""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper import punica_cpu


class GroupedLora(punica_cpu.PunicaWrapperCPU):  # type: ignore[misc] # vLLM's extension point is a subclass
    """Adds `x @ A.T @ B.T * scale` for each adapter in the batch to that adapter's tokens, and nothing to base-model tokens."""

    groups: list[tuple[int, torch.Tensor | None]]

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Called once per step: notes which tokens belong to which adapter slot. None stands for all of them."""
        super().update_metadata(*args, **kwargs)
        indices = self.token_lora_indices
        slots = indices.unique().tolist()
        if len(slots) == 1:
            self.groups = [(slots[0], None)] if slots[0] >= 0 else []
        else:
            self.groups = [(slot, (indices == slot).nonzero().flatten()) for slot in slots if slot >= 0]

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
        x, y = x.view(-1, x.shape[-1]), y.view(-1, y.shape[-1])
        for slot, tokens in self.groups:
            inputs = x if tokens is None else x[tokens]
            parts = [
                (inputs @ a[slot, 0].T) @ b[slot, 0].T[:, :width]
                for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True)
            ]
            change = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            if tokens is None:
                y.add_(change, alpha=scale)
            else:
                y.index_add_(0, tokens, change, alpha=scale)

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
