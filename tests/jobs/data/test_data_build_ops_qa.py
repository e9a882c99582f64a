"""Writing the dataset: whole, complete, and the same when repeated."""

from __future__ import annotations

import json
from pathlib import Path

from controlplane.core import datasets
from jobs.data import build_ops_qa


def test_writes_every_split_of_every_version_with_a_true_manifest(tmp_path: Path) -> None:
    manifest = build_ops_qa.build(tmp_path)
    assert json.loads((tmp_path / "ops-qa" / "manifest.json").read_text()) == manifest
    assert set(manifest) == {"v1", "v2"}
    for version, splits in manifest.items():
        assert set(splits) == set(datasets.SPLITS)
        for split, facts in splits.items():
            text = (tmp_path / "ops-qa" / version / f"{split}.jsonl").read_text()
            rows = datasets.parse(text, split)
            assert facts == {
                "digest": datasets.digest(text),
                "rows": len(rows),
                "unanswerable": sum(not row.answerable for row in rows),
            }


def test_repeating_mends_a_damaged_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    build_ops_qa.build(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "ops-qa" / "v1" / "eval.jsonl").write_text("cut off")
    build_ops_qa.build(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
