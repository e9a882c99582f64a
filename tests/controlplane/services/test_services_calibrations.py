"""What was measured of each judge comes back as it was recorded: through the service, the API and the typed client."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from controlplane.core import calibration, errors, judging
from controlplane.services import calibrations

ROW = calibration.GoldenRow("padded-01", "Which port?", "ssh listens on 22.", "22", True, "Surely 22.", "A", "padded", "constructed")


@pytest.fixture
def record(world, tmp_path):
    """Records a calibration of a judge that gave this letter to one golden row."""

    def made(judge, letter, **extra):
        found = calibration.measure(judge, [ROW], {ROW.id: judging.Grade(letter, "Because.")})
        value = {**calibration.to_dict(found), "min_kappa": 0.6, "refusal": calibration.trust(found), "golden_digest": "d" * 64, **extra}
        file = tmp_path / "calibration.json"
        file.write_text(json.dumps(value))
        return world.tracking.log(calibrations.EXPERIMENT, "x", parameters={}, metrics={}, tags={"judge": judge}, files=[file])

    return made


def test_nothing_measured_is_an_empty_list(world):
    assert world.plane.calibrations.newest() == []


def test_each_judge_s_newest_comes_first_and_once(world, record):
    record("llm judge (a)", "C")
    record("reference judge", "A")
    newest = record("llm judge (a)", "A")
    found = world.plane.calibrations.newest()
    assert found[0].mlflow_run == newest
    assert [one.judge for one in found] == ["llm judge (a)", "reference judge"]
    assert (found[0].agreement, found[0].disagreements) == (1.0, ())
    assert found[0].at == world.tracking.run(newest).started_at


def test_a_disagreement_carries_the_whole_row(world, record):
    record("llm judge (a)", "C", invented_later=1)
    (found,) = world.plane.calibrations.newest()
    (one,) = found.disagreements
    assert (one.id, one.kind, one.source, one.question, one.context) == ("padded-01", "padded", "constructed", ROW.question, ROW.context)
    assert (one.reference, one.answer, one.grade, one.given, one.reason) == ("22", "Surely 22.", "A", "C", "Because.")
    assert found.confusion["A"] == {"A": 0, "B": 0, "C": 1, "unscored": 0}
    assert [(kind.kind, kind.rows, kind.agreed) for kind in found.kinds] == [("padded", 1, 0)]
    assert "only; at least 30 are needed" in found.refusal


def test_a_run_that_was_cut_off_is_passed_over(world, record):
    whole, cut = record("llm judge (a)", "A"), record("llm judge (a)", "C")
    world.tracking.runs[cut] = replace(world.tracking.runs[cut], status="RUNNING")
    assert [one.mlflow_run for one in world.plane.calibrations.newest()] == [whole]


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"judge": "x", "kinds": [], "disagreements": [{}]}'])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(world, record, content):
    run = record("llm judge (a)", "A")
    world.tracking.files[run, "calibration.json"] = content
    with pytest.raises(errors.OutsideError, match=f"run {run}.*judge calibrate"):
        world.plane.calibrations.newest()
