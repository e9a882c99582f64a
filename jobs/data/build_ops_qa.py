"""Writes the dataset `ops-qa` into a data directory: `<data-dir>/ops-qa/v1/{train,validation,eval}.jsonl`, v2 likewise, and a manifest.

Safe to repeat: the same rows give the same files, and each file is written whole or not at all.

    python -m jobs.data.build_ops_qa --data-dir=DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from controlplane.core import datasets
from jobs import job
from jobs.data import ops_qa


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    manifest = build(arguments.data_dir)
    for version, splits in manifest.items():
        log.info(f"{ops_qa.NAME} {version} is ready", **{split: facts["rows"] for split, facts in splits.items()})
    return {"dataset": ops_qa.NAME, "versions": ",".join(manifest)}


def build(data_dir: Path) -> dict[str, dict[str, dict[str, object]]]:
    """Writes every version and the manifest, which it returns: version, split, then digest and counts of rows and unanswerable rows."""
    root = data_dir / ops_qa.NAME
    manifest = {f"v{version}": _write_version(root / f"v{version}", ops_qa.build(version)) for version in ops_qa.VERSIONS}
    job.write_atomically(root / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    return manifest


def _write_version(directory: Path, splits: Mapping[str, list[datasets.Row]]) -> dict[str, dict[str, object]]:
    directory.mkdir(parents=True, exist_ok=True)
    result: dict[str, dict[str, object]] = {}
    for split, rows in splits.items():
        text = datasets.to_jsonl(rows)
        job.write_atomically(directory / f"{split}.jsonl", text)
        unanswerable = sum(not row.answerable for row in rows)
        result[split] = {"digest": datasets.digest(text), "rows": len(rows), "unanswerable": unanswerable}
    return result


if __name__ == "__main__":
    parser = job.parser("Write the dataset ops-qa.")
    parser.add_argument("--data-dir", type=Path, required=True, help="directory that holds the datasets")
    job.run("build-ops-qa", main, parser.parse_args())
