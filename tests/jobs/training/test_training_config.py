"""The profiles and defaults that others script against."""

from __future__ import annotations

import pytest

from controlplane.core import errors, workflows
from jobs.training import config

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


@pytest.mark.parametrize(
    ("name", "rank", "alpha", "modules", "dropout"),
    [
        ("minimal", 4, 8, ("q_proj", "v_proj"), 0.0),
        ("standard", 8, 16, ATTENTION, 0.0),
        ("aggressive", 16, 32, ALL, 0.0),
        ("high_capacity", 32, 64, ALL, 0.1),
    ],
)
def test_profiles(name: str, rank: int, alpha: int, modules: tuple[str, ...], dropout: float) -> None:
    assert config.lora_profile(name) == config.LoraProfile(name, rank, alpha, modules, dropout)


def test_the_workflow_offers_every_profile() -> None:
    assert set(workflows.LORA_CONFIGS) == set(config.LORA_PROFILES)


def test_defaults() -> None:
    default = config.TrainingConfig()
    assert default.base_model == "mistralai/Mistral-7B-v0.1"
    assert (default.num_epochs, default.learning_rate, default.batch_size) == (1.0, 2e-4, 4)
    assert (default.gradient_accumulation_steps, default.max_seq_length) == (4, 1024)
    assert (default.quantization, default.max_grad_norm, default.lora.name) == ("nf4", 1.0, "standard")


def test_every_setting_is_a_parameter_of_the_run() -> None:
    parameters = config.TrainingConfig().parameters()
    assert set(config.TrainingConfig.__dataclass_fields__) - {"lora"} <= set(parameters)
    assert {"lora_config", "lora_rank", "lora_alpha", "lora_dropout", "target_modules"} <= set(parameters)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(errors.InvalidInput, match="minimal, standard, aggressive, high_capacity"):
        config.lora_profile("extended")
