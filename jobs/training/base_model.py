"""The frozen base model with fresh adapter layers on it, and the adapter's files. It trains nothing.

4-bit NF4 follows QLoRA (Dettmers et al. 2023, arXiv:2305.14314); the adapter files are those that vLLM reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from controlplane.core import errors
from jobs.training import config


@dataclass(frozen=True)
class Loaded:
    """`wrapped` is peft's model, which saves the adapter; `model` the causal model inside it, which is trained."""

    tokenizer: Any
    wrapped: Any
    model: Any


def load(settings: config.TrainingConfig) -> Loaded:
    """Raises NotFound for a local directory that is not there, OutsideError when the model cannot be read."""
    import peft
    import transformers

    _require_source(settings.base_model)
    torch.manual_seed(settings.seed)
    has_gpu = torch.cuda.is_available()
    # Without bfloat16 units in the processor float32 is four times as fast.
    compute_type = torch.bfloat16 if has_gpu else torch.float32
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(settings.base_model)
        base = transformers.AutoModelForCausalLM.from_pretrained(
            settings.base_model,
            dtype=compute_type,
            device_map={"": 0} if has_gpu else None,
            quantization_config=_quantization(compute_type) if settings.quantization == "nf4" else None,
        )
    except (OSError, ValueError) as error:
        raise errors.OutsideError(
            "Base model", settings.base_model, str(error).partition("\n")[0][:300], hint="Check --base-model and its files."
        ) from error
    wrapped = peft.get_peft_model(base, _lora(settings))
    if has_gpu:
        # Saves the memory a 7B model needs at 1,024 tokens; a small model on a CPU only loses time by it.
        base.gradient_checkpointing_enable()
        base.enable_input_require_grads()
    model = wrapped.get_base_model()
    model.train()
    return Loaded(tokenizer, wrapped, model)


def save_adapter(loaded: Loaded, directory: Path, base_model: str) -> None:
    """Writes the adapter's two files, the same bytes for the same weights on every machine."""
    # A machine's path would change the adapter's digest and mean nothing elsewhere.
    name = Path(base_model).name if Path(base_model).is_dir() else base_model
    loaded.wrapped.peft_config["default"].base_model_name_or_path = name
    loaded.wrapped.save_pretrained(directory, safe_serialization=True)
    path = directory / "adapter_config.json"
    saved = json.loads(path.read_text())
    saved["target_modules"] = sorted(saved["target_modules"])
    path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
    (directory / "README.md").unlink(missing_ok=True)


def _require_source(base_model: str) -> None:
    if base_model.startswith(("/", ".", "~")) and not (Path(base_model) / "config.json").is_file():
        raise errors.NotFound(
            f"There is no base model in {base_model}.", hint="Prepare it: python -m jobs.data.prepare_base_model --model-dir=DIR."
        )


def _quantization(compute_type: torch.dtype) -> Any:
    import transformers

    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute_type
    )


def _lora(settings: config.TrainingConfig) -> Any:
    import peft

    profile = settings.lora
    return peft.LoraConfig(
        r=profile.rank,
        lora_alpha=profile.alpha,
        lora_dropout=profile.dropout,
        target_modules=list(profile.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
