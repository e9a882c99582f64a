"""Fetches splits of a dataset version from the object store, checks every row and lays them into the output directory.

The version is given, or it is the one that the registered adapter behind `--source` was trained on. It never changes the store.

    python -m jobs.data.download --s3-data-bucket=s3://my-vllm-data --dataset=ops-qa --data-version=1 --splits=train,validation
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.clients import mlflow_registry, object_store
from controlplane.core import datasets, errors
from jobs import job


@dataclass(frozen=True)
class Wanted:
    """Which data to fetch; `version` is the registered adapter it belongs to, or empty when the data version was given."""

    dataset: str
    data_version: int
    version: str = ""


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    splits = _splits(arguments.splits)
    wanted = _wanted(arguments)
    store = object_store.open(_address(arguments.s3_data_bucket))
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    outputs: dict[str, object] = {"data-version": wanted.data_version, "version": wanted.version, "dataset": wanted.dataset}
    row_count, texts, source = 0, [], ""
    for done, split in enumerate(splits, start=1):
        key = f"{wanted.dataset}/v{wanted.data_version}/{split}.jsonl"
        text = _text(store.read(key), store.address(key))
        rows = datasets.parse(text, store.address(key))
        job.write_atomically(arguments.output_dir / f"{split}.jsonl", datasets.to_jsonl(rows))
        row_count += len(rows)
        texts.append(text)
        source = store.address(key)
        log.progress(done, len(splits), f"{split}: {len(rows)} rows", source=store.address(key), digest=datasets.digest(text))
    return {**outputs, "rows": row_count, "source": source, "dataset-digest": datasets.digest("".join(texts))}


def _splits(text: str) -> list[str]:
    splits = [split.strip() for split in text.split(",") if split.strip()]
    unknown = [split for split in splits if split not in datasets.SPLITS]
    if unknown or not splits:
        raise errors.InvalidInput(f"--splits={text!r} is not known.", hint=f"Name one or more of: {', '.join(datasets.SPLITS)}.")
    return splits


def _wanted(arguments: argparse.Namespace) -> Wanted:
    if not arguments.source:
        if arguments.data_version is None:
            raise errors.InvalidInput("No data version was named.", hint="Give --data-version, or --source with --model-name.")
        return Wanted(arguments.dataset, arguments.data_version)
    if not arguments.model_name or not arguments.mlflow_tracking_uri:
        raise errors.InvalidInput("--source needs a model and a registry.", hint="Give --model-name and --mlflow-tracking-uri.")
    version = mlflow_registry.MlflowRegistry(arguments.mlflow_tracking_uri).resolve(arguments.model_name, arguments.source)
    number = version.tags.get("data-version", "")
    if not number.isdigit():
        raise errors.InvalidInput(
            f"Version {version.number} of {version.model} has no usable tag data-version.", hint="Give --data-version instead of --source."
        )
    return Wanted(version.tags.get("dataset") or arguments.dataset, int(number), str(version.number))


def _address(place: str) -> str:
    """A plain path is a `file://` address."""
    return place if "://" in place else Path(place).absolute().as_uri()


def _text(content: bytes, address: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(f"{address} is not UTF-8 text at byte {error.start}.", hint="Save the file as UTF-8.") from None


def parser() -> argparse.ArgumentParser:
    result = job.parser("Fetch and check splits of a dataset version.")
    result.add_argument("--s3-data-bucket", required=True, help="where the datasets lie: s3://bucket/prefix, file:///path or a path")
    result.add_argument("--dataset", default="ops-qa", help="name of the dataset")
    result.add_argument("--data-version", type=int, help="version of the dataset")
    result.add_argument("--source", default="", help="take the data version of this adapter: alias:<alias> or version:<number>")
    result.add_argument("--model-name", default="", help="registered model that --source belongs to")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server that --source is looked up in")
    result.add_argument("--splits", default="train,validation,eval", help="splits to fetch, separated by commas")
    return result


if __name__ == "__main__":
    job.run("download-data", main, parser().parse_args())
