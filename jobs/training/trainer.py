"""The training loop: batches in, adapter weights changed, measurements out. It knows no file, no tracking server and no argument."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from controlplane.core import errors
from jobs.training import config, data, losses

_PERPLEXITY_LIMIT = 1e9


@dataclass(frozen=True)
class Step:
    """One optimizer step that was made. `loss` is nats per answer token; `tokens_per_second` counts all tokens computed."""

    number: int
    total: int
    epoch: float
    loss: float
    learning_rate: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Result:
    """`eval_loss` is nats per answer token on the validation rows."""

    eval_loss: float
    steps: int
    seconds: float

    @property
    def perplexity(self) -> float:
        return perplexity(self.eval_loss)


@dataclass(frozen=True)
class _PlannedStep:
    epoch: float
    is_epoch_end: bool
    micro_batches: list[list[data.Example]]


def train(
    model: Any,
    train_data: Sequence[Sequence[data.Example]],
    validation_data: Sequence[Sequence[data.Example]],
    settings: config.TrainingConfig,
    on_step: Callable[[Step], None],
    on_epoch: Callable[[int, float], None],
) -> Result:
    """Trains the model's trainable weights in place.

    Args:
        model: the causal model with adapters injected (inside peft's wrapper).
        on_epoch: called with the step number and the eval loss after every epoch, and after the last step.

    Raises:
        Refused: the loss became NaN or infinite.
    """
    plan = _plan(train_data, settings)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    started = time.monotonic()
    eval_loss = math.nan
    for number, planned in enumerate(plan, start=1):
        learning_rate = settings.learning_rate * rate_factor(number, len(plan), settings)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        step_started = time.monotonic()
        loss, tokens = _accumulate(model, planned.micro_batches)
        _require_finite(loss, number)
        torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        now = time.monotonic()
        left = (now - started) / number * (len(plan) - number)
        on_step(Step(number, len(plan), planned.epoch, loss, learning_rate, tokens / (now - step_started), left))
        if planned.is_epoch_end or number == len(plan):
            eval_loss = evaluate(model, validation_data, settings)
            on_epoch(number, eval_loss)
    return Result(eval_loss, len(plan), time.monotonic() - started)


def evaluate(model: Any, groups: Sequence[Sequence[data.Example]], settings: config.TrainingConfig) -> float:
    """Mean negative log likelihood (nats) of an answer token."""
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for group in data.batches(groups, settings.batch_size * settings.gradient_accumulation_steps, random.Random(settings.seed)):
            batch = data.collate(group).to(_device(model))
            total += losses.answer_loss(model, batch).item()
            count += len(batch.targets)
    model.train()
    return total / count


def perplexity(loss: float) -> float:
    """exp(loss), without overflow; a NaN stays a NaN."""
    return min(math.exp(min(loss, math.log(_PERPLEXITY_LIMIT))), _PERPLEXITY_LIMIT) if not math.isnan(loss) else loss


def rate_factor(number: int, total: int, settings: config.TrainingConfig) -> float:
    """Share of the peak learning rate at step `number` of `total`: linear warm-up, then cosine or linear decay to nearly zero."""
    warmup = max(1, round(settings.warmup_ratio * total))
    if number <= warmup:
        return number / warmup
    done = (number - warmup) / (total - warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * done)) if settings.scheduler == "cosine" else 1 - done


def _plan(groups: Sequence[Sequence[data.Example]], settings: config.TrainingConfig) -> list[_PlannedStep]:
    """Every optimizer step to make; a fractional last epoch is cut short."""
    draw = random.Random(settings.seed)
    result: list[_PlannedStep] = []
    for epoch in range(math.ceil(settings.num_epochs)):
        micro = data.batches(groups, settings.batch_size, draw)
        size = settings.gradient_accumulation_steps
        windows = [micro[start : start + size] for start in range(0, len(micro), size)]
        share = min(1.0, settings.num_epochs - epoch)
        kept = windows[: max(1, round(share * len(windows)))]
        result += [_PlannedStep(epoch + (i + 1) / len(windows), i + 1 == len(windows), window) for i, window in enumerate(kept)]
    return result


def _accumulate(model: Any, micro_batches: Sequence[Sequence[data.Example]]) -> tuple[float, int]:
    """Adds up gradients of the mean loss over all answer tokens of the step; returns that loss and the tokens computed."""
    targets = sum(len(example.answer) for group in micro_batches for example in group)
    total, tokens = 0.0, 0
    for group in micro_batches:
        batch = data.collate(group).to(_device(model))
        loss = losses.answer_loss(model, batch) / targets
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
        tokens += batch.tokens
    return total, tokens


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise errors.Refused(
            f"The training loss became {loss} at step {step}.", hint="Lower --learning-rate, or look for odd rows in the training data."
        )


def _device(model: Any) -> torch.device:
    weight: torch.Tensor = next(iter(model.parameters()))
    return weight.device
