"""`gatewright judge calibrate` with a job that is scripted: how it is started, what is printed, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click.testing
import pytest
import typer.testing
from rich.progress import Progress

from controlplane import cli, job_process
from controlplane.cli import judge
from controlplane.core import calibration, judging

ROWS = [
    calibration.GoldenRow(
        f"{kind}-{n:02d}", "Which port?", "ssh listens on 22.", "22", True, "22" if letter == "A" else "80", letter, kind, "ada"
    )
    for kind, letter in (("exact", "A"), ("wrong-fact", "C"))
    for n in range(20)
]


@dataclass
class Job:
    """Plays the job: the judge grades all right but the first `wrong` rows of each kind; `ended` is how the job ends instead of well."""

    wrong: int = 0
    ended: job_process.Ended | None = None
    is_measured: bool = True
    interrupt: bool = False
    arguments: tuple[str, ...] = ()

    def __call__(self, arguments: tuple[str, ...], output_dir: Path, progress: Progress) -> job_process.Ended:
        self.arguments = arguments
        if self.interrupt:
            raise KeyboardInterrupt
        given = {row.id: judging.Grade("B" if n % 20 < self.wrong else row.grade, "Hm [really]?") for n, row in enumerate(ROWS)}
        found = calibration.measure("llm judge (small)", ROWS, given)
        refusal = calibration.trust(found)
        value = {**calibration.to_dict(found), "min_kappa": 0.6, "refusal": refusal, "warnings": calibration.warnings(found)}
        if self.is_measured:
            (output_dir / "calibration.json").write_text(json.dumps(value))
        return self.ended or job_process.Ended(1 if refusal else 0, {"mlflow-run": "r1"}, refusal)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Job:
    played = Job()
    monkeypatch.setattr(judge, "run_job", played)
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.test:5000")
    for name in ("GATEWRIGHT_JUDGE_URL", "GATEWRIGHT_PROFILE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return played


def gatewright(*arguments: str) -> click.testing.Result:
    return typer.testing.CliRunner().invoke(cli.app, ["judge", "calibrate", *arguments], catch_exceptions=False)


def test_a_trusted_judge_is_shown_in_plain_text(job: Job) -> None:
    job.wrong = 2
    result = gatewright()
    assert result.exit_code == 0
    for words in (
        "llm judge (small)\n",
        "Cohen's kappa 0.82 (95% interval 0.66 to 0.97); at least 0.60 is required.",
        "It agrees with 36 of 40 trusted grades (90.0%); 0 replies held no grade.",
        "Disagreements (4 of 4)",
        "Hm [really]?",
    ):
        assert words in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if line.startswith(("A ", "C "))] == [
        ["A", "18", "2", "0", "0"],
        ["C", "0", "2", "18", "0"],
    ]
    assert ["exact", "18", "of", "20"] in [line.split() for line in result.stdout.splitlines()]
    assert result.stderr == ""
    assert "\x1b" not in result.stdout


def test_a_judge_below_the_required_kappa_exits_1_with_the_reason(job: Job) -> None:
    job.wrong = 11
    result = gatewright()
    assert result.exit_code == 1
    assert "at least 0.60 is required." in result.stderr
    assert "! The llm judge (small) grades 9 of 20 exact answers right" in result.stdout
    assert "Disagreements (5 of 22)" in result.stdout


def test_json_is_the_api_s_body_and_nothing_else(job: Job) -> None:
    body = json.loads(gatewright("--json").stdout)
    assert (body["judge"], body["kappa"], body["refusal"], body["disagreements"]) == ("llm judge (small)", 1.0, "", [])
    assert body["interval"]["level"] == 0.95


@pytest.mark.parametrize(
    ("name", "environment", "flags", "expected"),
    [
        ("no judge known", {}, [], ["--judge=reference", "--judge-url="]),
        ("an address known", {"GATEWRIGHT_JUDGE_URL": "http://j"}, [], ["--judge=llm", "--judge-url=http://j"]),
        ("said so", {"GATEWRIGHT_JUDGE_URL": "http://j"}, ["--judge=reference"], ["--judge=reference", "--judge-url=http://j"]),
        (
            "everything",
            {},
            ["--judge-url=http://k", "--judge-model=m", "--min-kappa=0.8"],
            ["--judge=llm", "--judge-url=http://k", "--judge-model=m", "--min-kappa=0.8"],
        ),
    ],
)
def test_the_job_s_arguments(
    job: Job, monkeypatch: pytest.MonkeyPatch, name: str, environment: dict[str, str], flags: Sequence[str], expected: list[str]
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert gatewright(*flags).exit_code == 0
    assert list(job.arguments) == [*expected, "--mlflow-tracking-uri=http://mlflow.test:5000"], name


def test_a_golden_file_is_handed_on_by_its_whole_path(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    gatewright("--golden-file=mine.jsonl")
    assert f"--golden-file={tmp_path / 'mine.jsonl'}" in job.arguments


def test_what_could_not_be_recorded_is_shown_all_the_same(job: Job) -> None:
    job.ended = job_process.Ended(3, {"reason": "MLflow did not answer."}, "MLflow did not answer.")
    result = gatewright()
    assert result.exit_code == 1
    assert "It was not recorded: MLflow did not answer." in result.stderr
    assert "Cohen's kappa 1.00" in result.stdout


@pytest.mark.parametrize(("code", "exit_code"), [(1, 1), (2, 2), (3, 1), (-9, 1)])
def test_a_job_that_measured_nothing_tells_its_reason(job: Job, code: int, exit_code: int) -> None:
    job.is_measured, job.ended = False, job_process.Ended(code, {}, "g.jsonl line 3: field 'grade' is 'D'.")
    result = gatewright()
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert "g.jsonl line 3: field 'grade' is 'D'." in result.stderr


def test_wrong_usage_starts_nothing(job: Job) -> None:
    assert gatewright("--judge=oracle").exit_code == 2
    assert gatewright("--min-kappa=2").exit_code == 2
    assert job.arguments == ()


def test_an_interrupt_says_what_is_kept(job: Job) -> None:
    job.interrupt = True
    result = gatewright()
    assert result.exit_code == 130
    assert "the same command goes on from there" in result.stderr
