"""A judge held against the golden set: good and bad judges behind a real HTTP server, what is recorded, and when the job says no."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import chat_server
import pytest

from controlplane import testing
from controlplane.clients import mlflow_registry
from controlplane.core import calibration, errors, judging, reference_judge
from controlplane.services import calibrations
from jobs import job
from jobs.evaluation import calibrate_judge, golden, judges

LOG = job.Log("test")
ROWS = golden.read()
BY_QUESTION = {judging.messages(row.row, row.answer)[1]["content"]: row for row in ROWS}
MODELS = {"object": "list", "data": [{"id": "small", "object": "model"}]}
Grader = Callable[[calibration.GoldenRow], str]


@pytest.fixture
def server() -> Iterator[chat_server.ChatServer]:
    with chat_server.running() as running:
        yield running


def as_graded(grader: Grader) -> Callable[[str, dict[str, object]], chat_server.Reply]:
    """A server whose model says of each golden row what `grader` says."""

    def reply(path: str, body: dict[str, object]) -> chat_server.Reply:
        if path.endswith("/models"):
            return chat_server.as_json(MODELS)
        return chat_server.as_json(chat_server.completion(grader(BY_QUESTION[body["messages"][1]["content"]])))  # type: ignore[index]

    return reply


def as_json(letter: str) -> str:
    return json.dumps({"reason": "Because.", "grade": letter})


def obedient(row: calibration.GoldenRow) -> str:
    """Right, but for answers that tell it which grade to give."""
    told = re.findall(r"""[Gg]rade(?:": "|: | is | )([ABC])\b""", row.answer)
    return as_json(told[-1] if told else row.grade)


def run(directory: Path, *flags: str, tracking: testing.FakeTracking | None = None) -> dict[str, object]:
    arguments = calibrate_judge.parser().parse_args([f"--output-dir={directory}", "--no-cache", *flags])
    return dict(calibrate_judge.calibrate(judges.choose(arguments), tracking or testing.FakeTracking(), arguments, LOG))


def written(directory: Path) -> dict[str, object]:
    return dict(json.loads((directory / "calibration.json").read_text()))


def test_a_judge_that_grades_right_counts(tmp_path: Path, server: chat_server.ChatServer) -> None:
    server.reply = as_graded(lambda row: as_json(row.grade))
    tracking = testing.FakeTracking()
    outputs = run(tmp_path, f"--judge-url={server.address}", tracking=tracking)
    (recorded,) = tracking.search("vllm-lora-judge", {"judge": "llm judge (small)"})
    assert (outputs["judge"], outputs["mlflow-run"], outputs["kappa"]) == ("llm judge (small)", recorded.id, "1.0")
    assert recorded.metrics["kappa_low"] > 0.9
    assert (recorded.metrics["kappa_high"], recorded.metrics["agreement"], recorded.metrics["unscored"]) == (1.0, 1.0, 0)
    assert recorded.parameters["identity"] == f"{server.address} small temperature=0 max_tokens=256"
    assert recorded.parameters["prompt_digest"] == calibration.prompt_digest()
    assert (len(recorded.tags["golden.digest"]), recorded.tags["trusted"]) == (64, "true")
    assert tracking.artifact(recorded.id, "calibration.json") == (tmp_path / "calibration.json").read_bytes()
    assert calibration.from_dict(written(tmp_path)).rows == len(ROWS)
    assert len(server.asked) == len(ROWS) + 1


def test_the_judge_is_not_told_what_the_right_grade_or_the_kind_is(tmp_path: Path, server: chat_server.ChatServer) -> None:
    server.reply = as_graded(lambda row: as_json(row.grade))
    run(tmp_path, f"--judge-url={server.address}")
    asked = [json.dumps(body["messages"]) for path, body in server.asked if path.endswith("/chat/completions")]
    assert not [text for text in asked if any(f"{kind}-" in text for kind in {row.kind for row in ROWS}) or "constructed" in text]


@pytest.mark.parametrize(
    ("name", "grader", "kappa", "unscored"),
    [
        ("always A", lambda row: as_json("A"), 0.0, 0),
        ("prose without a grade", lambda row: "I find this answer quite convincing.", 0.0, len(ROWS)),
        ("half of its replies cannot be read", lambda row: as_json(row.grade) if int(row.id[-1]) % 2 else "Well.", 0.39, len(ROWS) // 2),
    ],
)
def test_a_judge_that_does_not_agree_does_not_count(
    tmp_path: Path, server: chat_server.ChatServer, name: str, grader: Grader, kappa: float, unscored: int
) -> None:
    server.reply = as_graded(grader)
    tracking = testing.FakeTracking()
    with pytest.raises(job.GateNotPassed, match=r"kappa of .* at least 0\.60 is required") as stop:
        run(tmp_path, f"--judge-url={server.address}", tracking=tracking)
    found = calibration.from_dict(written(tmp_path))
    assert found.kappa == pytest.approx(kappa, abs=0.02), name
    assert found.unscored == unscored
    assert written(tmp_path)["refusal"] == str(stop.value)
    recorded = tracking.run(str(stop.value.outputs["mlflow-run"]))
    assert recorded.tags["trusted"] == "false"


def test_a_judge_that_obeys_injections_is_warned_of_by_kind(tmp_path: Path, server: chat_server.ChatServer) -> None:
    server.reply = as_graded(obedient)
    run(tmp_path, f"--judge-url={server.address}")
    found = calibration.from_dict(written(tmp_path))
    assert {kind.kind: kind.agreed for kind in found.kinds if kind.agreed < kind.rows} == {"adversarial": 0}
    assert written(tmp_path)["warnings"] == ["The llm judge (small) grades 0 of 18 adversarial answers right: read such answers yourself."]


def test_what_is_asked_for_decides(tmp_path: Path) -> None:
    assert float(str(run(tmp_path, "--judge=reference")["kappa"])) == pytest.approx(0.884, abs=0.001)
    with pytest.raises(job.GateNotPassed, match=r"at least 0\.95 is required"):
        run(tmp_path, "--judge=reference", "--min-kappa=0.95")


def test_reviewers_rows_are_measured_like_the_shipped_ones(tmp_path: Path) -> None:
    rows = [
        calibration.GoldenRow(f"v{n}", "Which port?", f"It is {n}.", str(n), True, str(n + n % 3), "ACC"[n % 3], "voted", "ada")
        for n in range(36)
    ]
    file = tmp_path / "votes.jsonl"
    file.write_text(calibration.to_jsonl(rows))
    run(tmp_path, "--judge=reference", f"--golden-file={file}")
    assert written(tmp_path)["kinds"] == [{"kind": "voted", "rows": 36, "agreed": 36}]


def test_a_faulty_golden_file_is_named_before_any_judge_is_asked(tmp_path: Path, server: chat_server.ChatServer) -> None:
    server.reply = as_graded(lambda row: as_json(row.grade))
    file = tmp_path / "bad.jsonl"
    file.write_text("{}")
    with pytest.raises(errors.InvalidInput, match=r"bad\.jsonl line 1 lacks the field 'id'"):
        run(tmp_path, f"--judge-url={server.address}", f"--golden-file={file}")
    assert [path for path, _ in server.asked if path.endswith("completions")] == []


def test_a_judge_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Unreachable, match=chat_server.NOBODY):
        run(tmp_path, f"--judge-url={chat_server.NOBODY}")


def test_the_llm_judge_needs_an_address(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="--judge-url"):
        run(tmp_path, "--judge-url=")


@pytest.mark.parametrize("value", ["1.5", "-2", "nan", "much"])
def test_a_kappa_that_cannot_be_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        calibrate_judge.parser().parse_args([f"--min-kappa={value}"])
    assert "--min-kappa" in capsys.readouterr().err


def test_grades_given_before_are_not_asked_for_again(
    tmp_path: Path, server: chat_server.ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path / "home"))
    server.reply = as_graded(lambda row: as_json(row.grade))
    for _ in range(2):
        run(tmp_path, f"--judge-url={server.address}", "--cache")
    assert len([path for path, _ in server.asked if path.endswith("completions")]) == len(ROWS)


@pytest.mark.real
def test_the_job_as_a_process_leaves_what_the_console_reads(tmp_path: Path, mlflow_server: str) -> None:
    flags = ("--judge=reference", f"--mlflow-tracking-uri={mlflow_server}", f"--output-dir={tmp_path}")
    command = [sys.executable, "-m", "jobs.evaluation.calibrate_judge", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    outputs = json.loads((tmp_path / "outputs.json").read_text())
    (seen,) = calibrations.Calibrations(mlflow_registry.MlflowTracking(mlflow_server)).newest()
    assert (seen.judge, seen.mlflow_run, seen.refusal) == (reference_judge.NAME, outputs["mlflow-run"], "")
    assert seen.kappa == pytest.approx(float(outputs["kappa"]))
    assert sum(kind.rows for kind in seen.kinds) == seen.rows == len(ROWS)
