"""The training loop on a tiny model: it learns, repeats itself exactly, stops at once on a broken loss."""

from __future__ import annotations

import dataclasses
import math

import pytest
import tiny_model
import torch

from controlplane.core import errors
from jobs.training import config, data, trainer

SETTINGS = config.TrainingConfig(num_epochs=4, learning_rate=5e-3, batch_size=4, gradient_accumulation_steps=1)


def train(settings: config.TrainingConfig = SETTINGS, model=None) -> tuple[trainer.Result, list[trainer.Step], list[tuple[int, float]]]:
    groups, _ = data.encode(tiny_model.rows(24), tiny_model.Letters(), 512)
    steps: list[trainer.Step] = []
    epochs: list[tuple[int, float]] = []
    chosen = model or tiny_model.model()
    result = trainer.train(chosen, groups, groups, settings, steps.append, lambda step, loss: epochs.append((step, loss)))
    return result, steps, epochs


def test_the_loss_falls_and_every_epoch_is_evaluated() -> None:
    result, steps, epochs = train()
    assert result.eval_loss < 0.5 * steps[0].loss
    assert [step for step, _ in epochs] == [6, 12, 18, 24]
    assert epochs[-1][1] == result.eval_loss
    assert [step.number for step in steps] == list(range(1, 25))
    assert result.perplexity == pytest.approx(math.exp(result.eval_loss))


def test_the_same_seed_gives_the_same_weights() -> None:
    torch.manual_seed(0)
    assert [step.loss for step in train()[1]] == [step.loss for step in train()[1]]


def test_accumulated_steps_equal_one_large_batch() -> None:
    small = dataclasses.replace(SETTINGS, batch_size=4, gradient_accumulation_steps=6)
    large = dataclasses.replace(SETTINGS, batch_size=24, gradient_accumulation_steps=1)
    assert train(small)[0].eval_loss == pytest.approx(train(large)[0].eval_loss, rel=1e-3)


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 3), (1, 6), (1.5, 9), (0.01, 1)])
def test_a_fraction_of_an_epoch_is_cut_short(epochs: float, steps: int) -> None:
    result, _, evaluations = train(dataclasses.replace(SETTINGS, num_epochs=epochs))
    assert result.steps == steps
    assert evaluations[-1][0] == steps


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    model = tiny_model.model()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(math.nan)
    with pytest.raises(errors.Refused, match=r"nan at step 1.*--learning-rate"):
        train(model=model)


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 1.0), (math.log(2), 2.0), (1e6, 1e9), (math.inf, 1e9)])
def test_perplexity_does_not_overflow(loss: float, expected: float) -> None:
    assert trainer.perplexity(loss) == pytest.approx(expected)


def test_perplexity_of_an_unknown_loss_is_unknown() -> None:
    assert math.isnan(trainer.perplexity(math.nan))


@pytest.mark.parametrize(
    ("scheduler", "number", "factor"),
    [("cosine", 1, 0.2), ("cosine", 5, 1.0), ("cosine", 100, 0.0003), ("linear", 5, 1.0), ("linear", 53, 0.5), ("linear", 100, 0.0104)],
)
def test_the_rate_warms_up_and_decays(scheduler: str, number: int, factor: float) -> None:
    settings = config.TrainingConfig(scheduler=scheduler, warmup_ratio=0.05)
    assert trainer.rate_factor(number, 100, settings) == pytest.approx(factor, abs=2e-3)
