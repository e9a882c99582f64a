"""The Performance page on load tests of every kind: passed by turns, open, contaminated, swept, beside a stored one, older."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import console_load_tests
import pytest
from console_fakes import MODEL, FakeClient
from streamlit.testing.v1 import AppTest

import console
from console import load_series, load_words, reads, tables
from controlplane import wire
from controlplane.core import errors

APP = Path(console.__file__).parent / "app.py"
EVIL = "<img src=x onerror=alert(1)>"


def _open(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page("app_pages/performance.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def _seen(app: AppTest) -> str:
    words = [str(element.value) for kind in (app.caption, app.subheader, app.markdown) for element in kind]
    return "\n".join([*(body for element in app.get("html") if "<style>" not in (body := element.proto.body)), *words])


def _charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_a_passed_test_says_what_it_stands_on(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.passed()
    app = _open()
    seen = _seen(app)
    for piece in (
        "ops-qa v6 is fast enough: all 8 checks passed.",
        "beside v5, turn by turn in one test, with confidence intervals.",
        "alternated with the candidate in this very test, 4 blocks: both met the same server.",
        "<strong>10 requests in flight</strong>",
        "warm-up requests not counted",
        "vllm 0.32.0",
        "<strong>672</strong> sent, <strong>672</strong> finished, says prometheus http://127.0.0.1:9090",
        "the load was the test&#x27;s alone",
        "by values alone (point)",
        "Mean queue time",
        "4 ms",
        "GPU max memory used",
        "Candidate: every request succeeded. Live: every request succeeded.",
        "No sweep over loads was run.",
        "-p sweep=1,2,4,8",
        "No request failed.",
    ):
        assert piece in seen, piece
    assert "What it would take to be sure" not in seen
    assert _charts(app) == 12


def test_an_open_verdict_says_how_many_more_requests_would_decide(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.inconclusive()
    seen = _seen(_open())
    for piece in (
        "ops-qa v6 cannot be judged yet: 2 of 8 checks did not pass (success rate, P95 latency).",
        "success rate: <strong>about 640 more requests would decide, were the values to stay.</strong>",
        "P95 latency ratio: <strong>about 410 more requests of each would decide, were the values to stay.</strong>",
        "parameter <code>max-samples</code>, now 110",
        "http 503 × ",
    ):
        assert piece in seen, piece


def test_other_traffic_is_the_first_thing_said(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.contaminated()
    seen = _seen(_open())
    assert "cannot be judged yet: prometheus http://127.0.0.1:9090 counted more requests than the test sent" in seen
    assert "<strong>672</strong> sent, <strong>1,204</strong> finished" in seen
    assert "then launch the load test again." in seen
    assert "parameter <code>max-samples</code>" not in seen


def test_a_stored_baseline_is_linked_and_no_witness_is_said_so(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.stored()
    seen = _seen(_open())
    assert 'href="performance?model=ops-qa&version=5"' in seen
    assert "beside v5, which an earlier test had loaded." in seen
    assert "Live&#x27;s requests" in seen or "Live's requests come from its own earlier test" in seen
    assert "Nobody else counted the requests." in seen
    assert "The server's own numbers of this test are not there." in seen or "The server&#x27;s own numbers" in seen


def test_a_sweep_names_the_highest_load_within_the_limits(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.swept()
    app = _open(against="throughput")
    seen = _seen(app)
    assert "Up to 8 requests in flight" in seen
    assert "At 16 it no longer does." in seen
    assert "the sender fell behind" in seen
    assert _charts(app) == 13


def test_a_test_of_an_older_version_opens_with_what_it_has(fake: FakeClient) -> None:
    app = _open()
    seen = _seen(app)
    assert "ops-qa v6 is fast enough: all 6 checks passed. Measured with 40 requests beside v5." in seen
    assert "from its own test" in seen
    assert "2 requests in flight" in seen
    assert "By other rules" not in seen
    assert "live v5: HTTP 503 × 1" in seen
    assert _charts(app) == 11


@pytest.mark.parametrize("shape", ["distribution", "cumulative"])
@pytest.mark.parametrize("measure", list(load_series.MEASURES))
def test_measure_and_shape_open_from_the_address(fake: FakeClient, measure: str, shape: str) -> None:
    fake.load_test = console_load_tests.passed()
    app = _open(measure=measure, shape=shape)
    assert app.segmented_control(key="performance_measure").value == measure
    assert app.segmented_control(key="performance_shape").value == shape
    assert ("each request's mean time between tokens" in _seen(app)) is (measure == "between tokens")


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("performance_measure", "first token", "measure"),
        ("performance_window", "15 min", "window"),
        ("performance_refresh", "5 s", "refresh"),
        ("performance_of", "live", "of"),
    ],
)
def test_a_choice_is_written_into_the_address(fake: FakeClient, key: str, value: str, name: str) -> None:
    app = _open()
    app.segmented_control(key=key).set_value(value).run()
    assert app.query_params[name] in (value, [value])


def test_requests_can_be_filtered_and_sorted(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.inconclusive()
    frame = _open(of="candidate", requests="failed only").dataframe[0].value
    assert set(frame["Side"]) == {"candidate"}
    assert set(frame["Error"]) <= {"http 503", "timeout"}
    slowest = _open(requests="slowest first").dataframe[0].value["Latency (s)"]
    assert list(slowest) == sorted(slowest, reverse=True)


def test_no_failed_request_is_said_so(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.passed()
    app = _open(requests="failed only")
    assert "No request matches." in _seen(app)
    assert not app.dataframe


def test_requests_leave_as_csv_with_all_that_was_recorded() -> None:
    test = console_load_tests.inconclusive()
    text = tables.samples_csv([("candidate", sample) for sample in test.samples])
    lines = text.splitlines()
    assert lines[0].startswith("role,at_seconds,first_token_seconds,total_seconds")
    assert len(lines) == 1 + len(test.samples)


def test_a_large_test_is_read_once_and_shared(fake: FakeClient) -> None:
    fake.load_test = console_load_tests.passed()
    app = _open()
    app.segmented_control(key="performance_window").set_value("5 min").run()
    assert len([call for call in fake.calls if call[0] == "performance"]) == 1


def test_a_newer_load_test_is_asked_for_at_once(fake: FakeClient) -> None:
    for run in ("a", "a", "b"):
        reads.performance(MODEL, 6, run)
    assert len([call for call in fake.calls if call[0] == "performance"]) == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (errors.NotFound("There is no Prometheus here.", hint="Set GATEWRIGHT_PROMETHEUS_URL."), "Set GATEWRIGHT_PROMETHEUS_URL."),
        (errors.Unreachable("Prometheus", "http://prom:9090", "refused"), "Prometheus at http://prom:9090 did not answer"),
    ],
)
def test_panels_without_prometheus_say_what_to_do(
    fake: FakeClient, monkeypatch: pytest.MonkeyPatch, fault: errors.GatewrightError, words: str
) -> None:
    def refuse(*_: object) -> list[wire.Series]:
        raise fault

    monkeypatch.setattr(fake, "metrics_range", refuse)
    app = _open()
    assert words in _seen(app)
    assert "Requests, one by one" in _seen(app)


@pytest.mark.parametrize(
    ("is_known", "words"), [(True, "No points in this window."), (False, "Prometheus has no series of vLLM.")], ids=["idle", "not scraped"]
)
def test_an_empty_window_is_not_a_missing_server(fake: FakeClient, monkeypatch: pytest.MonkeyPatch, is_known: bool, words: str) -> None:
    def answer(query: str, start: datetime, *_: object) -> list[wire.Series]:
        return [wire.Series(labels={}, points=((start.timestamp(), 1.0),))] if is_known and "1d" in query else []

    monkeypatch.setattr(fake, "metrics_range", answer)
    assert words in _seen(_open(window="5 min"))


def test_a_chosen_window_opens_from_the_address(fake: FakeClient) -> None:
    app = _open(**{"window": "chosen", "from": "2026-03-02T12:00:00", "until": "2026-03-02T13:00:00"})
    assert "2026-03-02 12:00:00 to 13:00:00 UTC. This is over: refreshing is paused." in _seen(app)


def test_a_gpu_panel_appears_with_its_series_only(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GPU utilisation (%)" in _seen(_open())
    reads.forget()

    def answer(query: str, start: datetime, *_: object) -> list[wire.Series]:
        return [] if "DCGM" in query else [wire.Series(labels={}, points=((start.timestamp(), 1.0),))]

    monkeypatch.setattr(fake, "metrics_range", answer)
    assert "GPU utilisation (%)" not in _seen(_open())


def test_what_others_say_is_shown_as_text() -> None:
    test = console_load_tests.contaminated()
    assert test.witness is not None
    evil = test.model_copy(
        update={
            "model": EVIL,
            "load": EVIL,
            "environment": {EVIL: EVIL},
            "baseline": "stored",
            "baseline_run": EVIL,
            "parameters": {"max-samples": EVIL},
            "others": (wire.OtherVerdict(reading=EVIL, rules=EVIL, outcome=EVIL, reason=EVIL),),
            "measures": (wire.Measure(name=EVIL, role="candidate", unit=EVIL, value=1.0),),
            "verdict": test.verdict.model_copy(update={"reason": EVIL}),
        }
    )
    seen = test.witness.model_copy(update={"source": EVIL, "agreement": EVIL, "notes": (EVIL,)})
    whole = [
        load_words.what_it_takes(evil),
        load_words.what_it_takes(evil.model_copy(update={"witness": None})),
        load_words.made(evil),
        load_words.by_rules(evil),
        load_words.witness(seen),
        load_words.measures(evil, load_series.MEASURES["end-to-end"], {}, {"candidate": EVIL, "live": EVIL}),
    ]
    assert "<img" not in "".join(whole)


@pytest.mark.parametrize(
    ("agreement", "word"), [("agrees", "agrees"), ("contaminated", "other traffic"), ("missing", "saw too little"), ("unknown", "no count")]
)
def test_the_witness_s_word_is_never_colour_alone(agreement: str, word: str) -> None:
    seen = console_load_tests.passed().witness
    assert seen is not None
    assert word in load_words.witness(seen.model_copy(update={"agreement": agreement}))


@pytest.mark.parametrize(
    ("load", "unit"),
    [("10 requests in flight", "requests in flight"), ("4 requests/s, Poisson", "requests a second"), ("", "requests in flight")],
)
def test_a_sweep_s_unit_follows_the_load(load: str, unit: str) -> None:
    assert load_words.load_unit(console_load_tests.passed().model_copy(update={"load": load})) == unit
