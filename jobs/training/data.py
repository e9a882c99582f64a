"""Rows to batches of token ids. It neither reads files nor runs a model.

A batch is laid out as one tree: tokens that several rows begin with (the instruction, and the context of questions about the same one) are
computed once. A mask lets every token see its own ancestors only, so each row gets exactly the loss it has alone, and nothing is padded.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from controlplane.core import datasets, errors, prompts


@dataclass(frozen=True)
class Example:
    """One row as tokens; `answer` ends with the end-of-turn token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Tensors for the model: ids and positions (1, tokens), mask (1, 1, query, key).

    `loss_at` indexes the tokens whose successor, `targets`, is part of an answer.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    loss_at: torch.Tensor
    targets: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.ids.numel()

    def to(self, device: torch.device) -> Batch:
        return Batch(self.ids.to(device), self.positions.to(device), self.mask.to(device), self.loss_at.to(device), self.targets.to(device))


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


def batches(groups: Sequence[Sequence[Example]], rows_per_batch: int, draw: random.Random) -> list[list[Example]]:
    """All examples once, in random order, in batches of at most `rows_per_batch`; those of one context stay together where they fit."""
    pieces = [group[start : start + rows_per_batch] for group in groups for start in range(0, len(group), rows_per_batch)]
    draw.shuffle(pieces)
    result: list[list[Example]] = []
    for piece in pieces:
        if not result or len(result[-1]) + len(piece) > rows_per_batch:
            result.append([])
        result[-1] += piece
    return result


def collate(examples: Sequence[Example]) -> Batch:
    """The batch's tree as tensors."""
    ids: list[int] = []
    positions: list[int] = []
    parents: list[int] = []
    loss_at: list[int] = []
    targets: list[int] = []
    children: dict[tuple[int, int], int] = {}
    for example in examples:
        tokens = (*example.prompt, *example.answer)
        node = -1
        for position, token in enumerate(tokens[:-1]):
            parent, node = node, children.setdefault((node, token), len(ids))
            if node == len(ids):
                ids.append(token)
                positions.append(position)
                parents.append(parent)
            if position + 1 >= len(example.prompt):
                loss_at.append(node)
                targets.append(tokens[position + 1])
    return Batch(torch.tensor([ids]), torch.tensor([positions]), _mask(parents)[None, None], torch.tensor(loss_at), torch.tensor(targets))


def _example(row: datasets.Row, tokenizer: Any) -> Example:
    chat = prompts.messages(row.question, row.context)
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    answer = tokenizer(row.answer, add_special_tokens=False)["input_ids"]
    return Example(tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"]), (*answer, tokenizer.eos_token_id))


def _mask(parents: Sequence[int]) -> torch.Tensor:
    """Which token (row) sees which (column): itself and all its ancestors. Parents come before their children."""
    visible = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            visible[node] |= visible[parent]
    return visible
