"""Launching and following runs on the command line: the exit code is the run's own outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scripted_api import LINES, NOW, Api, Terminal, run_in

from controlplane import wire
from controlplane.cli import follow, output, runs


def test_launch_passes_parameters_as_text(gatewright: Terminal) -> None:
    result = gatewright("launch", "training", "-p", "data-version=2", "--param", "base-model=a=b")
    assert result.exit_code == 0
    assert gatewright.api.calls == [("launch", "training", {"data-version": "2", "base-model": "a=b"})]
    assert "r-1" in result.stdout


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("stopped", 1), ("failed", 1), ("cancelled", 1)])
@pytest.mark.parametrize("flag", ["--wait", "--follow"])
def test_waiting_ends_with_the_runs_own_outcome(gatewright: Terminal, state: str, code: int, flag: str) -> None:
    gatewright.api.run_states = ["running", "running", state]
    gatewright.api.reason = "" if state == "succeeded" else "train: loss is NaN"
    result = gatewright("launch", "training", flag)
    assert result.exit_code == code
    assert f"r-1 {state}" in (result.stdout if code == 0 else result.stderr)
    assert ("loss is NaN" in result.stderr) == (code == 1)
    assert ("line 3" in result.stdout) == (flag == "--follow")


def test_waiting_with_json_prints_the_ended_run_alone(gatewright: Terminal) -> None:
    gatewright.api.run_states = ["running", "failed"]
    result = gatewright("launch", "training", "--wait", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["state"] == "failed"


def test_following_takes_up_a_broken_stream_after_the_last_line(gatewright: Terminal) -> None:
    gatewright.api.log_faults = [2, 3]
    result = gatewright("logs", "r-1", "--follow", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["number"] for line in result.stdout.splitlines()] == [1, 2, 3]
    assert [call[2] for call in gatewright.api.calls if call[0] == "stream_logs"] == ["", "train:1", "train:2"]


def test_following_goes_on_when_the_stream_ends_before_the_run(gatewright: Terminal) -> None:
    gatewright.api.run_states = ["running", "running", "succeeded"]
    result = gatewright("logs", "r-1", "--follow")
    assert result.exit_code == 0
    assert [call[2] for call in gatewright.api.calls if call[0] == "stream_logs"] == ["", "train:3"]
    assert result.stdout.count("line 3") == 1


def test_following_gives_up_when_the_api_stays_away(gatewright: Terminal) -> None:
    gatewright.api.log_faults = [1] * (follow.MAX_FAILURES_IN_A_ROW + 1)
    result = gatewright("logs", "r-1", "--follow")
    assert result.exit_code == 1
    assert "connection reset" in result.stderr


def test_ctrl_c_while_following_is_clean(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "log_lines", interrupted)
    assert gatewright("logs", "r-1", "--follow").exit_code == 0
    waiting = gatewright("launch", "training", "--follow")
    assert waiting.exit_code == 130
    assert "The run goes on" in waiting.stderr


def interrupted(*_: object) -> Iterator[wire.LogLine]:
    yield LINES[0]
    raise KeyboardInterrupt


def test_cancel_and_retry(gatewright: Terminal) -> None:
    assert "asked to stop" in gatewright("cancel", "r-1").stdout
    assert "started" in gatewright("retry", "r-1").stdout
    assert gatewright.api.calls == [("cancel", "r-1"), ("retry", "r-1")]


def test_a_step_that_is_tried_again_says_when_and_why() -> None:
    run = run_in("running")
    held = run.steps[0].model_copy(update={"state": "waiting", "retry_at": NOW, "reason": "MLflow did not answer."})
    screen = output.console()
    with screen.capture() as captured:
        screen.print(follow.picture(follow.Snapshot(run.model_copy(update={"steps": (held,)}), Api().progress("r-1"))))
    said = " ".join(captured.get().split())
    assert f"tried again at {NOW.astimezone():%H:%M:%S}" in said
    assert "MLflow did not answer." in said


def test_parameters_keep_later_equals_signs_and_forgive_dashes() -> None:
    assert runs.read_parameters(["--a=b=c", "d="]) == {"a": "b=c", "d": ""}


def test_the_picture_shows_steps_states_and_time_left() -> None:
    seen = follow.Snapshot(run_in("running"), Api().progress("r-1"))
    screen = output.console()
    with screen.capture() as captured:
        screen.print(follow.picture(seen))
    assert "50%" in captured.get()
    assert "1 min 10 s left" in captured.get()
    assert "▶ running" in captured.get()
