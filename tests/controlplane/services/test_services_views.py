"""What people look at: models, versions, verdicts, the overview, health and charts. Missing data is said, never an error of the page."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from controlplane import ports
from controlplane.core import adapters, errors
from controlplane.services import charts, health

MODEL = "ops-qa"
DOWN = errors.Unreachable("MLflow", "http://mlflow.test", "down")


def test_a_version_shows_its_stage_and_the_numbers_of_its_tags(world):
    world.add_version("candidate", "staged", perplexity="1.4", eval_loss="0.34", throughput="not measured")
    (version,) = world.plane.models.versions(MODEL)
    assert version.stage == "staged"
    assert version.metrics == {"perplexity": 1.4, "eval_loss": 0.34}
    assert not version.is_protected


@pytest.mark.parametrize(
    ("aliases", "stage", "is_protected"),
    [
        ([], "registered", False),
        (["candidate"], "candidate", False),
        (["staged", "eval-passed"], "eval-passed", False),
        (["staged", "eval-failed"], "eval-failed", False),
        (["eval-passed", "perf-failed"], "perf-failed", False),
        (["live"], "live", True),
        (["previous", "candidate"], "previous", True),
    ],
)
def test_stages(world, aliases, stage, is_protected):
    world.add_version(*aliases)
    (version,) = world.plane.models.versions(MODEL)
    assert (version.stage, version.is_protected) == (stage, is_protected)


def test_a_list_of_versions_costs_one_registry_request(world):
    for _ in range(50):
        world.add_version()
    asked = []
    versions, world.tracking.fault = world.registry.versions, errors.Unreachable("MLflow", "http://mlflow.test", "not to be asked")
    world.registry.versions = lambda name: (asked.append(name), versions(name))[1]
    assert len(world.plane.models.versions(MODEL)) == 50
    assert asked == [MODEL]


def test_details_of_a_version(world):
    world.registry.add(MODEL, metrics={"eval_loss": 0.3})
    version = world.registry.resolve(MODEL, "version:1")
    world.tracking.histories[version.run_id, "eval_loss"] = [(10, 0.4), (0, 2.0), (20, 0.3)]
    detail = world.plane.models.version(MODEL, 1)
    assert detail.curves["eval_loss"] == ((0, 2.0), (10, 0.4), (20, 0.3))
    assert {file.path.rsplit("/", 1)[-1] for file in detail.files} == set(adapters.REQUIRED_FILES)


def test_a_download_is_the_adapter(world):
    version = world.add_version()
    archive = zipfile.ZipFile(io.BytesIO(world.plane.models.download(MODEL, 1)))
    for file in adapters.REQUIRED_FILES:
        assert archive.read(f"ops-qa-v1/{file}") == world.tracking.files[version.run_id, f"adapter/{file}"]


def test_a_card_says_what_was_measured(world):
    version = world.add_version("live", perplexity="1.4")
    card = world.plane.models.card(MODEL, 1)
    for said in ("# ops-qa v1", version.digest, "perplexity", "1.4", version.run_id):
        assert said in card


@pytest.mark.parametrize("number", [2, 0])
def test_an_unknown_version_is_not_found(world, number):
    world.add_version()
    for ask in (world.plane.models.version, world.plane.models.card, world.plane.models.download, world.plane.results.evaluation):
        with pytest.raises(errors.NotFound):
            ask(MODEL, number)


def test_gate_results_come_back_as_they_were_recorded(world):
    version = world.add_version()
    world.add_evaluation(version, {"candidate": "22", "live": "80"})
    evaluation = world.plane.results.evaluation(MODEL, 1)
    assert [(row.role, row.answer, row.grade) for row in evaluation.rows] == [("candidate", "22", "A"), ("live", "80", "C")]
    assert evaluation.verdict.gate == "evaluation"
    assert evaluation.verdict.checks[0].name == "A-rate"
    baseline = world.add_performance(world.add_version(), 0.5)
    world.add_performance(version, 0.6, {"baseline-run": baseline, "baseline-version": "2"})
    performance = world.plane.results.performance(MODEL, 1)
    assert (len(performance.samples), len(performance.baseline_samples), performance.baseline_version) == (10, 10, 2)
    assert performance.ended_at - performance.at == timedelta(minutes=2)
    assert performance.verdict.outcome == "pass"


def test_a_gate_never_run_says_how_to_run_it(world):
    world.add_version()
    with pytest.raises(errors.NotFound, match="evaluation workflow"):
        world.plane.results.evaluation(MODEL, 1)
    with pytest.raises(errors.NotFound, match="performance workflow"):
        world.plane.results.performance(MODEL, 1)


def test_the_overview_of_nothing(world):
    overview = world.plane.overview.look()
    assert overview.headline == "No model yet. Launch a training run to make the first version."
    assert overview.models == ()


@pytest.mark.parametrize(
    ("aliases", "headline", "next_step"),
    [
        ([("candidate",)], "Nothing is live yet; v1 is candidate.", "deployment"),
        ([("live",), ("staged", "candidate")], "v1 is live; v2 is staged.", "evaluation"),
        ([("live",), ("staged", "eval-passed")], "v1 is live; v2 is eval-passed.", "performance"),
        ([("live",), ("staged", "eval-passed", "perf-passed")], "v1 is live; v2 is perf-passed.", "promote"),
        ([("live",), ("staged", "eval-failed")], "v1 is live; v2 is eval-failed.", "answers"),
        ([("live",)], "v1 is live; no candidate waits.", ""),
    ],
)
def test_the_overview_says_what_is_live_and_what_waits(world, aliases, headline, next_step):
    for some in aliases:
        world.add_version(*some)
    (model,) = world.plane.overview.look().models
    assert model.headline == headline
    assert next_step in model.next_step


def test_a_decision_that_waits_is_the_headline(world):
    world.add_live()
    world.add_version("perf-passed")
    assert world.plane.overview.look().headline == "Waiting for your decision: ops-qa v2 passed every gate."


def test_drift_is_the_headline(world):
    world.add_live()
    world.replicas[0].slots.clear()
    assert world.plane.overview.look().headline.startswith("ops-qa-live does not answer")


def test_an_outage_is_a_problem_on_the_overview_not_an_error(world):
    world.add_live()
    world.registry.fault = DOWN
    overview = world.plane.overview.look()
    assert "http://mlflow.test" in overview.headline
    assert len(overview.problems) == 1


def test_a_replica_that_is_away_is_a_problem_with_its_address(world):
    world.add_live()
    world.replicas[1].fault = errors.Unreachable("vLLM", "http://vllm-1.test", "down")
    overview = world.plane.overview.look()
    assert [model.name for model in overview.models] == [MODEL]
    assert ["http://vllm-1.test" in problem for problem in overview.problems] == [True]


def test_health_asks_each_system_and_says_how_to_mend_it(world):
    world.registry.fault = DOWN
    found = world.plane.systems()
    assert not found.is_well
    systems = {system.name: system for system in found.systems}
    assert not systems["MLflow"].is_well
    assert "MLFLOW_TRACKING_URI" in systems["MLflow"].hint
    assert systems["Database"].is_well
    assert systems["Database"].latency_seconds is not None
    assert [system.address for system in found.systems if system.name == "vLLM"] == ["http://vllm-0.test", "http://vllm-1.test"]


def test_without_prometheus_all_is_still_well(world):
    world.metrics.fault = errors.Unreachable("Prometheus", "http://prometheus.test", "down")
    found = world.plane.systems()
    assert found.is_well
    assert [system.is_well for system in found.systems if system.name == "Prometheus"] == [False]


def test_no_probe_is_no_fault():
    assert health.look([], version="1", profile="local", executor="local").is_well


def test_no_password_is_shown(world, tmp_path):
    given = {"MLFLOW_TRACKING_URI": "http://ada:secret@mlflow.test", "GATEWRIGHT_DATABASE_URL": "postgresql://ada:secret@db.test/x"}
    shown = type(world)(tmp_path, replicas=world.replicas, environment=given).plane.systems().model_dump_json()
    assert "mlflow.test" in shown
    assert "secret" not in shown


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "step", "error"),
    [
        (NOON, NOON, 15, errors.InvalidInput),
        (NOON, NOON - timedelta(hours=1), 15, errors.InvalidInput),
        (NOON, NOON + timedelta(days=365), 1, errors.InvalidInput),
        (NOON, NOON + timedelta(hours=1), 0, errors.InvalidInput),
    ],
)
def test_a_span_that_makes_no_chart_is_refused(world, start, end, step, error):
    with pytest.raises(error):
        world.plane.charts.range("up", start, end, step)


def test_series_come_through_and_a_time_without_a_zone_is_utc(world):
    at = NOON.timestamp()
    world.metrics.series["up"] = [ports.Series({"job": "vllm"}, ((at, 1.0), (at + 3600, 1.0)))]
    (series,) = world.plane.charts.range("up", NOON.replace(tzinfo=None), NOON + timedelta(minutes=1), 15)
    assert (series.labels, series.points) == ({"job": "vllm"}, ((at, 1.0),))


def test_without_a_prometheus_there_are_no_charts():
    with pytest.raises(errors.NotFound, match="GATEWRIGHT_PROMETHEUS_URL") as caught:
        charts.Charts(None).range("up", NOON, NOON + timedelta(hours=1), 15)
    assert caught.value.hint
