"""The typed client against the real API on fakes: every verb, every error rebuilt, streams that can be taken up again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette import testclient

from controlplane import client as client_module
from controlplane import ports, wire
from controlplane.api import app
from controlplane.core import calibration, errors

MODEL = "ops-qa"


class Bridge(httpx.BaseTransport):
    """Hands each request to the application in this process; an answer is complete when it arrives."""

    def __init__(self, http: testclient.TestClient) -> None:
        self.http = http
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.http.request(
            request.method, request.url.raw_path.decode(), content=request.read(), headers=list(request.headers.multi_items())
        )
        headers = [
            (name, value) for name, value in answer.headers.multi_items() if name.lower() not in ("content-length", "content-encoding")
        ]
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.fixture
def bridge(served):
    with testclient.TestClient(served, raise_server_exceptions=False) as http:
        yield Bridge(http)


@pytest.fixture
def api(bridge):
    with client_module.Client("http://gatewright.test/", actor="Zoë", interface="console", transport=bridge) as client:
        yield client


def answering(response: httpx.Response) -> client_module.Client:
    return client_module.Client("http://gatewright.test", transport=httpx.MockTransport(lambda _request: response))


def test_runs_are_launched_watched_cancelled_and_retried(world, api):
    run = api.launch("training", {"data-version": "2"})
    assert isinstance(run, wire.Run)
    assert (run.created_by, run.interface, run.parameters["data-version"]) == ("Zoë", "console", "2")
    world.plane.dispatcher.tick()
    world.executor.say(f"{run.id}/download-data/1", "1 of 2", "PROGRESS", done=1, total=2)
    assert api.progress(run.id).fraction == pytest.approx(1 / 6)
    assert [line.message for line in api.logs(run.id)] == ["1 of 2"]
    assert api.logs(run.id, after="download-data:1") == []
    assert api.cancel(run.id).is_cancel_asked
    for _ in range(3):
        world.plane.dispatcher.tick()
    assert api.run(run.id).state == "cancelled"
    assert [line.id for line in api.stream_logs(run.id)] == ["download-data:1"]
    assert list(api.stream_logs(run.id, "download-data:1")) == []
    assert [found.id for found in api.runs(workflow="training")] == [run.id]
    assert api.runs(is_active=True) == []
    assert api.retry(run.id).state == "running"
    assert len(api.runs(is_active=True, limit=1)) == 1


def test_models_versions_and_promotions(world, api):
    world.add_live()
    world.add_version("staged", "eval-passed", "perf-passed")
    assert [(model.name, model.live, model.candidate) for model in api.models()] == [(MODEL, 1, 2)]
    assert api.model(MODEL).aliases["live"] == 1
    assert [version.number for version in api.versions(MODEL)] == [2, 1]
    assert api.version(MODEL, 2).version.stage == "perf-passed"
    assert api.card(MODEL, 1).startswith("# ops-qa v1")
    assert api.download(MODEL, 1)[:2] == b"PK"
    assert api.plan(MODEL).version == 2
    assert api.plan(MODEL, "previous").refusal
    promoted = api.promote(MODEL, "perf-passed", "both gates passed")
    assert (promoted.state, promoted.actor, promoted.reason) == ("done", "Zoë", "both gates passed")
    assert api.rollback(MODEL, "too slow").is_rollback
    assert [record.version for record in api.promotions(MODEL)] == [1, 2]
    assert len(api.promotions(limit=1)) == 1
    assert [event.action for event in api.history(MODEL)] == ["rolled-back", "promoted"]
    assert [replica.is_healthy for replica in api.replicas()] == [True, True]


def test_results_of_both_gates(world, api):
    version = world.add_version()
    with pytest.raises(errors.NotFound):
        api.evaluation(MODEL, 1)
    with pytest.raises(errors.NotFound):
        api.performance(MODEL, 1)
    world.add_evaluation(version, {"candidate": "22"})
    world.add_performance(version, 0.5)
    assert [row.grade for row in api.evaluation(MODEL, 1).rows] == ["A"]
    assert len(api.performance(MODEL, 1).samples) == 10


def test_what_was_measured_of_a_judge(world, api, tmp_path):
    assert api.calibrations() == []
    row = calibration.GoldenRow("r1", "Which port?", "ssh listens on 22.", "22", True, "22", "A", "exact", "ada")
    found = calibration.to_dict(calibration.measure("llm judge (a)", [row], {}))
    (tmp_path / "calibration.json").write_text(json.dumps({**found, "min_kappa": 0.6, "refusal": "Too few."}))
    tags = {"judge": "llm judge (a)"}
    world.tracking.log("vllm-lora-judge", "x", parameters={}, metrics={}, tags=tags, files=[tmp_path / "calibration.json"])
    (seen,) = api.calibrations()
    assert (seen.judge, seen.unscored, seen.kappa, seen.refusal) == ("llm judge (a)", 1, 0.0, "Too few.")
    assert [(one.source, one.given) for one in seen.disagreements] == [("ada", "")]


def test_comparing_judging_and_voting(world, api):
    world.add_live()
    pieces = list(api.compare(wire.Comparison(model=MODEL, question="Which port?")))
    assert {piece.side for piece in pieces if piece.is_last} == {"candidate", "live"}
    graded = api.judge(wire.JudgeRequest(question="Which port?", context="It is 22.", reference="22", answers={"live": "22"}))
    assert graded.grades["live"][0] == "A"
    vote = wire.Vote(model=MODEL, prompt="Which port?", choice="live")
    assert api.vote(vote).actor == "Zoë"
    assert [record.vote for record in api.votes(MODEL)] == [vote]


def test_reviewing_an_evaluation(world, api):
    version = world.add_version("staged")
    run = world.add_evaluation(version, {"candidate": "22", "live": "80"})
    vote = wire.Vote(model=MODEL, choice="candidate", candidate_version=1, row_id="r1", evaluation_run=run, left="live")
    assert api.vote(vote).vote.prompt == "Which port?"
    with pytest.raises(errors.Conflict):
        api.vote(vote.model_copy(update={"evaluation_run": "older"}))
    assert [one.actor for one in api.votes(MODEL, version=1, evaluation_run=run)] == ["Zoë"]
    assert api.votes(MODEL, version=2) == []
    correction = wire.GradeCorrection(row_id="r1", role="live", grade="C", evaluation_run=run)
    assert api.grade(MODEL, 1, correction).correction == correction
    assert [one.actor for one in api.grades(MODEL, 1)] == ["Zoë"]
    found = api.review(MODEL, 1)
    assert (found.reviewers, found.preference.candidate, found.golden_rows) == (("Zoë",), 1, 1)
    assert [(row.answer, row.grade, row.source) for row in api.golden_rows(MODEL, 1)] == [("80", "C", "Zoë")]
    assert [(one.live_answer, one.left) for one in api.exported_votes(MODEL, 1)] == [("80", "live")]


def test_datasets_are_uploaded_and_looked_into(api):
    row = b'{"id": "r1", "question": "Which port?", "context": "It is 22.", "answer": "22", "answerable": true}\n'
    assert api.upload("ops-qa", 1, "eval", "eval.jsonl", row).id == "ops-qa-v1"
    assert [dataset.id for dataset in api.datasets()] == ["ops-qa-v1"]
    assert api.dataset("ops-qa-v1").splits[0].rows == 1
    assert api.preview("ops-qa-v1").rows[0].answer == "22"
    with pytest.raises(errors.InvalidInput, match=r"bad\.jsonl line 1"):
        api.upload("ops-qa", 2, "eval", "bad.jsonl", b"nonsense")


def test_the_whole(world, api):
    assert api.health().is_well
    assert api.overview().headline
    assert [workflow.name for workflow in api.workflows()] == ["training", "deployment", "evaluation", "performance", "promote"]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    world.metrics.series["up"] = [ports.Series({}, ((start.timestamp(), 1.0),))]
    (series,) = api.metrics_range("up", start, start + timedelta(minutes=5), 15)
    assert series.points == ((start.timestamp(), 1.0),)


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidInput("Not this.", hint="That."),
        errors.NotFound("Gone.", hint="Look elsewhere."),
        errors.Refused("No.", hint="Pass the gate."),
        errors.Conflict("grace is promoting.", hint="Wait."),
        errors.NoSpace("The disk is full.", hint="Free some."),
        errors.Unreachable("MLflow", "http://mlflow.test", "timed out"),
        errors.OutsideError("MLflow", "http://mlflow.test", "status 500", hint="Look at its log."),
    ],
)
def test_every_error_arrives_as_it_was_raised(world, api, error):
    world.registry.fault = error
    with pytest.raises(type(error)) as caught:
        api.models()
    assert (caught.value.detail, caught.value.hint, str(caught.value)) == (error.detail, error.hint, str(error))
    assert caught.value.request_id
    assert getattr(caught.value, "address", "") == getattr(error, "address", "")


def test_an_error_before_and_in_a_stream(world, api):
    with pytest.raises(errors.NotFound) as caught:
        list(api.stream_logs("nope"))
    assert caught.value.request_id
    with pytest.raises(errors.NotFound):
        list(api.compare(wire.Comparison(model="nope", question="?")))
    run = api.launch("training", {})
    world.plane.dispatcher.tick()
    times = iter(range(10))
    world.executor.logs = lambda handle, after=0: [] if next(times) == 0 else _raise(errors.OutsideError("Executor", "here", "unreadable"))
    with pytest.raises(errors.OutsideError, match="unreadable"):
        list(api.stream_logs(run.id))


def test_a_name_never_leads_to_another_address(api, bridge):
    for name in ("../jobs", "a/b", "?x=1", "#", ""):
        with pytest.raises(errors.GatewrightError):
            api.model(name)
    assert all(request.url.raw_path.startswith(b"/api/v1/models/") for request in bridge.requests)


def test_headers_say_who_asks(api, bridge):
    api.models()
    assert bridge.requests[0].headers["x-gatewright-actor"] == "Zo%C3%AB"
    assert "authorization" not in bridge.requests[0].headers
    secret = client_module.Client("http://gatewright.test", token="s3cret", transport=bridge)
    secret.models()
    assert bridge.requests[1].headers["authorization"] == "Bearer s3cret"


def test_a_wrong_token_says_what_to_set(world, tmp_path):
    guarded = type(world)(tmp_path, replicas=world.replicas, environment={"GATEWRIGHT_API_TOKEN": "s3cret"})
    with testclient.TestClient(app.create(guarded.plane, with_loops=False)) as http:
        api = client_module.Client("http://gatewright.test", token="wrong", transport=Bridge(http))
        with pytest.raises(errors.Refused) as caught:
            api.models()
    assert "GATEWRIGHT_API_TOKEN" in caught.value.hint


def test_nobody_there_is_unreachable_with_the_address():
    refused = httpx.MockTransport(lambda request: _raise(httpx.ConnectError("refused", request=request)))
    slow = httpx.MockTransport(lambda request: _raise(httpx.ReadTimeout("slow", request=request)))
    for transport in (refused, slow):
        api = client_module.Client("http://gatewright.test", transport=transport)
        for ask in (api.models, lambda api=api: list(api.stream_logs("r"))):
            with pytest.raises(errors.Unreachable, match=r"http://gatewright\.test") as caught:
                ask()
            assert caught.value.request_id == ""


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, text="<html>Bad gateway</html>"),
        httpx.Response(404, json={"error": "not ours"}),
        httpx.Response(200, text="<html>A login page</html>"),
        httpx.Response(200, json={"name": 1}),
        httpx.Response(500, json={"type": "urn:gatewright:error", "title": "Broken", "status": 500, "detail": "Broken."}),
    ],
)
def test_an_answer_that_is_not_ours_is_an_outside_error(response):
    api = answering(response)
    with pytest.raises(errors.OutsideError):
        api.models()
    with pytest.raises(errors.OutsideError):
        answering(response).health()


def _raise(error):
    raise error
