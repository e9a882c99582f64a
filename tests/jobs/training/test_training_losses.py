"""The loss on the answer's tokens against the plain computation over the whole vocabulary at every position."""

from __future__ import annotations

import pytest
import tiny_model
import torch
from torch.nn import functional

from jobs.training import data, losses


def test_equals_cross_entropy_of_full_logits_on_the_answer() -> None:
    model = tiny_model.model()
    groups, _ = data.encode(tiny_model.rows(6), tiny_model.Letters(), 512)
    expected = 0.0
    for example in (example for group in groups for example in group):
        ids = torch.tensor([[*example.prompt, *example.answer]])
        logits = model(input_ids=ids).logits[0, len(example.prompt) - 1 : -1]
        expected += functional.cross_entropy(logits, torch.tensor(example.answer), reduction="sum").item()
    loss = losses.answer_loss(model, data.collate([example for group in groups for example in group]))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
