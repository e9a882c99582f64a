"""LoRA's two products for a batch that mixes adapters, as few and as dense as possible. Plain torch: it knows nothing of vLLM.

vLLM keeps every adapter padded to the server's largest rank, and layers that an adapter leaves alone as zeros. On a CPU those zeros cost as
much as the base layer itself. So the ranks in use of all the batch's adapters are packed side by side, once, into contiguous matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Packed:
    """One layer's matrices for some adapters.

    `down`: [in, ranks]. `of_slot`: which columns of the ranks belong to which adapter slot. `up`: for each slice of the output that is
    changed at all, its ranks, its columns and the matrix [its ranks, its columns].
    """

    down: torch.Tensor
    of_slot: tuple[tuple[int, slice], ...]
    up: tuple[tuple[slice, slice, torch.Tensor], ...]


def pack(slots: Sequence[int], a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], widths: Sequence[int]) -> Packed | None:
    """The matrices of these slots; None when none of them changes this layer.

    Args:
        a: for each slice of the output [slots, 1, rank, in], zero where unused.
        b: for each slice [slots, 1, out, rank].
        widths: of each slice, at most `out`.
    """
    down: list[torch.Tensor] = []
    of_slot: list[tuple[int, slice]] = []
    up: list[tuple[slice, slice, torch.Tensor]] = []
    used = start = 0
    for one_a, one_b, width in zip(a, b, widths, strict=True):
        first, parts = used, []
        for slot in slots:
            if rank := _rank(one_a[slot, 0]):
                down.append(one_a[slot, 0, :rank].T)
                parts.append(one_b[slot, 0, :width, :rank].T)
                of_slot.append((slot, slice(used, used + rank)))
                used += rank
        if parts:
            up.append((slice(first, used), slice(start, start + width), torch.cat(parts)))
        start += width
    return Packed(torch.cat(down, dim=1), tuple(of_slot), tuple(up)) if down else None


def add(packed: Packed, y: torch.Tensor, x: torch.Tensor, scale: float, is_of_slot: Mapping[int, torch.Tensor] | None) -> None:
    """Adds each token's own adapter to `y`, in place.

    Args:
        y: [tokens, out]; x: [tokens, in].
        is_of_slot: for each slot [tokens, 1], one where the token is that adapter's, else zero; None when all tokens are of one adapter.
    """
    inner = x @ packed.down
    if is_of_slot is not None:
        for slot, ranks in packed.of_slot:
            inner[:, ranks] *= is_of_slot[slot]
    for ranks, columns, matrix in packed.up:
        y[:, columns].addmm_(inner[:, ranks], matrix, alpha=scale)


def _rank(a: torch.Tensor) -> int:
    """Ranks in use, of `a` [rank, in]: up to the last row that is not zero."""
    in_use = a.any(dim=1).nonzero()
    return int(in_use.max()) + 1 if len(in_use) else 0
