"""Rows to batches of token ids. It neither reads files nor runs a model.

Rows that share a context are laid into one sequence: the tokens they have in common once, then one branch for each row. A mask keeps the
branches from seeing each other, so every row gets the same loss as alone while the shared tokens are computed once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from controlplane.core import datasets, errors, prompts

# Sequences are sorted by length within this many batches, which takes most padding away and still leaves the order random.
_BUCKET_BATCHES = 8


@dataclass(frozen=True)
class Example:
    """One row as tokens; `answer` ends with the end-of-turn token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True)
class Packed:
    """Several examples in one sequence: shared tokens first (branch 0), then a branch for each example."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    branches: tuple[int, ...]
    loss_at: tuple[int, ...]
    targets: tuple[int, ...]
    rows: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Batch:
    """Tensors for the model. `loss_rows` and `loss_columns` index the positions whose next token, `targets`, is part of an answer."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    loss_rows: torch.Tensor
    loss_columns: torch.Tensor
    targets: torch.Tensor
    tokens: int

    def to(self, device: torch.device) -> Batch:
        return Batch(
            self.ids.to(device),
            self.positions.to(device),
            self.mask.to(device),
            self.loss_rows.to(device),
            self.loss_columns.to(device),
            self.targets.to(device),
            self.tokens,
        )


def encode(rows: Iterable[datasets.Row], tokenizer: Any, max_seq_length: int) -> tuple[list[list[Example]], int]:
    """Examples grouped by context, and the number of rows left out for being longer than `max_seq_length` tokens.

    Raises:
        InvalidInput: no row is short enough.
    """
    groups: dict[str, list[Example]] = {}
    left_out = 0
    for row in rows:
        example = _example(row, tokenizer)
        if len(example.prompt) + len(example.answer) > max_seq_length:
            left_out += 1
        else:
            groups.setdefault(row.context, []).append(example)
    if not groups:
        raise errors.InvalidInput(
            f"Every row is longer than {max_seq_length} tokens.", hint="Raise --max-seq-length or shorten the contexts."
        )
    return list(groups.values()), left_out


def pack(groups: Sequence[Sequence[Example]], rows_per_sequence: int) -> list[Packed]:
    """One sequence for each group; a group of more than `rows_per_sequence` examples becomes several."""
    return [_pack(group[start : start + rows_per_sequence]) for group in groups for start in range(0, len(group), rows_per_sequence)]


def batches(packed: Sequence[Packed], rows_per_batch: int, draw: random.Random) -> list[list[Packed]]:
    """All sequences once, in random order, in batches of at most `rows_per_batch` rows and similar length."""
    order = draw.sample(list(packed), len(packed))
    window = _BUCKET_BATCHES * rows_per_batch
    result: list[list[Packed]] = []
    for start in range(0, len(order), window):
        result += _fill(sorted(order[start : start + window], key=len), rows_per_batch)
    draw.shuffle(result)
    return result


def collate(packed: Sequence[Packed], pad: int) -> Batch:
    """The batch's tensors, padded on the right to its longest sequence."""
    width = max(len(p) for p in packed)
    ids, positions, branches = (torch.full((len(packed), width), fill) for fill in (pad, 0, -1))
    for row, p in enumerate(packed):
        ids[row, : len(p)] = torch.tensor(p.ids)
        positions[row, : len(p)] = torch.tensor(p.positions)
        branches[row, : len(p)] = torch.tensor(p.branches)
    return Batch(
        ids,
        positions,
        _visible(branches),
        torch.tensor([row for row, p in enumerate(packed) for _ in p.loss_at]),
        torch.tensor([column for p in packed for column in p.loss_at]),
        torch.tensor([target for p in packed for target in p.targets]),
        sum(len(p) for p in packed),
    )


def _example(row: datasets.Row, tokenizer: Any) -> Example:
    chat = prompts.messages(row.question, row.context)
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    answer = tokenizer(row.answer, add_special_tokens=False)["input_ids"]
    return Example(tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"]), (*answer, tokenizer.eos_token_id))


def _pack(examples: Sequence[Example]) -> Packed:
    shared = _common_prefix([e.prompt for e in examples])
    ids, positions, branches = list(examples[0].prompt[:shared]), list(range(shared)), [0] * shared
    loss_at: list[int] = []
    targets: list[int] = []
    for branch, example in enumerate(examples, start=1):
        tail = (*example.prompt[shared:], *example.answer[:-1])
        first_loss = len(ids) + len(example.prompt) - shared - 1
        loss_at += range(first_loss, first_loss + len(example.answer))
        targets += example.answer
        ids += tail
        positions += range(shared, shared + len(tail))
        branches += [branch] * len(tail)
    return Packed(tuple(ids), tuple(positions), tuple(branches), tuple(loss_at), tuple(targets), len(examples))


def _common_prefix(prompts_: Sequence[tuple[int, ...]]) -> int:
    """Tokens that all prompts begin with, always leaving each at least one of its own, for the first loss is read there."""
    limit = min(len(p) for p in prompts_) - 1
    return next((i for i in range(limit) if len({p[i] for p in prompts_}) > 1), limit)


def _fill(packed: Sequence[Packed], rows_per_batch: int) -> list[list[Packed]]:
    result: list[list[Packed]] = []
    room = 0
    for p in packed:
        if p.rows > room:
            result.append([])
            room = rows_per_batch
        result[-1].append(p)
        room -= p.rows
    return result


def _visible(branches: torch.Tensor) -> torch.Tensor:
    """Mask (batch, 1, query, key): a token sees earlier tokens of its own branch and of the shared part; padding sees itself only."""
    width = branches.shape[1]
    query, key = branches[:, :, None], branches[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    visible = causal & ((key == query) | (key == 0)) & (key >= 0) & (query >= 0)
    return (visible | torch.eye(width, dtype=torch.bool))[:, None]
