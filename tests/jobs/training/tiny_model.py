"""A causal model of a few thousand random weights and a tokenizer of single characters, so that training is tested in milliseconds."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from controlplane.core import datasets


class Letters:
    """Tokenizer: one token a character, the end token is 0."""

    eos_token_id = 0

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [1 + ord(letter) % 127 for letter in text]}

    def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
        return "".join(message["content"] for message in messages)


def model(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    settings = transformers.LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    return transformers.LlamaForCausalLM(settings)


def rows(count: int) -> list[datasets.Row]:
    """Two questions to each context."""
    made = []
    for number in range(count):
        port = str(20 + number // 2)
        context = f"Service s{number // 2} uses port {port}."
        question, answer = (f"Port of s{number // 2}?", port) if number % 2 else ("Who?", "nobody")
        made.append(datasets.Row(str(number), question, context, answer, bool(number % 2)))
    return made
