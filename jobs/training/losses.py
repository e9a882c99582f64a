"""Loss on the answer's tokens, projecting only those positions onto the vocabulary. It makes no step and keeps no state.

The vocabulary projection is the widest product of a small model; doing it for the few answer tokens alone doubles throughput on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from jobs.training import data


def answer_loss(model: Any, batch: data.Batch) -> torch.Tensor:
    """Sum of the negative log likelihood (nats) over the batch's answer tokens.

    Args:
        model: a causal language model of transformers; with adapters injected, the model inside peft's wrapper.
    """
    backbone = getattr(model, model.base_model_prefix)
    hidden = backbone(input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False).last_hidden_state
    picked = hidden[0, batch.loss_at]
    logits = model.get_output_embeddings()(picked.to(model.get_output_embeddings().weight.dtype))
    return functional.cross_entropy(logits.float(), batch.targets, reduction="sum")
