"""Performance: is it fast enough, and how sure are we? Gate 2 of one version."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from console import charts, components, markup, reads, session, tables
from controlplane import wire
from controlplane.core import errors

_QUESTION = "Is it fast enough, and how sure are we?"
# Title, unit, PromQL. vLLM's labels name the base model, never the adapter: the panels show the server during the test.
_PANELS = (
    ("Requests running", "requests", "sum(vllm:num_requests_running)"),
    ("Requests finished", "requests/s", "sum(rate(vllm:request_success_total[1m]))"),
    ("P95 end-to-end", "s", "histogram_quantile(0.95, sum by (le) (rate(vllm:e2e_request_latency_seconds_bucket[1m])))"),
    ("P95 time to first token", "s", "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))"),
)


def draw() -> None:
    place = st.empty()
    left, right = st.columns(2)
    with left:
        model = components.choose_model("performance")
    if not model:
        return
    with right:
        number = components.choose_newest("performance", reads.versions(model), ("perf-passed", "perf-failed", "live"))
    if number is None:
        return
    try:
        performance = reads.performance(model, number)
    except errors.NotFound:
        _not_run(place, model, number)
        return
    with place:
        components.headline(_QUESTION, _answer(performance), components.outcome_tone(performance.verdict.outcome))
    _card(performance)
    _distributions(performance)
    _timeline(performance)
    _prometheus(performance)


def _not_run(place: st.delta_generator.DeltaGenerator, model: str, number: int) -> None:
    with place:
        components.headline(_QUESTION, f"Nobody knows yet: Gate 2 was never run for {model} v{number}.", "broken")
    components.empty("No load test of this version.", "Pass Gate 1 first, then launch the performance workflow.")
    components.link("launch", "Launch the load test", ":material/play_circle:", workflow="performance")


def _answer(performance: wire.Performance) -> str:
    name = f"{performance.model} v{performance.version}"
    words = {
        "pass": "is fast enough",
        "fail": "is not fast enough",
        "inconclusive": "cannot be judged yet",
        "error": "was not measured: the tool broke",
    }
    against = f" beside v{performance.baseline_version}" if performance.baseline_version else ", with no baseline"
    sent = tables.count(len(performance.samples), "request")
    return f"{name} {words[performance.verdict.outcome]}: {tables.tally(performance.verdict)} Measured with {sent}{against}."


def _card(performance: wire.Performance) -> None:
    concurrency = performance.parameters.get("concurrency", "")
    footer = [
        f"baseline: {markup.role('live', performance.baseline_version)}" if performance.baseline_version else "no baseline",
        *([f"{markup.text(concurrency)} requests in flight"] if concurrency else []),
        f"took {tables.seconds((performance.ended_at - performance.at).total_seconds())}",
        f"MLflow run {markup.identifier(performance.mlflow_run)}",
        markup.when(performance.at, session.now()),
    ]
    st.html(markup.verdict(performance.verdict, f"Gate 2, performance · {performance.model} v{performance.version}", footer))


def _distributions(performance: wire.Performance) -> None:
    for column, (title, what, words, measure) in zip(
        st.columns(2, gap="large"),
        (
            ("End-to-end latency", "latency", "latency", _total_seconds),
            ("Time to first token", "time to first token", "ttft", _first_token_seconds),
        ),
        strict=True,
    ):
        sides = {
            name: [value for sample in samples if not sample.error and (value := measure(sample)) is not None]
            for name, samples in _sides(performance).items()
        }
        floor, baseline = (tables.limit(performance.verdict, words, against) for against in ("floor", "baseline"))
        with column:
            components.title(title)
            figure = charts.distribution(sides, what, floor, components.colours(), baseline)
            st.plotly_chart(figure, key=f"performance_{words}", theme=None)


def _total_seconds(sample: wire.Sample) -> float | None:
    return sample.total_seconds


def _first_token_seconds(sample: wire.Sample) -> float | None:
    return sample.first_token_seconds


def _sides(performance: wire.Performance) -> dict[str, tuple[wire.Sample, ...]]:
    return {"candidate": performance.samples, "live": performance.baseline_samples}


def _timeline(performance: wire.Performance) -> None:
    components.title("The test, request by request")
    st.plotly_chart(charts.timeline(_sides(performance), components.colours()), key="performance_timeline", theme=None)
    failed = sum(bool(sample.error) for sample in performance.samples)
    limits = "every request succeeded" if not failed else f"{tables.count(failed, 'request')} failed"
    beside = " Live's requests come from the baseline's own test; both clocks start at zero." if performance.baseline_samples else ""
    st.caption(f"Candidate: {limits}.{beside}")


def _prometheus(performance: wire.Performance) -> None:
    components.title("The server during the test")
    start, end = performance.at - timedelta(seconds=30), performance.ended_at + timedelta(seconds=30)
    step = max(5.0, round((end - start).total_seconds() / 120))
    try:
        found = [(title, unit, reads.series(query, start, end, step)) for title, unit, query in _PANELS]
    except (errors.Unreachable, errors.OutsideError, errors.NotFound, errors.Refused, errors.InvalidInput) as error:
        components.empty("No Prometheus series.", f"{error}")
        return
    for column, (title, unit, items) in zip(st.columns(2, gap="large") * 2, found, strict=True):
        with column:
            st.caption(title)
            st.plotly_chart(charts.series(items, unit, components.colours()), key=f"performance_{title}", theme=None)


draw()
