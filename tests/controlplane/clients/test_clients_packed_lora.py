"""Packed LoRA products give each token what its own adapter alone would, and notice when an adapter's weights change."""

from __future__ import annotations

import pytest
import torch

from controlplane.clients import packed_lora

SLOTS, MAX_RANK, TOKENS, IN = 3, 8, 12, 6
WIDTHS = (5, 4)


def _stacked(ranks: dict[int, tuple[int, ...]], seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """As vLLM keeps them: `ranks[slot]` says how many ranks each slice of that slot's adapter has, all else is zero."""
    draw = torch.Generator().manual_seed(seed)
    a = [torch.zeros(SLOTS, 1, MAX_RANK, IN) for _ in WIDTHS]
    b = [torch.zeros(SLOTS, 1, width + 1, MAX_RANK) for width in WIDTHS]
    for slot, of_slices in ranks.items():
        for number, rank in enumerate(of_slices):
            a[number][slot, 0, :rank] = torch.randn(rank, IN, generator=draw)
            b[number][slot, 0, :, :rank] = torch.randn(WIDTHS[number] + 1, rank, generator=draw)
    return a, b


def _token_by_token(a: list[torch.Tensor], b: list[torch.Tensor], x: torch.Tensor, slot_of_token: list[int], scale: float) -> torch.Tensor:
    y = torch.zeros(len(x), sum(WIDTHS))
    for token, slot in enumerate(slot_of_token):
        if slot >= 0:
            parts = [b[i][slot, 0, :width] @ (a[i][slot, 0] @ x[token]) for i, width in enumerate(WIDTHS)]
            y[token] = scale * torch.cat(parts)
    return y


@pytest.mark.parametrize(
    ("ranks", "slot_of_token"),
    [
        pytest.param({0: (4, 4)}, [0] * TOKENS, id="one adapter"),
        pytest.param({0: (4, 4), 2: (8, 8)}, [0, 2] * (TOKENS // 2), id="two adapters of different rank"),
        pytest.param({0: (4, 4)}, [0, -1, -1] * (TOKENS // 3), id="an adapter beside the base model"),
        pytest.param({0: (4, 0), 1: (0, 2)}, [0, 1, -1] * (TOKENS // 3), id="each changes another slice"),
        pytest.param({0: (0, 3), 1: (0, 0)}, [0, 1] * (TOKENS // 2), id="one leaves the layer alone"),
        pytest.param({0: (8, 8), 1: (1, 1), 2: (3, 5)}, [0, 1, 2] * (TOKENS // 3), id="three adapters"),
    ],
)
def test_each_token_gets_its_own_adapter_alone(ranks: dict[int, tuple[int, ...]], slot_of_token: list[int]) -> None:
    a, b = _stacked(ranks, seed=1)
    x = torch.randn(TOKENS, IN, generator=torch.Generator().manual_seed(2))
    slots = sorted({slot for slot in slot_of_token if slot >= 0})
    whose = torch.tensor(slot_of_token)
    is_of_slot = {slot: (whose == slot).float()[:, None] for slot in slots} if len(set(slot_of_token)) > 1 else None
    packed = packed_lora.pack(slots, a, b, WIDTHS)
    assert packed is not None
    y = torch.ones(TOKENS, sum(WIDTHS))
    packed_lora.add(packed, y, x, 0.5, is_of_slot)
    torch.testing.assert_close(y, 1 + _token_by_token(a, b, x, slot_of_token, 0.5))


def test_a_layer_that_no_adapter_changes_costs_nothing() -> None:
    a, b = _stacked({0: (0, 0)}, seed=1)
    assert packed_lora.pack((0, 1), a, b, WIDTHS) is None


def test_only_ranks_in_use_are_multiplied() -> None:
    a, b = _stacked({0: (2, 3), 1: (1, 0)}, seed=1)
    packed = packed_lora.pack((0, 1), a, b, WIDTHS)
    assert packed is not None
    assert packed.down.shape == (IN, 2 + 1 + 3)
    assert [tuple(matrix.shape) for _, _, matrix in packed.up] == [(3, WIDTHS[0]), (3, WIDTHS[1])]


def test_a_rank_of_zeros_below_one_in_use_is_kept() -> None:
    a, b = _stacked({0: (4, 4)}, seed=1)
    a[0][0, 0, 1] = 0
    packed = packed_lora.pack((0,), a, b, WIDTHS)
    assert packed is not None
    assert packed.down.shape == (IN, 8)


@pytest.mark.parametrize("is_inference", [False, True])
def test_torch_counts_the_writes_by_which_the_server_changes_an_adapter(is_inference: bool) -> None:
    """What is packed is told stale by these counts, and vLLM writes a slot's weights in both ways."""
    a, _ = _stacked({0: (4, 4)}, seed=1)
    before = a[0]._version
    with torch.inference_mode(is_inference):
        a[0][0] = 0
        a[0][0, 0, :2, :3].copy_(torch.ones(2, 3))
    assert a[0]._version == before + 2
