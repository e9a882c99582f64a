"""One job as a real process: its lines as they come, its outputs, its exit code and reason; an interrupt stops it."""

from __future__ import annotations

import json
from pathlib import Path

import chat_server
import psutil
import pytest

from controlplane import job_process, ports


def test_a_job_is_followed_to_its_end(tmp_path: Path) -> None:
    lines: list[ports.LogLine] = []
    ended = job_process.run("jobs.data.build_ops_qa", (f"--data-dir={tmp_path / 'data'}",), tmp_path, lines.append)
    assert (ended.exit_code, ended.reason, ended.outputs) == (0, "", {"dataset": "ops-qa", "versions": "v1,v2"})
    assert [(line.number, line.level, line.step) for line in lines] == [(1, "INFO", "build-ops-qa"), (2, "INFO", "build-ops-qa")]


def test_a_judge_is_measured_even_where_nothing_can_be_recorded(tmp_path: Path) -> None:
    arguments = ("--judge=reference", f"--mlflow-tracking-uri={chat_server.NOBODY}")
    lines: list[ports.LogLine] = []
    ended = job_process.run("jobs.evaluation.calibrate_judge", arguments, tmp_path, lines.append)
    assert ended.exit_code == 3
    assert f"MLflow at {chat_server.NOBODY} did not answer" in ended.reason
    assert json.loads((tmp_path / "calibration.json").read_text())["rows"] == 144
    assert [line.fields["done"] for line in lines if line.level == "PROGRESS"][-1] == 144


@pytest.mark.parametrize(
    ("module", "arguments", "code", "words"),
    [("jobs.no_such_job", (), 1, "No module named"), ("jobs.data.build_ops_qa", (), 2, "--data-dir")],
)
def test_a_job_that_cannot_begin_says_why(tmp_path: Path, module: str, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended = job_process.run(module, arguments, tmp_path, lambda line: None)
    assert (ended.exit_code, ended.outputs) == (code, {})
    assert words in ended.reason


def test_an_interrupt_stops_the_job(tmp_path: Path) -> None:
    def interrupt(line: ports.LogLine) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job_process.run("jobs.data.build_ops_qa", (f"--data-dir={tmp_path / 'data'}",), tmp_path, interrupt)
    assert not [process for process in psutil.process_iter() if str(tmp_path) in " ".join(_command(process))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
