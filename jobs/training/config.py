"""LoRA profiles and training defaults, as the reference names them. Values only: nothing here loads or trains."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.core import errors

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_ALL_LINEAR = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraProfile:
    """Size of an adapter: rank, scaling (`alpha / rank`), dropout and the layers it is added to."""

    name: str
    rank: int
    alpha: int
    target_modules: tuple[str, ...]
    dropout: float = 0.0


LORA_PROFILES = {
    profile.name: profile
    for profile in (
        LoraProfile("minimal", 4, 8, ("q_proj", "v_proj")),
        LoraProfile("standard", 8, 16, _ATTENTION),
        LoraProfile("aggressive", 16, 32, _ALL_LINEAR),
        LoraProfile("high_capacity", 32, 64, _ALL_LINEAR, dropout=0.1),
    )
}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training run does; the same config and data give the same adapter on the same machine."""

    lora: LoraProfile = LORA_PROFILES["standard"]
    base_model: str = "mistralai/Mistral-7B-v0.1"
    num_epochs: float = 1.0
    learning_rate: float = 2e-4
    batch_size: int = 4
    gradient_accumulation_steps: int = 4
    max_seq_length: int = 1024
    quantization: str = "nf4"
    warmup_ratio: float = 0.05
    scheduler: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 7

    def parameters(self) -> dict[str, object]:
        """The settings as MLflow parameters."""
        return {
            "lora_config": self.lora.name,
            "lora_rank": self.lora.rank,
            "lora_alpha": self.lora.alpha,
            "lora_dropout": self.lora.dropout,
            "target_modules": ",".join(self.lora.target_modules),
            "base_model": self.base_model,
            "num_epochs": self.num_epochs,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "max_seq_length": self.max_seq_length,
            "quantization": self.quantization,
            "warmup_ratio": self.warmup_ratio,
            "scheduler": self.scheduler,
            "weight_decay": self.weight_decay,
            "max_grad_norm": self.max_grad_norm,
            "seed": self.seed,
        }


def lora_profile(name: str) -> LoraProfile:
    """Raises InvalidInput when there is no such profile."""
    if name not in LORA_PROFILES:
        raise errors.InvalidInput(f"There is no LoRA config {name!r}.", hint=f"Use one of: {', '.join(LORA_PROFILES)}.")
    return LORA_PROFILES[name]
