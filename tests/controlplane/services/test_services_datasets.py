"""Datasets: a bad file is refused whole with file, line and field; what was written is never replaced."""

from __future__ import annotations

import json

import pytest

from controlplane.core import datasets as rules
from controlplane.core import errors
from controlplane.services import datasets

ROW = {"id": "r1", "question": "Which port?", "context": "It is 22.", "answer": "22", "answerable": True}
GOOD = (json.dumps(ROW) + "\n" + json.dumps({**ROW, "id": "r2", "answer": "Not in the context.", "answerable": False}) + "\n").encode()


def upload(world, content=GOOD, name="ops-qa", version=1, split="eval", file_name="eval.jsonl"):
    return world.plane.datasets.upload(name, version, split, file_name, content)


def test_an_upload_is_listed_and_previewed(world):
    dataset = upload(world)
    assert dataset.id == "ops-qa-v1"
    (split,) = dataset.splits
    assert (split.name, split.rows, split.answerable) == ("eval", 2, 1)
    assert split.digest == rules.digest(world.objects.contents["ops-qa/v1/eval.jsonl"].decode())
    preview = world.plane.datasets.preview("ops-qa-v1", "eval", 1)
    assert (preview.total, [row.id for row in preview.rows]) == (2, ["r1"])
    assert world.plane.datasets.all() == [dataset]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"\n\n", "no rows"),
        (b"{not json}\n", "eval.jsonl line 1"),
        (GOOD + b"[1, 2]\n", "eval.jsonl line 3"),
        (GOOD + json.dumps({key: value for key, value in ROW.items() if key != "answer"}).encode(), "'answer'"),
        (json.dumps({**ROW, "answerable": "yes"}).encode(), "'answerable'"),
        (GOOD + json.dumps(ROW).encode(), "'r1' was used in line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_bad_file_is_refused_whole(world, content, said):
    with pytest.raises(errors.InvalidInput, match=said):
        upload(world, content)
    assert world.objects.contents == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "../etc"}, "model name"),
        ({"name": ""}, "model name"),
        ({"version": 0}, "Version 0"),
        ({"split": "test"}, "test"),
        ({"content": b"x" * (datasets.MAX_UPLOAD_BYTES + 1)}, "bytes"),
    ],
)
def test_a_bad_place_is_refused(world, changed, said):
    with pytest.raises(errors.InvalidInput, match=said):
        upload(world, **changed)
    assert world.objects.contents == {}


def test_a_split_that_exists_is_never_replaced(world):
    upload(world)
    before = dict(world.objects.contents)
    with pytest.raises(errors.Conflict, match="new version"):
        upload(world)
    assert world.objects.contents == before


def test_use_is_known_from_the_versions_trained_on_it(world):
    upload(world)
    world.add_version(**{"dataset": "ops-qa", "data-version": "1"})
    assert world.plane.datasets.get("ops-qa-v1").used_by == ("ops-qa v1",)
    world.registry.fault = errors.Unreachable("MLflow", "http://mlflow.test", "down")
    assert world.plane.datasets.get("ops-qa-v1").used_by == ()


@pytest.mark.parametrize("dataset_id", ["ops-qa-v2", "ops-qa", "x", "-v1", "../../etc-v1"])
def test_an_unknown_dataset_is_not_found(world, dataset_id):
    upload(world)
    with pytest.raises(errors.NotFound):
        world.plane.datasets.get(dataset_id)
    with pytest.raises((errors.NotFound, errors.InvalidInput)):
        world.plane.datasets.preview(dataset_id, "eval", 5)


def test_files_that_are_no_dataset_are_passed_over(world):
    upload(world)
    for key in ("README.md", "ops-qa/v1/notes.txt", "ops-qa/vx/eval.jsonl", "ops-qa/v1/deep/eval.jsonl"):
        world.objects.write(key, b"x")
    assert [dataset.id for dataset in world.plane.datasets.all()] == ["ops-qa-v1"]


def test_one_damaged_file_in_the_store_does_not_hide_the_other_datasets(world):
    upload(world)
    world.objects.write("broken/v1/eval.jsonl", b"{not json")
    assert "ops-qa-v1" in [dataset.id for dataset in world.plane.datasets.all()]
