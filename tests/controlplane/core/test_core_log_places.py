"""Places in a run's log: what was written can be read back, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.core import errors, log_places, runs, workflows
from controlplane.core.log_places import Place


def run_of(workflow="evaluation", **attempts):
    run = runs.new(runs.RunId("r-1"), workflows.get(workflow), {}, datetime(2026, 1, 1, tzinfo=UTC), "ada", "cli")
    for name, attempt in attempts.items():
        run = runs.apply(run, runs.Start(name.replace("_", "-"), attempt), run.created_at, "handle")
    return run


@pytest.mark.parametrize(
    ("step", "places", "text"),
    [
        ("download-eval-data", {"download-eval-data": Place(1, 4)}, "download-eval-data:4"),
        ("download-eval-data", {"download-eval-data": Place(2, 4)}, "download-eval-data@2:4"),
        # what ran before needs no mention: it had ended
        (
            "compare-decision",
            {"download-eval-data": Place(1, 4), "inference-live": Place(1, 9), "compare-decision": Place(1, 1)},
            "compare-decision:1",
        ),
        (
            "judge-answers",
            {"download-eval-data": Place(1, 4), "inference-live": Place(1, 9), "judge-answers": Place(1, 1)},
            "judge-answers:1,inference-live:9",
        ),
        ("inference-live", {"inference-candidate": Place(3, 7), "inference-live": Place(1, 9)}, "inference-live:9,inference-candidate@3:7"),
    ],
)
def test_written_and_read_back(step, places, text):
    run = run_of()
    assert log_places.write(run.step(step), places, run) == text
    read = log_places.parse(text, run)
    assert all(places[name] == place for name, place in read.items())


@pytest.mark.parametrize(
    ("text", "step", "seen"),
    [
        ("", "download-eval-data", 0),
        ("inference-live:9", "inference-live", 9),
        ("inference-live:9", "download-eval-data", None),
        ("inference-live:9", "inference-candidate", 0),
        ("inference-live:9", "judge-answers", 0),
        ("inference-live:9,inference-candidate:7", "inference-candidate", 7),
        ("judge-answers:1", "inference-live", 0),
        ("compare-decision:1", "inference-live", None),
    ],
)
def test_how_far_a_reader_is_in_each_step(text, step, seen):
    run = run_of()
    assert log_places.seen(run.step(step), log_places.parse(text, run), run) == seen


def test_a_new_attempt_starts_over():
    run = run_of(inference_live=2)
    places = log_places.parse("inference-live:40", run)
    assert log_places.seen(run.step("inference-live"), places, run) == 0


@pytest.mark.parametrize("text", ["x", "train:1", "inference-live", "inference-live:", "inference-live:1,", ",", "inference-live:１", " "])
def test_anything_else_is_refused(text):
    with pytest.raises(errors.InvalidInput, match="no place"):
        log_places.parse(text, run_of())
