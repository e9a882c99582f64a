"""The HTTP API on fakes: every fault is a problem document that says what to do, with a request id and without a stack trace."""

from __future__ import annotations

import json
import threading

import pytest
from starlette import testclient

from controlplane.api import app, limits
from controlplane.core import errors

V1 = "/api/v1"
PROBLEM = "application/problem+json"


@pytest.fixture
def http(served):
    with testclient.TestClient(served, raise_server_exceptions=False) as client:
        yield client


def problem(response, status, slug):
    """The problem document, after checking what every one must have."""
    body = response.json()
    assert (response.status_code, body["status"]) == (status, status), body
    assert response.headers["content-type"] == PROBLEM
    assert body["type"] == f"urn:gatewright:{slug}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"]
    assert response.headers.get_list("x-request-id") == [body["request_id"]]
    return body


BAD = [
    ("POST", "/jobs", {"workflow": "nope"}, 404, "not-found", "nope"),
    ("POST", "/jobs", {"workflow": "training", "parameters": {"max-perplexity": "0"}}, 422, "invalid-input", "max-perplexity"),
    ("POST", "/jobs", {"workflow": "training", "paramters": {}}, 422, "invalid-input", "paramters"),
    ("POST", "/jobs", {}, 422, "invalid-input", "workflow"),
    ("POST", "/jobs", [1], 422, "invalid-input", ""),
    ("GET", "/jobs/nope", None, 404, "not-found", "nope"),
    ("DELETE", "/jobs/nope", None, 404, "not-found", "nope"),
    ("POST", "/jobs/nope/retry", None, 404, "not-found", "nope"),
    ("GET", "/jobs/nope/progress", None, 404, "not-found", "nope"),
    ("GET", "/jobs?limit=0", None, 422, "invalid-input", "limit"),
    ("GET", "/jobs?limit=100000", None, 422, "invalid-input", "limit"),
    ("GET", "/logs/history/nope", None, 404, "not-found", "nope"),
    ("GET", "/logs/stream/nope", None, 404, "not-found", "nope"),
    ("GET", "/models/nope", None, 404, "not-found", "nope"),
    ("GET", "/models/..%2Fetc", None, 404, "not-found", ""),
    ("GET", "/models/a%20b", None, 422, "invalid-input", "model name"),
    ("GET", "/models/ops-qa/versions/99", None, 404, "not-found", "99"),
    ("GET", "/models/ops-qa/versions/one", None, 422, "invalid-input", "number"),
    ("GET", "/models/ops-qa/versions/1/evaluation", None, 404, "not-found", "evaluation"),
    ("GET", "/models/ops-qa/versions/1/performance", None, 404, "not-found", "performance"),
    ("GET", "/models/ops-qa/plan?source_alias=best", None, 422, "invalid-input", "best"),
    ("POST", "/models/ops-qa/promotions", {"source_alias": "staged"}, 409, "refused", "perf-passed"),
    ("POST", "/models/ops-qa/promotions", {"source_alias": "best"}, 422, "invalid-input", "best"),
    ("POST", "/models/nope/promotions", {}, 404, "not-found", "nope"),
    ("POST", "/models/ops-qa/rollback", {"reason": "x"}, 409, "refused", "previous"),
    ("POST", "/comparisons", {"model": "nope", "question": "?"}, 404, "not-found", "nope"),
    ("POST", "/comparisons", {"model": "ops-qa", "question": "?", "max_tokens": 0}, 422, "invalid-input", "max_tokens"),
    ("POST", "/votes", {"model": "ops-qa", "prompt": "?", "choice": "neither"}, 422, "invalid-input", "choice"),
    ("POST", "/votes", {"model": "ops-qa", "prompt": "?", "choice": "tie", "comment": "x" * 501}, 422, "invalid-input", "comment"),
    ("POST", "/votes", {"model": "ops-qa", "prompt": "?", "choice": "withdrawn"}, 422, "invalid-input", "withdrawn"),
    ("POST", "/votes", {"model": "ops-qa", "row_id": "r1", "choice": "tie"}, 422, "invalid-input", "candidate_version"),
    ("POST", "/votes", {"model": "ops-qa", "row_id": "r1", "choice": "tie", "candidate_version": 1}, 404, "not-found", "evaluation"),
    ("POST", "/votes", {"model": "ops-qa", "row_id": "r1", "choice": "tie", "left": "A"}, 422, "invalid-input", "left"),
    ("GET", "/votes", None, 422, "invalid-input", "model"),
    ("GET", "/votes?model=ops-qa&limit=1000000", None, 422, "invalid-input", "limit"),
    ("GET", "/models/ops-qa/versions/1/review", None, 404, "not-found", "evaluation"),
    ("GET", "/models/ops-qa/versions/1/grades", None, 404, "not-found", "evaluation"),
    ("GET", "/models/ops-qa/versions/1/golden", None, 404, "not-found", "evaluation"),
    ("POST", "/models/ops-qa/versions/1/grades", {"row_id": "r1", "role": "live", "grade": "D"}, 422, "invalid-input", "grade"),
    ("POST", "/models/ops-qa/versions/1/grades", {"row_id": "r1", "role": "live", "grade": "A"}, 404, "not-found", "evaluation"),
    ("GET", "/datasets/nope-v1", None, 404, "not-found", "nope-v1"),
    ("GET", "/datasets/nope-v1/preview", None, 404, "not-found", "nope"),
    ("GET", "/metrics/range?query=up&start=x&end=y", None, 422, "invalid-input", "start"),
    ("GET", "/metrics/range?query=up&start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", None, 422, "invalid-input", "begins"),
    ("GET", "/nothing/here", None, 404, "not-found", "nothing"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "slug", "said"), BAD, ids=[f"{case[0]} {case[1]} {case[2] or ''}" for case in BAD]
)
def test_bad_input_is_a_problem_that_names_it_and_changes_nothing(world, http, method, path, body, status, slug, said):
    world.add_version("staged")
    before = dict(world.registry.aliases["ops-qa"])
    document = problem(http.request(method, V1 + path, json=body), status, slug)
    assert said in document["detail"] + document["hint"]
    assert "Traceback" not in json.dumps(document)
    assert world.registry.aliases["ops-qa"] == before
    assert (world.ledger.events(), world.store.list()) == ([], [])
    assert (world.ledger.votes("ops-qa"), world.ledger.corrections("ops-qa", 1)) == ([], [])


def test_a_wrong_method_is_a_problem_too(http):
    assert http.put(f"{V1}/jobs", json={}).headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.InvalidInput("Not this.", hint="That."), 422, "invalid-input"),
        (errors.NotFound("Gone."), 404, "not-found"),
        (errors.Refused("No."), 409, "refused"),
        (errors.Conflict("Taken by grace."), 409, "conflict"),
        (errors.Unreachable("MLflow", "http://mlflow.test", "timed out"), 503, "unreachable"),
        (errors.OutsideError("MLflow", "http://mlflow.test", "status 500"), 502, "outside-error"),
        (errors.NoSpace("The disk is full."), 507, "no-space"),
    ],
)
def test_each_of_our_errors_has_its_status(world, http, error, status, slug):
    world.registry.fault = error
    document = problem(http.get(f"{V1}/models"), status, slug)
    assert (document["detail"], document["hint"]) == (error.detail, error.hint)
    assert document["address"] == getattr(error, "address", "")


def test_what_nobody_expected_is_told_without_its_trace(world, http, caplog):
    world.registry.models = lambda: 1 / 0
    response = http.get(f"{V1}/models")
    document = response.json()
    assert response.status_code == 500
    assert response.headers["content-type"] == PROBLEM
    assert "ZeroDivisionError" not in response.text
    assert document["request_id"] in document["hint"]
    logged = [record for record in caplog.records if document["request_id"] in record.getMessage()]
    assert logged
    assert logged[0].exc_info is not None


def test_a_token_is_wanted_when_one_is_set(world, tmp_path):
    guarded = type(world)(tmp_path, replicas=world.replicas, environment={"GATEWRIGHT_API_TOKEN": "s3cret"})
    http = testclient.TestClient(app.create(guarded.plane, with_loops=False))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cre"}, {"Authorization": "Bearer "}):
        document = problem(http.get(f"{V1}/models", headers=headers), 401, "unauthorized")
        assert "GATEWRIGHT_API_TOKEN" in document["hint"]
        assert "s3cret" not in json.dumps(document)
    assert http.get(f"{V1}/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert http.get("/health").status_code == 200, "a probe has no token"


@pytest.mark.parametrize(
    ("headers", "actor", "interface"),
    [
        ({}, "anonymous", "api"),
        ({"X-Gatewright-Actor": "ada", "X-Gatewright-Interface": "console"}, "ada", "console"),
        ({"X-Gatewright-Actor": "Zo%C3%AB%20B", "X-Gatewright-Interface": "cli"}, "Zoë B", "cli"),
        ({"X-Gatewright-Actor": "<script>", "X-Gatewright-Interface": "root"}, "anonymous", "api"),
        ({"X-Gatewright-Actor": "a%0Ab"}, "anonymous", "api"),
        ({"X-Gatewright-Actor": "a" * 65}, "anonymous", "api"),
    ],
)
def test_the_ledger_knows_who_asked_from_where(world, http, headers, actor, interface):
    http.post(f"{V1}/jobs", json={"workflow": "training"}, headers=headers)
    (event,) = world.ledger.events()
    assert (event.actor, event.interface) == (actor, interface)


def test_a_body_that_is_too_large_is_refused_unread(http):
    document = problem(http.post(f"{V1}/jobs", content=b"x" * (limits.MAX_BODY_BYTES + 1)), 413, "invalid-input")
    assert str(limits.MAX_BODY_BYTES) in document["detail"]


def test_a_body_without_a_length_ends_at_the_limit_too(world, http):
    def endless():
        yield b'{"workflow": "training"}'
        for _ in range(20):
            yield b" " * (limits.MAX_BODY_BYTES // 8)

    response = http.post(f"{V1}/jobs", content=endless(), headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500
    assert world.store.list() == []


ROW = b'{"id": "r1", "question": "Which port?", "context": "It is 22.", "answer": "22", "answerable": true}\n'


def upload(http, content, **fields):
    data = {"name": "ops-qa", "version": "1", "split": "eval", **fields}
    return http.post(f"{V1}/datasets/upload", data=data, files={"file": ("my.jsonl", content)})


def test_an_upload_is_kept_and_a_bad_one_is_not(world, http):
    assert upload(http, ROW).status_code == 201
    document = problem(upload(http, ROW + b"{}\n", split="train"), 422, "invalid-input")
    assert "my.jsonl line 2" in document["detail"]
    problem(upload(http, ROW), 409, "conflict")
    problem(upload(http, ROW, version="one"), 422, "invalid-input")
    assert list(world.objects.contents) == ["ops-qa/v1/eval.jsonl"]
    assert http.get(f"{V1}/datasets/ops-qa-v1/preview").json()["total"] == 1


def test_a_version_downloads_as_a_zip_and_its_card_as_text(world, http):
    world.add_version()
    archive = http.get(f"{V1}/models/ops-qa/versions/1/download")
    assert archive.headers["content-disposition"] == 'attachment; filename="ops-qa-v1.zip"'
    assert archive.content[:2] == b"PK"
    assert http.get(f"{V1}/models/ops-qa/versions/1/card").text.startswith("# ops-qa v1")


def test_twenty_promotions_at_once_one_wins(world, served):
    world.add_live()
    world.add_version("perf-passed")
    gate = threading.Barrier(20)
    answers = []

    def press():
        with testclient.TestClient(served) as http:
            gate.wait()
            answers.append(http.post(f"{V1}/models/ops-qa/promotions", json={"reason": "now"}))

    threads = [threading.Thread(target=press) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] in ("urn:gatewright:conflict", "urn:gatewright:refused")
    assert world.registry.aliases["ops-qa"] == {"live": 2, "previous": 1}


def test_the_process_answers_for_itself(world, http):
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready").status_code == 200
    assert http.get("/docs").status_code == 200
    world.registry.fault = errors.Unreachable("MLflow", "http://mlflow.test", "down")
    assert http.get("/health").status_code == 200, "alive, though not ready"
    assert "http://mlflow.test" in problem(http.get("/ready"), 503, "unreachable")["detail"]


def test_metrics_count_runs_and_promotions(world, http):
    world.add_version("perf-passed")
    http.post(f"{V1}/jobs", json={"workflow": "training"})
    http.post(f"{V1}/models/ops-qa/promotions", json={})
    text = http.get("/metrics").text
    assert 'gatewright_runs{state="running",workflow="training"} 1.0' in text
    assert 'gatewright_promotions{state="done"} 1.0' in text


def test_every_route_is_described(http):
    paths = http.get("/openapi.json").json()["paths"]
    for path in (
        *("/jobs", "/jobs/{run_id}", "/jobs/{run_id}/progress", "/jobs/{run_id}/retry", "/datasets/upload", "/datasets/{dataset_id}"),
        *("/datasets/{dataset_id}/preview", "/models", "/models/{name}", "/models/{name}/versions/{number}"),
        *("/models/{name}/versions/{number}/card", "/models/{name}/versions/{number}/download", "/models/{name}/promotions"),
        *(
            "/models/{name}/rollback",
            "/models/{name}/history",
            "/comparisons",
            "/votes",
            "/judge/calibrations",
            "/serving/replicas",
            "/metrics/range",
            "/votes/export",
        ),
        *(f"/models/{{name}}/versions/{{number}}/{noun}" for noun in ("review", "grades", "golden")),
        *("/logs/stream/{run_id}", "/logs/history/{run_id}", "/workflows", "/overview", "/systems", "/promotions"),
    ):
        assert V1 + path in paths, path
