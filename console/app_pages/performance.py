"""Performance: is it fast enough, and how sure are we? Gate 2 of one version."""

from __future__ import annotations

from collections.abc import Callable

import pandas
import streamlit as st

from console import (
    check_charts,
    components,
    figures,
    live_panels,
    load_charts,
    load_series,
    load_words,
    markup,
    readable,
    reads,
    server_charts,
    session,
    surety,
    tables,
)
from controlplane import wire
from controlplane.core import errors

_QUESTION = "Is it fast enough, and how sure are we?"
_SHAPES = ("distribution", "cumulative")
_AXES = {"load": "load", "throughput": "throughput"}
_SIDES = ("both sides", "candidate", "live")
_ORDERS = ("as sent", "slowest first", "failed only")
_MOST_ROWS = 1000
_HOW_TO_SWEEP = "Launch the performance workflow with the parameter sweep, such as: gatewright launch performance -p sweep=1,2,4,8"


def draw() -> None:
    place = st.empty()
    left, right = st.columns(2)
    with left:
        model = components.choose_model("performance")
    if not model:
        return
    versions = reads.versions(model)
    with right:
        number = components.choose_newest("performance", versions, ("perf-passed", "perf-failed", "live"))
    if number is None:
        return
    run = next((one.tags.get("performance-run", "") for one in versions if one.number == number), "")
    try:
        performance = reads.performance(model, number, run)
    except errors.NotFound:
        _not_run(place, model, number)
        return
    with place:
        components.headline(_QUESTION, load_words.answer(performance), components.outcome_tone(performance.verdict.outcome))
    _look(performance)
    _sure(performance)
    for part in (_latency, _timeline, _saturation):
        _alone(part, performance)
    _witness(performance)
    components.title("The server, live")
    live_panels.draw((performance.at, performance.ended_at))
    _alone(_samples, performance)


def _not_run(place: st.delta_generator.DeltaGenerator, model: str, number: int) -> None:
    with place:
        components.headline(_QUESTION, f"Nobody knows yet: Gate 2 was never run for {model} v{number}.", "broken")
    components.empty("No load test of this version.", "Pass Gate 1 first, then launch the performance workflow.")
    components.link("launch", "Launch the load test", ":material/play_circle:", workflow="performance")


def _alone(part: Callable[[wire.Performance], None], performance: wire.Performance) -> None:
    """A part whose switches draw it anew and nothing else."""
    st.fragment(part)(performance)


def _look(performance: wire.Performance) -> None:
    """Verdict and its checks as a picture, side by side."""
    left, right = st.columns([8, 5], gap="medium")
    with left:
        _card(performance)
    with right:
        components.title("Each check against its limit")
        st.plotly_chart(check_charts.checks(performance.verdict, components.colours()), key="performance_checks", theme=None)
        if undrawn := load_words.undrawn(performance.verdict):
            st.caption(undrawn)


def _card(performance: wire.Performance) -> None:
    shown = performance.verdict
    if load_words.is_open(shown) and any(check.outcome == "inconclusive" for check in shown.checks):
        shown = shown.model_copy(update={"reason": "What is open, and what would close it, stands below."})
    footer = [
        *([f"data: {markup.text(performance.dataset.name)}"] if performance.dataset else []),
        f"took {readable.seconds((performance.ended_at - performance.at).total_seconds())}",
        f"MLflow run {markup.identifier(performance.mlflow_run)}",
        markup.when(performance.at, session.now()),
    ]
    st.html(markup.verdict(shown, f"Gate 2, performance · {performance.model} v{performance.version}", footer, is_compact=True))


def _sure(performance: wire.Performance) -> None:
    """What would decide, how the baseline was made, whether the server agrees, and what other rules say, in blocks side by side."""
    blocks = [load_words.what_it_takes(performance)] if load_words.is_open(performance.verdict) else []
    blocks += [load_words.made(performance), load_words.witness(performance.witness)]
    blocks += [load_words.by_rules(performance)] if performance.others else []
    st.html(surety.beside(blocks))


def _latency(performance: wire.Performance) -> None:
    components.title("How long requests took")
    measured, shape = _switches()
    sides = {side: load_series.times(samples, measured) for side, samples in _sides(performance).items()}
    names = _names(performance)
    is_log = load_series.is_wide(list(sides.values()))
    limits = load_words.limits(performance.verdict, measured, sides)
    picture = load_charts.histogram if shape == "distribution" else load_charts.cumulative
    left, right = st.columns([2, 1], gap="large")
    with left:
        figure = picture(sides, names, measured.title.lower(), limits, components.colours(), is_log)
        st.plotly_chart(figure, key="performance_latency", theme=None)
    with right:
        if found := load_words.measures(performance, measured, sides, names):
            st.html(found)
        st.caption(_about(measured))


def _switches() -> tuple[load_series.Measured, str]:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    measure = _switch(left, "Measure", list(load_series.MEASURES), "measure")
    return load_series.MEASURES[measure], _switch(right, "Shape", _SHAPES, "shape")


def _switch(place: st.delta_generator.DeltaGenerator, label: str, options: tuple[str, ...] | list[str], name: str) -> str:
    """One of a few, written into the page's address."""
    key = f"performance_{name}"
    session.chosen(options, key, name)
    given = place.segmented_control(label, options, key=key, required=True, on_change=session.remember, args=(key, name))
    return given or options[0]


def _about(measured: load_series.Measured) -> str:
    mean = " The curve shows each request's mean time between tokens, the table single ones." if measured.stem == "token_gap" else ""
    return f"Successful, counted requests, from the moment each was due.{mean}"


def _sides(performance: wire.Performance) -> dict[str, tuple[wire.Sample, ...]]:
    return {"candidate": performance.samples, "live": performance.baseline_samples}


def _names(performance: wire.Performance) -> dict[str, str]:
    return figures.version_names(performance.version, performance.baseline_version)


def _timeline(performance: wire.Performance) -> None:
    components.title("The test over its time")
    figure = load_charts.timeline(performance, _names(performance), components.colours())
    st.plotly_chart(figure, key="performance_timeline", theme=None)
    st.caption(load_words.timeline(performance))


def _saturation(performance: wire.Performance) -> None:
    components.title("Latency against load")
    if not performance.sweep:
        components.empty("No sweep over loads was run.", _HOW_TO_SWEEP)
        return
    limits = tables.load_limits(performance.verdict)
    unit = load_words.load_unit(performance)
    st.markdown(f"**{load_words.saturation(performance.sweep, limits, unit)}**")
    axis = _switch(st.container(), "Against", list(_AXES), "against")
    name = _names(performance)["candidate"]
    figure = server_charts.saturation(performance.sweep, limits, axis, unit, components.colours(), name)
    st.plotly_chart(figure, key="performance_saturation", theme=None)
    st.caption("Goodput: requests that succeeded within all limits, as a share of those sent.")


def _witness(performance: wire.Performance) -> None:
    """What the server's own histograms and counters say beside the raw samples."""
    seen = performance.witness
    components.title("What the server itself counted")
    if seen is None or not (seen.quantiles or seen.values):
        components.empty(
            "The server's own numbers of this test are not there.", "They are recorded where Prometheus or /metrics can be read."
        )
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        exact = load_words.exact(performance)
        st.plotly_chart(server_charts.witness(seen, exact, components.colours()), key="performance_witness", theme=None)
        st.caption("The server knows neither side nor warm-up: all requests of this test, each from when it left.")
    with right:
        st.html(markup.facts([(name, markup.text(value)) for name, value in load_words.witness_values(seen)]))


def _samples(performance: wire.Performance) -> None:
    components.title("Requests, one by one")
    failed = {side: load_series.failures(samples) for side, samples in _sides(performance).items()}
    left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
    side, order = _switch(left, "Of", _SIDES, "of"), _switch(middle, "Show", _ORDERS, "requests")
    rows = load_series.listed(_sides(performance), side, order)
    right.download_button(
        "Export as CSV",
        lambda: tables.samples_csv(rows),
        f"{performance.model}-v{performance.version}-requests.csv",
        "text/csv",
        key="performance_export",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(load_words.failed(failed, _names(performance)))
    if not rows:
        components.empty("No request matches.", "Choose another side or order.")
        return
    st.dataframe(
        pandas.DataFrame([tables.sample_cells(role, sample) for role, sample in rows[:_MOST_ROWS]]),
        hide_index=True,
        height=min(38 + 35 * len(rows), 320),
        key="performance_table",
        alt="Requests of the load test",
    )
    if len(rows) > _MOST_ROWS:
        st.caption(f"The first {_MOST_ROWS:,} of {len(rows):,} requests; the export has all.")


draw()
