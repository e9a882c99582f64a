"""Fetching data: what is good arrives, what is bad is named with file, line and field, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane.core import errors
from jobs import job
from jobs.data import build_ops_qa, download

ROW = {"id": "1", "question": "Which port?", "context": "ssh uses port 22.", "answer": "22", "answerable": True}


def run(store: Path, output: Path, *more: str) -> dict[str, object]:
    arguments = download.parser().parse_args([f"--s3-data-bucket={store}", f"--output-dir={output}", *more])
    return dict(download.main(arguments, job.Log("download-data")))


def put(store: Path, text: str) -> None:
    (store / "ops-qa" / "v1").mkdir(parents=True)
    (store / "ops-qa" / "v1" / "eval.jsonl").write_text(text)


@pytest.mark.parametrize("address", ["{store}", "file://{store}"])
def test_fetches_the_named_splits(tmp_path: Path, address: str) -> None:
    store, output = tmp_path / "store", tmp_path / "out"
    build_ops_qa.build(store)
    arguments = [f"--s3-data-bucket={address.format(store=store)}", f"--output-dir={output}", "--data-version=2", "--splits=train,eval"]
    outputs = download.main(download.parser().parse_args(arguments), job.Log("download-data"))
    assert sorted(path.name for path in output.iterdir()) == ["eval.jsonl", "train.jsonl"]
    for split in ("train", "eval"):
        assert (output / f"{split}.jsonl").read_text() == (store / "ops-qa" / "v2" / f"{split}.jsonl").read_text()
    assert outputs["data-version"] == 2
    assert outputs["rows"] == sum(len((output / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "eval"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{json.dumps(ROW)}\n{{not json\n", "eval.jsonl line 2 is not JSON"),
        (json.dumps({**ROW, "answer": None}), "field 'answer' must be text"),
        (json.dumps({key: value for key, value in ROW.items() if key != "context"}), "line 1 lacks the field 'context'"),
        ("\n", "has no rows"),
    ],
    ids=["not json", "wrong kind", "missing field", "empty"],
)
def test_bad_rows_are_named_and_nothing_is_written(tmp_path: Path, text: str, said: str) -> None:
    put(tmp_path / "store", text)
    with pytest.raises(errors.InvalidInput, match=said):
        run(tmp_path / "store", tmp_path / "out", "--data-version=1", "--splits=eval")
    assert not list((tmp_path / "out").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--data-version=1", "--splits=test"), "train, validation, eval"),
        (("--splits=eval",), "Give --data-version"),
        (("--source=alias:staged",), "Give --model-name"),
    ],
)
def test_wrong_arguments_say_what_to_give(tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    with pytest.raises(errors.InvalidInput, match=said):
        run(tmp_path, tmp_path / "out", *more)


def test_a_version_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    build_ops_qa.build(tmp_path)
    with pytest.raises(errors.NotFound, match="v9"):
        run(tmp_path, tmp_path / "out", "--data-version=9", "--splits=eval")
