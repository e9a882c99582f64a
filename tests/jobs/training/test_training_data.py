"""Packing and batching: nothing lost, nothing seen that should not be, the same loss as row by row."""

from __future__ import annotations

import random

import pytest
import tiny_model
import torch

from controlplane.core import errors
from jobs.training import data, losses


def packed(count: int = 12, rows_per_sequence: int = 4) -> list[data.Packed]:
    groups, _ = data.encode(tiny_model.rows(count), tiny_model.Letters(), 512)
    return data.pack(groups, rows_per_sequence)


def test_rows_of_one_context_share_its_tokens() -> None:
    together, alone = packed(12, 2), packed(12, 1)
    assert [p.rows for p in together] == [2] * 6
    assert sum(map(len, together)) < 0.7 * sum(map(len, alone))
    assert sorted(t for p in together for t in p.targets) == sorted(t for p in alone for t in p.targets)


def test_packing_changes_no_loss_and_no_gradient() -> None:
    gradients, sums = [], []
    for rows_per_sequence in (1, 2):
        model = tiny_model.model()
        loss = losses.answer_loss(model, data.collate(packed(12, rows_per_sequence), pad=0))
        loss.backward()
        sums.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-4)


def test_a_token_sees_earlier_shared_and_own_tokens_only() -> None:
    one = data.Packed((5, 6, 7, 8, 9), (0, 1, 2, 3, 2), (0, 0, 1, 1, 2), (3, 4), (1, 1), 2)
    mask = data.collate([one, data.Packed((5,), (0,), (0,), (0,), (1,), 1)], pad=0).mask[:, 0].int().tolist()
    assert mask[0] == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert mask[1] == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_batches_hold_every_row_once_and_no_more_than_asked() -> None:
    everything = packed(30, 2)
    made = data.batches(everything, 4, random.Random(1))
    assert sorted(p.ids for batch in made for p in batch) == sorted(p.ids for p in everything)
    assert all(sum(p.rows for p in batch) <= 4 for batch in made)


def test_the_same_seed_gives_the_same_order_and_another_another() -> None:
    orders = [data.batches(packed(30), 4, random.Random(seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_rows_that_are_too_long_are_counted_and_left_out() -> None:
    rows = tiny_model.rows(4)
    long = rows[0].__class__("x", "q" * 400, rows[0].context, "1", True)
    groups, left_out = data.encode([*rows, long], tiny_model.Letters(), 300)
    assert (sum(map(len, groups)), left_out) == (4, 1)


def test_no_row_short_enough_says_what_to_raise() -> None:
    with pytest.raises(errors.InvalidInput, match="--max-seq-length"):
        data.encode(tiny_model.rows(2), tiny_model.Letters(), 20)
