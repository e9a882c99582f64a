"""Trains a LoRA adapter on question-answering rows and logs it to MLflow. It registers nothing: that is the quality gate's word.

python -m jobs.training.train_lora --train-file=train.jsonl --val-file=validation.jsonl --lora-config=standard --log-adapter-to-mlflow
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path

from controlplane.core import datasets, errors
from jobs import job
from jobs.training import base_model, config, data, mlflow_callback, trainer

_PROGRESS_SECONDS = 1.0


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    settings = settings_of(arguments)
    train_text, validation_text = _text(arguments.train_file), _text(arguments.val_file)
    train_rows = datasets.parse(train_text, str(arguments.train_file))
    validation_rows = datasets.parse(validation_text, str(arguments.val_file))
    tags = {
        "data.version": str(arguments.data_version),
        "dataset": arguments.dataset,
        "dataset.digest": datasets.digest(train_text),
        "validation.digest": datasets.digest(validation_text),
        "model.name": arguments.model_name,
    }
    run_name = f"{arguments.model_name}-{settings.lora.name}-v{arguments.data_version}"
    parameters = {**settings.parameters(), "train_rows": len(train_rows), "validation_rows": len(validation_rows)}
    uri, experiment = arguments.mlflow_tracking_uri, arguments.mlflow_experiment
    with mlflow_callback.RunLog(uri, experiment, run_name, parameters, tags, log.warning) as tracked:
        log.info("loading the base model", base_model=settings.base_model, quantization=settings.quantization, run_id=tracked.run_id)
        loaded = base_model.load(settings)
        train_data = _encoded(train_rows, loaded, settings, "train", log)
        validation_data = _encoded(validation_rows, loaded, settings, "validation", log)
        watch = _Watch(log, tracked)
        result = trainer.train(loaded.model, train_data, validation_data, settings, watch.step, watch.epoch)
        # Onto the disk before MLflow is waited for.
        adapter_dir = arguments.output_dir / mlflow_callback.ADAPTER_FOLDER
        adapter_dir.mkdir(parents=True, exist_ok=True)
        base_model.save_adapter(loaded, adapter_dir, settings.base_model)
        tracked.final(result)
        if arguments.log_adapter_to_mlflow:
            tracked.adapter(adapter_dir)
        log.metric(
            "trained", eval_loss=result.eval_loss, perplexity=result.perplexity, steps=result.steps, seconds=round(result.seconds, 1)
        )
        return {"run-id": tracked.run_id, "final-eval-loss": result.eval_loss, "final-perplexity": result.perplexity}


def settings_of(arguments: argparse.Namespace) -> config.TrainingConfig:
    """Raises InvalidInput for an unknown profile or a value out of range."""
    settings = config.TrainingConfig(
        lora=config.lora_profile(arguments.lora_config),
        base_model=arguments.base_model,
        num_epochs=arguments.num_epochs,
        learning_rate=arguments.learning_rate,
        batch_size=arguments.batch_size,
        gradient_accumulation_steps=arguments.gradient_accumulation_steps,
        max_seq_length=arguments.max_seq_length,
        quantization=arguments.quantization,
        scheduler=arguments.scheduler,
        seed=arguments.seed,
    )
    for name in ("num_epochs", "learning_rate", "batch_size", "gradient_accumulation_steps", "max_seq_length"):
        if not 0 < getattr(settings, name) < float("inf"):
            raise errors.InvalidInput(f"--{name.replace('_', '-')}={getattr(settings, name)} is out of range.", hint="It must be above 0.")
    return settings


class _Watch:
    """Passes what the loop reports on to the log and to MLflow."""

    def __init__(self, log: job.Log, tracked: mlflow_callback.RunLog) -> None:
        self._log = log
        self._tracked = tracked
        self._told_at = 0.0

    def step(self, step: trainer.Step) -> None:
        self._tracked.step(step)
        if time.monotonic() - self._told_at < _PROGRESS_SECONDS and step.number < step.total:
            return
        self._told_at = time.monotonic()
        self._log.progress(
            step.number,
            step.total,
            f"step {step.number} of {step.total}, loss {step.loss:.3f}",
            loss=round(step.loss, 4),
            epoch=round(step.epoch, 3),
            tokens_per_second=round(step.tokens_per_second),
            seconds_left=round(step.seconds_left),
        )

    def epoch(self, step: int, eval_loss: float) -> None:
        self._tracked.epoch(step, eval_loss)
        self._log.metric(
            "epoch done", optimizer_step=step, eval_loss=round(eval_loss, 4), perplexity=round(trainer.perplexity(eval_loss), 4)
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise errors.NotFound(f"There is no file {path}.", hint="Fetch the data with python -m jobs.data.download.") from None
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{path} is not UTF-8 text at byte {error.start}.", hint="Save the file as UTF-8.") from None


def _encoded(
    rows: list[datasets.Row], loaded: base_model.Loaded, settings: config.TrainingConfig, split: str, log: job.Log
) -> list[list[data.Example]]:
    groups, left_out = data.encode(rows, loaded.tokenizer, settings.max_seq_length)
    if left_out:
        log.warning(f"{left_out} {split} rows are longer than {settings.max_seq_length} tokens and left out")
    log.info(f"{split} data", rows=len(rows) - left_out, contexts=len(groups))
    return groups


def parser() -> argparse.ArgumentParser:
    default = config.TrainingConfig()
    result = job.parser("Train a LoRA adapter and log it to MLflow.")
    result.add_argument("--train-file", type=Path, required=True, help="training rows (JSONL)")
    result.add_argument("--val-file", type=Path, required=True, help="validation rows (JSONL)")
    result.add_argument("--data-version", type=int, default=1, help="version of the data, noted on the run")
    result.add_argument("--dataset", default="ops-qa", help="name of the dataset, noted on the run")
    result.add_argument("--lora-config", default=default.lora.name, help=f"adapter size: {', '.join(config.LORA_PROFILES)}")
    result.add_argument("--model-name", default="mistral-7b-lora", help="registered model the run is meant for")
    result.add_argument("--base-model", default=default.base_model, help="hub name or local directory")
    result.add_argument("--learning-rate", type=float, default=default.learning_rate, help="peak learning rate")
    result.add_argument("--num-epochs", type=float, default=default.num_epochs, help="passes over the training data")
    result.add_argument("--batch-size", type=int, default=default.batch_size, help="rows per device and step")
    result.add_argument(
        "--gradient-accumulation-steps", type=int, default=default.gradient_accumulation_steps, help="steps whose gradients are summed"
    )
    result.add_argument(
        "--max-seq-length", type=int, default=default.max_seq_length, help="longest row in tokens; longer ones are left out"
    )
    result.add_argument("--quantization", choices=("nf4", "none"), default=default.quantization, help="nf4: QLoRA; none: plain LoRA")
    result.add_argument("--scheduler", choices=("cosine", "linear"), default=default.scheduler, help="decay of the learning rate")
    result.add_argument("--seed", type=int, default=default.seed, help="seed of shuffling and initialization")
    result.add_argument("--log-adapter-to-mlflow", action="store_true", help="log the adapter as artifact adapter/")
    result.add_argument("--mlflow-tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="MLflow server")
    result.add_argument("--mlflow-experiment", default="vllm-lora-training", help="MLflow experiment")
    return result


if __name__ == "__main__":
    job.run("train", main, parser().parse_args())
