"""Packing and batching: nothing lost, nothing seen that should not be, the same loss as row by row."""

from __future__ import annotations

import random

import pytest
import tiny_model
import torch

from controlplane.core import errors
from jobs.training import data, losses


def groups(count: int = 12) -> list[list[data.Example]]:
    return data.encode(tiny_model.rows(count), tiny_model.Letters(), 512)[0]


def test_rows_share_the_tokens_they_begin_with() -> None:
    examples = [example for group in groups() for example in group]
    alone = [data.collate([example]) for example in examples]
    together = data.collate(examples)
    assert together.tokens < 0.5 * sum(batch.tokens for batch in alone)
    assert together.targets.tolist() == [target for batch in alone for target in batch.targets.tolist()]


def test_sharing_changes_no_loss_and_no_gradient() -> None:
    gradients, sums = [], []
    examples = [example for group in groups() for example in group]
    for rows_per_batch in (1, len(examples)):
        model, total = tiny_model.model(), 0.0
        for start in range(0, len(examples), rows_per_batch):
            loss = losses.answer_loss(model, data.collate(examples[start : start + rows_per_batch]))
            loss.backward()
            total += loss.item()
        sums.append(total)
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-4)


def test_a_token_sees_its_ancestors_only() -> None:
    batch = data.collate([data.Example((5, 6, 7), (8, 0)), data.Example((5, 6, 9), (8, 0)), data.Example((4,), (0,))])
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9, 8, 4]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 2, 3, 0]]
    assert batch.loss_at.tolist() == [2, 3, 4, 5, 6]
    assert batch.targets.tolist() == [8, 0, 8, 0, 0]
    assert batch.mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize("rows_per_batch", [1, 2, 3, 5, 100])
def test_batches_hold_every_row_once_and_no_more_than_asked(rows_per_batch: int) -> None:
    made = data.batches(groups(30), rows_per_batch, random.Random(1))
    assert sorted(e.prompt for batch in made for e in batch) == sorted(e.prompt for group in groups(30) for e in group)
    assert all(len(batch) <= rows_per_batch for batch in made)


def test_the_same_seed_gives_the_same_order_and_another_another() -> None:
    orders = [data.batches(groups(30), 4, random.Random(seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_rows_that_are_too_long_are_counted_and_left_out() -> None:
    rows = tiny_model.rows(4)
    long = rows[0].__class__("x", "q" * 400, rows[0].context, "1", True)
    kept, left_out = data.encode([*rows, long], tiny_model.Letters(), 300)
    assert (sum(map(len, kept)), left_out) == (4, 1)


def test_no_row_short_enough_says_what_to_raise() -> None:
    with pytest.raises(errors.InvalidInput, match="--max-seq-length"):
        data.encode(tiny_model.rows(2), tiny_model.Letters(), 20)
