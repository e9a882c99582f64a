"""The command line against a scripted API: what it prints, where, and with which exit code."""

from __future__ import annotations

import csv
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.testing

from controlplane import cli, settings, wire
from controlplane.cli import compare, doctor, follow, models, output, runs, session
from controlplane.core import errors

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = wire.Version(
    model="ops-qa",
    number=2,
    run_id="0123456789abcdef",
    created_at=NOW,
    aliases=("live",),
    tags={},
    digest="d" * 64,
    stage="live",
    metrics={"perplexity": 1.25},
)
LINES = [
    wire.LogLine(id=f"train:{n}", step="train", number=n, time="2026-03-01T12:00:00", level="INFO", message=f"line {n}") for n in (1, 2, 3)
]

VOTE = wire.ExportedVote(
    id=1,
    at=NOW,
    actor="ada",
    model="ops-qa",
    candidate_version=2,
    live_version=None,
    choice="tie",
    counts=True,
    left="live",
    comment="=1+1, both",
    evaluation_run="e1",
    row_id="q-1",
    prompt="Which port?",
    candidate_answer="22",
)
GOLDEN = wire.GoldenRow(
    id="q-1-v2-live", question="Which port?", context="", reference="22", answerable=True, answer="80", grade="C", source="ada, Zoë"
)


def run_in(state: str, reason: str = "") -> wire.Run:
    step = wire.Step(name="train", state=state, attempt=1, started_at=NOW, reason=reason, outputs={"run-id": "abc"})
    return wire.Run(
        id="r-1",
        workflow="training",
        title="Train an adapter",
        state=state,
        parameters={"data-version": "2", "seed": ""},
        steps=(step,),
        created_at=NOW,
        created_by="ada",
        interface="cli",
        ended_at=NOW + timedelta(seconds=90),
        reason=reason,
        command="gatewright launch training -p data-version=2",
    )


def event(number: int, action: str, version: int, hour: int, reason: str = "") -> wire.Event:
    at = NOW.replace(hour=hour)
    return wire.Event(id=number, at=at, actor="ada", interface="cli", action=action, model="ops-qa", version=version, reason=reason)


EVENTS = [
    event(4, "rolled-back", 1, 11, "slow"),
    event(3, "promoted", 2, 10),
    event(2, "staged", 2, 9),
    event(1, "promoted", 1, 8, "first"),
]


def promotion(state: str, error: str = "") -> wire.Promotion:
    return wire.Promotion(
        id="p-1",
        model="ops-qa",
        version=2,
        replaces=1,
        is_rollback=False,
        source_alias="perf-passed",
        actor="ada",
        interface="cli",
        reason="",
        state=state,
        started_at=NOW,
        error=error,
        replicas=(wire.ReplicaProof(address="http://127.0.0.1:1", state="verified", root="/adapters/ops-qa/2-dddddddddddd"),),
    )


@dataclass
class Api:
    """Answers what it was given; an error in the place of an answer is raised; a list of `run_states` is walked through."""

    fault: errors.GatewrightError | None = None
    run_states: list[str] = field(default_factory=lambda: ["succeeded"])
    events: list[wire.Event] = field(default_factory=lambda: list(EVENTS))
    reason: str = ""
    log_faults: list[int] = field(default_factory=list)
    promotion_states: list[str] = field(default_factory=lambda: ["done"])
    pieces: list[wire.ComparisonEvent] = field(default_factory=list)
    healthy: bool = True
    faults: tuple[str, ...] = ()
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _answer(self, *call: Any) -> None:
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault

    def run(self, run_id: str) -> wire.Run:
        self._answer("run", run_id)
        state = self.run_states.pop(0) if len(self.run_states) > 1 else self.run_states[0]
        return run_in(state, self.reason)

    def progress(self, run_id: str) -> wire.RunProgress:
        return wire.RunProgress(run_id=run_id, state="running", step="train", fraction=0.5, seconds_left=70)

    def runs(self, *, workflow: str = "", is_active: bool = False, limit: int = 50) -> list[wire.Run]:
        self._answer("runs", workflow, is_active, limit)
        return [run_in("stopped", "eval loss [too] high")]

    def launch(self, workflow: str, parameters: Mapping[str, str]) -> wire.Run:
        self._answer("launch", workflow, dict(parameters))
        return run_in("running")

    def cancel(self, run_id: str) -> wire.Run:
        self._answer("cancel", run_id)
        return run_in("running")

    def retry(self, run_id: str) -> wire.Run:
        self._answer("retry", run_id)
        return run_in("running")

    def logs(self, run_id: str, after: str = "") -> list[wire.LogLine]:
        self._answer("logs", run_id)
        return LINES

    def exported_votes(self, model: str, version: int | None = None) -> list[wire.ExportedVote]:
        self._answer("exported_votes", model, version)
        return [VOTE]

    def golden_rows(self, model: str, version: int) -> list[wire.GoldenRow]:
        self._answer("golden_rows", model, version)
        return [GOLDEN] if version == 2 else []

    def stream_logs(self, run_id: str, last_event_id: str = "") -> Iterator[wire.LogLine]:
        self._answer("stream_logs", run_id, last_event_id)
        seen = int(last_event_id.partition(":")[2] or 0)
        for line in LINES[seen:]:
            if self.log_faults and self.log_faults[0] == line.number:
                self.log_faults.pop(0)
                raise errors.Unreachable("The API", "http://127.0.0.1:1", "connection reset")
            yield line

    def models(self) -> list[wire.Model]:
        self._answer("models")
        return [wire.Model(name="ops-qa", aliases={"live": 2, "previous": 1}, created_at=NOW, live=2, latest_version=2)]

    def versions(self, name: str) -> list[wire.Version]:
        self._answer("versions", name)
        return [VERSION]

    def history(self, name: str, limit: int = 100) -> list[wire.Event]:
        self._answer("history", name, limit)
        return self.events

    def live_at(self, name: str, moment: datetime) -> wire.Event | None:
        self._answer("live_at", name, moment)
        return next((event for event in self.events if event.action in ("promoted", "rolled-back") and event.at <= moment), None)

    def adopt(self, name: str, reason: str) -> None:
        self._answer("adopt", name, reason)

    def revert(self, name: str, reason: str) -> None:
        self._answer("revert", name, reason)

    def remove(self, name: str, number: int, reason: str) -> None:
        self._answer("remove", name, number, reason)

    def archive(self, name: str, number: int, reason: str) -> None:
        self._answer("archive", name, number, reason)

    def restore(self, name: str, number: int, reason: str) -> None:
        self._answer("restore", name, number, reason)

    def audit(self) -> wire.Audit:
        return wire.Audit(entries=2, models=1, head="abc", faults=self.faults)

    def model(self, name: str) -> wire.Model:
        if self.fault is not None:
            raise self.fault
        return wire.Model(name=name, aliases={"live": 3}, created_at=NOW, live=3)

    def promote(
        self, name: str, source_alias: str, reason: str, *, override: bool = False, expected_live: int | None = None
    ) -> wire.Promotion:
        self._answer("promote", name, source_alias, reason, override, expected_live)
        return promotion(self.promotion_states[0], "replica drifted")

    def rollback(self, name: str, reason: str, *, expected_live: int | None = None) -> wire.Promotion:
        self._answer("rollback", name, reason, expected_live)
        return promotion(self.promotion_states[0])

    def promotions(self, name: str = "", limit: int = 100) -> list[wire.Promotion]:
        self.promotion_states.pop(0)
        return [promotion(self.promotion_states[0])]

    def compare(self, asked: wire.Comparison) -> Iterator[wire.ComparisonEvent]:
        self._answer("compare", asked)
        yield from self.pieces

    def datasets(self) -> list[wire.Dataset]:
        self._answer("datasets")
        split = wire.Split(name="eval", rows=120, answerable=90, digest="e" * 64)
        return [wire.Dataset(id="ops-qa-v1", name="ops-qa", version=1, splits=(split,))]

    def overview(self) -> wire.Overview:
        self._answer("overview")
        slot = wire.SlotState(
            name="ops-qa-live", model="ops-qa", alias="live", wanted_version=2, wanted_root="/a/2", served_root="/a/1", state="drift"
        )
        shown = wire.OverviewModel(
            name="ops-qa", live=VERSION, previous=None, candidate=None, headline="Version 2 is live.", next_step="Nothing waits."
        )
        return wire.Overview(
            headline="1 model is live.",
            models=(shown,),
            replicas=(wire.Replica(address="http://127.0.0.1:1", is_healthy=True, slots=(slot,)),),
            active_runs=(run_in("running"),),
            events=tuple(EVENTS),
            problems=("ops-qa-live drifts.",),
        )

    def health(self) -> wire.Health:
        self._answer("health")
        system = wire.System(name="MLflow", address="http://127.0.0.1:2", is_well=self.healthy, hint="Start MLflow.")
        return wire.Health(is_well=self.healthy, version="0.1.0", profile="local", executor="local", systems=(system,))


@dataclass
class Terminal:
    """Runs commands against one API and remembers the addresses that were asked for."""

    api: Api
    addresses: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str) -> Any:
        return typer.testing.CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)


@pytest.fixture
def gatewright(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    terminal = Terminal(Api())

    def make_client(config: settings.Settings, timeout_seconds: float) -> Api:
        terminal.addresses.append(config.api_url)
        return terminal.api

    monkeypatch.setattr(session, "make_client", make_client)
    monkeypatch.setattr(follow, "pause", lambda seconds: None)
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    for name in ("GATEWRIGHT_API_URL", "GATEWRIGHT_PROFILE", "GATEWRIGHT_EXECUTOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return terminal


READS: list[tuple[tuple[str, ...], str]] = [
    (("status",), "1 model is live."),
    (("models",), "live→v2, previous→v1"),
    (("versions", "ops-qa"), "dddddddddddd"),
    (("runs",), "eval loss [too] high"),
    (("run", "r-1"), "gatewright launch training -p data-version=2"),
    (("logs", "r-1"), "line 3"),
    (("history", "ops-qa"), "rolled-back"),
    (("datasets",), "eval 120 (90)"),
]


@pytest.mark.parametrize(("command", "expected"), READS, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_a_read_prints_plain_text_in_a_pipe(gatewright: Terminal, command: tuple[str, ...], expected: str) -> None:
    result = gatewright(*command)
    assert result.exit_code == 0
    assert expected in result.stdout
    assert "\x1b" not in result.stdout


def test_json_holds_the_bodies_of_the_api(gatewright: Terminal) -> None:
    api = gatewright.api
    cases: list[tuple[tuple[str, ...], Any]] = [
        (("status",), api.overview()),
        (("models",), api.models()),
        (("versions", "ops-qa"), api.versions("ops-qa")),
        (("runs",), api.runs()),
        (("run", "r-1"), api.run("r-1")),
        (("history", "ops-qa"), EVENTS),
        (("datasets",), api.datasets()),
    ]
    for command, body in cases:
        expected = [item.model_dump(mode="json") for item in body] if isinstance(body, list) else body.model_dump(mode="json")
        assert json.loads(gatewright(*command, "--json").stdout) == expected, command


@pytest.mark.parametrize("command", READS, ids=lambda value: value[0][0])
def test_an_error_is_told_on_stderr_with_hint_and_request_id(gatewright: Terminal, command: tuple[tuple[str, ...], str]) -> None:
    fault = errors.Unreachable("The API", "http://127.0.0.1:1", "connection refused", hint="Start it with gatewright up.")
    fault.request_id = "req-7"  # type: ignore[attr-defined]
    gatewright.api.fault = fault
    result = gatewright(*command[0])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "http://127.0.0.1:1 did not answer: connection refused" in result.stderr
    assert "Next: Start it with gatewright up." in result.stderr
    assert "Request id: req-7" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.InvalidInput("data-version='x' is not a whole number."), 2),
        (errors.NotFound("There is no model 'x'."), 1),
        (errors.Refused("No version carries the alias perf-passed."), 1),
        (errors.Conflict("A promotion by ada is running."), 1),
        (errors.OutsideError("MLflow", "http://127.0.0.1:2", "500"), 1),
        (errors.NoSpace("The disk is full."), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_code_of_each_error(gatewright: Terminal, fault: errors.GatewrightError, code: int) -> None:
    gatewright.api.fault = fault
    result = gatewright("promote", "ops-qa")
    assert result.exit_code == code
    assert fault.detail in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("launch", "nonsense"), "Choose one of: training, deployment, evaluation, performance, promote."),
        (("launch", "training", "-p", "data-version"), "Write -p key=value"),
        (("launch", "training", "-p", "=3"), "Write -p key=value"),
        (("launch", "training", "-p", "seed=1", "-p", "seed=2"), "seed is given twice"),
        (("history", "ops-qa", "--at", "teatime"), "'teatime' is not a time."),
        (("versions",), "MODEL"),
        (("nonsense",), "nonsense"),
        (("compare", "ops-qa"), "--prompt"),
        (("compare", "ops-qa", "--prompt", "Q", "--max-tokens", "0"), "max-tokens"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_exits_2_and_changes_nothing(gatewright: Terminal, arguments: tuple[str, ...], said: str) -> None:
    result = gatewright(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert gatewright.api.calls == []


def test_unknown_profile_is_wrong_usage(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_PROFILE", "moon")
    result = gatewright("status")
    assert result.exit_code == 2
    assert "GATEWRIGHT_PROFILE='moon'" in result.stderr


def test_version(gatewright: Terminal) -> None:
    assert gatewright("--version").stdout.startswith("gatewright ")


def test_every_command_has_help(gatewright: Terminal) -> None:
    for command in app_commands():
        result = gatewright(command, "--help")
        assert result.exit_code == 0, command
        assert "Usage" in result.stdout


def app_commands() -> list[str]:
    return [str(command.name) for command in cli.app.registered_commands]


def test_the_stable_names_are_all_there() -> None:
    wanted = "up demo status models versions launch runs run logs cancel retry promote rollback compare history datasets doctor"
    assert set(app_commands()) >= set(wanted.split())


def test_api_address_from_option_environment_default(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    gatewright("models")
    monkeypatch.setenv("GATEWRIGHT_API_URL", "http://one:1")
    gatewright("models")
    gatewright("--api-url", "http://two:2/", "models")
    assert gatewright.addresses == [f"http://127.0.0.1:{settings.Ports().api}", "http://one:1", "http://two:2"]


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


def test_promote_waits_for_the_journal_and_shows_the_proof(gatewright: Terminal) -> None:
    gatewright.api.promotion_states = ["running", "running", "done"]
    result = gatewright("promote", "ops-qa", "--source-alias", "staged", "--reason", "better")
    assert result.exit_code == 0
    assert gatewright.api.calls == [("promote", "ops-qa", "staged", "better", False, 3)]
    assert "ops-qa v2 is live; v1 is previous." in result.stdout
    assert "/adapters/ops-qa/2-dddddddddddd" in result.stdout


def test_a_failed_promotion_exits_1(gatewright: Terminal) -> None:
    gatewright.api.promotion_states = ["failed"]
    result = gatewright("promote", "ops-qa")
    assert gatewright.api.calls == [("promote", "ops-qa", "perf-passed", "", False, 3)]
    assert result.exit_code == 1
    assert "replica drifted" in result.stderr


def test_rollback(gatewright: Terminal) -> None:
    result = gatewright("rollback", "ops-qa", "--reason", "slow", "--json")
    assert json.loads(result.stdout) == promotion("done").model_dump(mode="json")
    assert gatewright.api.calls == [("rollback", "ops-qa", "slow", 3)]


def pieces(**end_of_live: Any) -> list[wire.ComparisonEvent]:
    return [
        wire.ComparisonEvent(side="candidate", text="port "),
        wire.ComparisonEvent(side="live", text="23"),
        wire.ComparisonEvent(side="candidate", text="22"),
        wire.ComparisonEvent(side="candidate", is_last=True, version=2, first_token_seconds=0.25, total_seconds=0.5, answer_tokens=3),
        wire.ComparisonEvent(side="live", is_last=True, version=1, **end_of_live),
    ]


def test_compare_shows_both_answers_with_their_measures(gatewright: Terminal) -> None:
    gatewright.api.pieces = pieces()
    result = gatewright("compare", "ops-qa", "--prompt", "Which port?", "--context", "ssh 22")
    assert result.exit_code == 0
    assert "candidate (v2, first token 0.25 s, 3 tokens in 0.50 s (6.0 tokens/s)): port 22" in result.stdout
    assert "live (v1): 23" in result.stdout
    assert gatewright.api.calls[0][1].context == "ssh 22"


@pytest.mark.parametrize(
    ("given", "said"), [(pieces(error="vLLM is gone"), "live: vLLM is gone"), (pieces()[:4], "live: no answer came.")], ids=["error", "cut"]
)
def test_compare_fails_when_a_side_does(gatewright: Terminal, given: list[wire.ComparisonEvent], said: str) -> None:
    gatewright.api.pieces = given
    result = gatewright("compare", "ops-qa", "--prompt", "Which port?", "--json")
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stdout.splitlines()) == len(given)


def test_history_at_answers_in_words_and_as_json(gatewright: Terminal) -> None:
    then = "2026-03-01T10:30:00+00:00"
    assert "version 2 of ops-qa was live." in gatewright("history", "ops-qa", "--at", then).stdout
    assert json.loads(gatewright("history", "ops-qa", "--at", then, "--json").stdout)["id"] == 3
    assert "no version of ops-qa was live" in gatewright("history", "ops-qa", "--at", "2020-01-01").stdout
    assert gatewright.api.calls[0] == ("live_at", "ops-qa", datetime(2026, 3, 1, 10, 30, tzinfo=UTC))


def test_an_override_is_asked_for_by_name(gatewright: Terminal) -> None:
    assert gatewright("promote", "ops-qa", "--source-alias", "staged", "--override", "--reason", "hotfix").exit_code == 0
    assert gatewright.api.calls == [("promote", "ops-qa", "staged", "hotfix", True, 3)]


def test_what_was_overridden_stands_out_in_the_history(gatewright: Terminal) -> None:
    past = EVENTS[1].model_copy(update={"details": {"override": "The policy asks for perf-passed."}})
    gatewright.api.events = [past]
    assert "OVERRIDE The policy asks for perf-passed." in " ".join(gatewright("history", "ops-qa").stdout.split())


@pytest.mark.parametrize("verb", ["adopt", "revert"])
def test_an_alias_moved_elsewhere_is_settled(gatewright: Terminal, verb: str) -> None:
    assert gatewright(verb, "ops-qa", "--reason", "right").exit_code == 0
    assert gatewright.api.calls == [(verb, "ops-qa", "right")]


def test_deleting_a_version(gatewright: Terminal) -> None:
    assert "v3 is deleted" in gatewright("delete", "ops-qa", "3", "--reason", "old").stdout
    assert gatewright.api.calls == [("remove", "ops-qa", 3, "old")]


def test_audit_verify_exits_1_and_says_what_is_wrong(gatewright: Terminal) -> None:
    assert "2 entries are whole" in gatewright("audit", "verify").stdout
    gatewright.api.faults = ("Entry 1 was changed after it was written.",)
    result = gatewright("audit", "verify")
    assert result.exit_code == 1
    assert "Entry 1 was changed" in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-02-03 04:05+02:00", datetime(2026, 2, 3, 2, 5, tzinfo=UTC)),
    ],
)
def test_reading_a_time(text: str, expected: datetime) -> None:
    assert models.read_time(text, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (59, "59 s ago"), (60, "1 min ago"), (3600 * 5, "5 h ago"), (86400 * 3, "3 d ago"), (-120, "in 2 min")],
)
def test_relative_times(seconds: int, said: str) -> None:
    assert output.relative(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(("seconds", "said"), [(None, "–"), (0.44, "0.4 s"), (59.4, "59 s"), (125, "2 min 5 s"), (3900, "1 h 5 min")])
def test_durations(seconds: float | None, said: str) -> None:
    assert output.lasting(seconds) == said


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


def test_measures_are_silent_before_the_end() -> None:
    assert compare.measures(compare.Side("text")) == ""


# -- the real client -----


@pytest.fixture
def closed_address() -> str:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{holder.getsockname()[1]}"


def test_a_dead_api_is_named_with_its_address(closed_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    for command in (["status"], ["logs", "r-1", "--follow"], ["promote", "ops-qa"], ["doctor"]):
        result = typer.testing.CliRunner().invoke(cli.app, ["--api-url", closed_address, *command], catch_exceptions=False)
        assert result.exit_code == 1, command
        assert closed_address in result.output, command


def test_a_login_name_is_always_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert session.login_name().startswith("uid-")


# -- this machine -------------------------------------------------------------------------------------------------------------


def test_up_and_demo_hand_on_their_exit_code(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Path] = []

    def ended(config: settings.Settings) -> int:
        seen.append(config.home)
        return 1

    monkeypatch.setattr("controlplane.stack.run_until_interrupted", ended)
    monkeypatch.setattr("controlplane.demo.run", ended)
    assert gatewright("up").exit_code == 1
    assert gatewright("demo").exit_code == 1
    assert seen == [tmp_path, tmp_path]


@pytest.fixture
def sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own state must not decide these tests; each check has a test of its own."""
    fine = doctor.Finding("fine", "ok", "fine")
    monkeypatch.setattr(doctor, "disk", lambda home: fine)
    monkeypatch.setattr(doctor, "packages", lambda is_local: [fine])
    monkeypatch.setattr(doctor, "port", lambda name, number, is_running: fine)


def findings(result: Any) -> dict[str, dict[str, str]]:
    return {item["name"]: item for item in json.loads(result.stdout)}


@pytest.mark.usefixtures("sound_machine")
def test_doctor_works_when_nothing_runs(gatewright: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    gatewright.api.fault = errors.Unreachable("The API", "http://127.0.0.1:1", "connection refused")
    result = gatewright("doctor", "--json")
    assert result.exit_code == 0
    assert findings(result)["API"]["state"] == "warning"
    assert "gatewright up" in findings(result)["API"]["hint"]


@pytest.mark.usefixtures("sound_machine")
def test_doctor_fails_when_a_named_api_is_away(gatewright: Terminal) -> None:
    gatewright.api.fault = errors.Unreachable("The API", "http://far:1", "connection refused")
    result = gatewright("--api-url", "http://far:1", "doctor")
    assert result.exit_code == 1
    assert "http://far:1" in result.stdout


@pytest.mark.usefixtures("sound_machine")
@pytest.mark.parametrize(("healthy", "code", "state"), [(True, 0, "ok"), (False, 1, "failed")])
def test_doctor_names_each_outside_system(gatewright: Terminal, healthy: bool, code: int, state: str) -> None:
    gatewright.api.healthy = healthy
    result = gatewright("doctor", "--json")
    assert result.exit_code == code
    assert findings(result)["MLflow"]["state"] == state
    assert findings(result)["MLflow"]["hint"] == ("" if healthy else "Start MLflow.")


@pytest.mark.parametrize(("version", "state"), [((3, 10, 9), "failed"), ((3, 11, 0), "ok"), ((3, 13, 2), "ok"), ((3, 14, 0), "failed")])
def test_doctor_on_python(version: tuple[int, ...], state: str) -> None:
    assert doctor.python(version).state == state


@pytest.mark.parametrize(("free_gb", "state"), [(0.5, "failed"), (5, "warning"), (50, "ok")])
def test_doctor_on_space(free_gb: float, state: str) -> None:
    assert doctor.judge_space(Path("/home/ada"), free_gb).state == state


def test_doctor_looks_at_the_disk_of_a_home_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert "GB free" in doctor.disk(tmp_path / "not" / "yet").detail


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ({"a": "1.0", "b": "2.0+cpu"}, "ok", "2 at their pinned versions"),
        ({"a": "1.1", "b": "2.0"}, "warning", "a 1.1 (not 1.0)"),
        ({"a": "1.0", "b": ""}, "failed", "missing: b"),
    ],
    ids=["same", "other", "missing"],
)
def test_doctor_on_packages(found: dict[str, str], state: str, said: str) -> None:
    finding = doctor.judge_packages({"a": "1.0", "b": "2.0"}, found)
    assert (finding.state, finding.detail.removeprefix("other versions: ")) == (state, said)


def test_doctor_knows_our_own_packages_and_their_pins() -> None:
    names = {match["name"]: match["extra"] for match in doctor._pins()}
    assert names["typer"] is None
    assert names["peft"] == "train"


def test_doctor_on_a_missing_program() -> None:
    assert doctor.binary("no-such-program", "install it").state == "warning"


@pytest.mark.parametrize(("is_running", "state"), [(True, "ok"), (False, "failed")])
def test_doctor_on_a_taken_port(is_running: bool, state: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        assert doctor.port("api", holder.getsockname()[1], is_running).state == state


def test_doctor_on_a_free_port() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        number = holder.getsockname()[1]
    assert doctor.port("api", number, False).state == "ok"


def test_a_version_is_put_aside_and_brought_back(gatewright: Terminal) -> None:
    result = gatewright("archive", "ops-qa", "2", "--reason", "superseded")
    assert "gatewright restore ops-qa 2" in result.output
    assert gatewright("restore", "ops-qa", "2").exit_code == 0
    assert gatewright.api.calls == [("archive", "ops-qa", 2, "superseded"), ("restore", "ops-qa", 2, "")]


def test_votes_are_exported_as_a_table_that_runs_nothing(gatewright: Terminal) -> None:
    header, row = csv.reader(gatewright("votes", "export", "--model", "ops-qa").stdout.splitlines())
    assert dict(zip(header, row, strict=True))["comment"] == "'=1+1, both"
    assert dict(zip(header, row, strict=True))["live_version"] == ""
    assert gatewright.api.calls == [("exported_votes", "ops-qa", None)]


def test_votes_are_exported_as_json_lines(gatewright: Terminal) -> None:
    result = gatewright("votes", "export", "--model", "ops-qa", "--version", "2", "--format", "jsonl")
    assert [json.loads(line)["comment"] for line in result.stdout.splitlines()] == ["=1+1, both"]
    assert gatewright.api.calls == [("exported_votes", "ops-qa", 2)]


def test_golden_rows_go_to_the_file_and_the_advice_to_the_terminal(gatewright: Terminal) -> None:
    result = gatewright("votes", "golden", "--model", "ops-qa", "--version", "2")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [GOLDEN.model_dump(mode="json")]
    assert "Zoë" in result.stdout, "people's names stay readable"
    nothing = gatewright("votes", "golden", "--model", "ops-qa", "--version", "3")
    assert (nothing.stdout, nothing.exit_code) == ("", 0)
    assert "No grade is agreed on yet" in nothing.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("votes", "export"),
        ("votes", "export", "--model", "ops-qa", "--format", "xml"),
        ("votes", "export", "--model", "ops-qa", "--version", "0"),
        ("votes", "golden", "--model", "ops-qa"),
    ],
)
def test_wrong_usage_of_votes_asks_nothing(gatewright: Terminal, arguments: tuple[str, ...]) -> None:
    assert gatewright(*arguments).exit_code == 2
    assert gatewright.api.calls == []
