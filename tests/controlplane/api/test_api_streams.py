"""Streams: a log followed to the run's end and taken up again at any line, two answers side by side."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass

import pytest
from starlette import testclient

from controlplane.api import logs
from controlplane.core import errors

V1 = "/api/v1"


@dataclass(frozen=True)
class Event:
    kind: str
    id: str
    data: str


def events_of(response):
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if fields:
            found.append(Event(fields.get("event", "message"), fields.get("id", ""), fields.get("data", "")))
    return found


@pytest.fixture
def http(served, monkeypatch):
    monkeypatch.setattr(logs, "POLL_SECONDS", 0.01)
    with testclient.TestClient(served) as client:
        yield client


@pytest.fixture
def run(world):
    """A deployment whose first step has said three lines and still runs."""
    world.add_version("candidate")
    run = world.plane.launcher.launch("deployment", {}, actor="ada", interface="cli")
    world.plane.dispatcher.tick()
    for number in (1, 2, 3):
        world.executor.say(f"{run.id}/load-adapter/1", f"line {number}")
    return run


def end(world, run):
    world.executor.finish(f"{run.id}/load-adapter/1", 1, reason="broken")
    for _ in range(3):
        world.plane.dispatcher.tick()


def test_a_finished_log_streams_and_ends_with_the_state(world, http, run):
    end(world, run)
    *lines, last = events_of(http.get(f"{V1}/logs/stream/{run.id}"))
    assert [(line.kind, line.id) for line in lines] == [("line", f"load-adapter:{number}") for number in (1, 2, 3)]
    assert [json.loads(line.data)["message"] for line in lines] == ["line 1", "line 2", "line 3"]
    assert (last.kind, last.data) == ("end", "failed")


@pytest.mark.parametrize(("after", "expected"), [("load-adapter:1", 2), ("load-adapter:3", 0), ("", 3)])
def test_a_stream_is_taken_up_after_the_last_event(world, http, run, after, expected):
    end(world, run)
    found = events_of(http.get(f"{V1}/logs/stream/{run.id}", headers={"Last-Event-ID": after}))
    assert len(found) == expected + 1


def test_a_place_that_is_none_is_a_problem_not_a_stream(http, run):
    response = http.get(f"{V1}/logs/stream/{run.id}", headers={"Last-Event-ID": "nonsense"})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:gatewright:invalid-input"


def test_a_stream_follows_a_run_that_goes_on(world, http, run):
    answers = []
    following = threading.Thread(target=lambda: answers.append(http.get(f"{V1}/logs/stream/{run.id}")))
    following.start()
    world.executor.say(f"{run.id}/load-adapter/1", "line 4")
    end(world, run)
    following.join(timeout=20)
    assert not following.is_alive(), "it must end when the run does"
    lines = [json.loads(event.data)["message"] for event in events_of(answers[0]) if event.kind == "line"]
    assert lines == ["line 1", "line 2", "line 3", "line 4"]


def test_a_fault_in_the_middle_is_the_streams_last_event(world, http, run):
    read, times = world.executor.logs, iter(range(10))

    def breaks_later(handle, after=0):
        if next(times) > 1:
            raise errors.Unreachable("Kubernetes", "https://k8s.test", "timed out")
        return read(handle, after)

    world.executor.logs = breaks_later
    *lines, last = events_of(http.get(f"{V1}/logs/stream/{run.id}"))
    assert len(lines) == 3
    problem = json.loads(last.data)
    assert last.kind == "error"
    assert (problem["type"], problem["status"]) == ("urn:gatewright:unreachable", 503)
    assert "https://k8s.test" in problem["detail"]


def test_history_has_the_same_lines_and_ids(world, http, run):
    found = http.get(f"{V1}/logs/history/{run.id}", params={"after": "load-adapter:1"}).json()
    assert [line["id"] for line in found] == ["load-adapter:2", "load-adapter:3"]


def test_both_sides_of_a_comparison_arrive_interleaved(world, http):
    world.add_live()
    world.add_version("staged")
    world.replicas[0].slots["ops-qa-candidate"] = world.home_of(2)
    whole = world.replicas[0].stream

    async def in_turns(*given, **named):
        async for delta in whole(*given, **named):
            yield delta
            await asyncio.sleep(0)

    world.replicas[0].stream = in_turns
    found = events_of(http.post(f"{V1}/comparisons", json={"model": "ops-qa", "question": "Which port?"}))
    pieces = [json.loads(event.data) for event in found if event.kind == "piece"]
    sides = [piece["side"] for piece in pieces]
    assert sides.index("live") < len(sides) - 1 - sides[::-1].index("candidate"), "live starts before candidate ends"
    assert {piece["side"] for piece in pieces if piece["is_last"]} == {"candidate", "live"}


def test_a_comparison_without_a_candidate_still_shows_live(world, http):
    world.add_live()
    found = events_of(http.post(f"{V1}/comparisons", json={"model": "ops-qa", "question": "Which port?"}))
    last = {piece["side"]: piece for piece in (json.loads(event.data) for event in found) if piece["is_last"]}
    assert last["candidate"]["error"]
    assert last["live"]["error"] == ""
