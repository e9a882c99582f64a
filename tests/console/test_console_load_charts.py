"""What the figures of a load test show: the right values, each side's colour and version, units, limits, an empty state in words."""

from __future__ import annotations

from collections.abc import Callable

import console_load_tests
import numpy
import pytest
from console_fakes import MODEL, FakeClient
from plotly import graph_objects as go

from console import check_charts, load_charts, load_series, load_words, server_charts, theme
from controlplane import wire

MODES = (theme.LIGHT, theme.DARK)
NAMES = {"candidate": "candidate v6", "live": "live v5"}
ONE_TO_HUNDRED = numpy.arange(1.0, 101.0)


def _notes(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def _trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(trace for trace in figure.data if trace.name == name)


@pytest.mark.parametrize("draw", [load_charts.histogram, load_charts.cumulative])
@pytest.mark.parametrize("colours", MODES)
def test_candidate_and_live_have_their_own_colour_and_version(draw: Callable[..., go.Figure], colours: theme.Palette) -> None:
    figure = draw({"candidate": numpy.array([1.0, 2.0]), "live": numpy.array([1.5])}, NAMES, "latency", {}, colours, False)
    assert _trace(figure, "candidate v6 (2 requests)").line.color == colours.candidate
    assert _trace(figure, "live v5 (1 requests)").line.color == colours.live
    timeline = load_charts.timeline(console_load_tests.passed(), NAMES, colours)
    assert _trace(timeline, "P95 candidate v6").line.color == colours.candidate
    assert _trace(timeline, "P95 live v5").line.color == colours.live


@pytest.mark.parametrize("draw", [load_charts.histogram, load_charts.cumulative])
def test_a_distribution_names_each_p95_and_the_limits_in_seconds(draw: Callable[..., go.Figure]) -> None:
    figure = draw({"candidate": ONE_TO_HUNDRED}, NAMES, "latency", {"limit": 120.0}, theme.LIGHT, False)
    assert {"P95 candidate v6 1 min 35 s", "limit 2 min"} <= set(_notes(figure))
    assert figure.layout.xaxis.title.text == "latency (s)"
    assert figure.layout.yaxis.title.text == "share of requests (%)"


def test_a_limit_far_away_is_named_without_stretching_the_axis() -> None:
    figure = load_charts.histogram({"candidate": numpy.array([0.2, 0.3])}, NAMES, "latency", {"limit": 8.0}, theme.LIGHT, False)
    assert "limit 8.0 s →" in _notes(figure)
    assert all(shape.x0 < 1 for shape in figure.layout.shapes)


def test_shares_of_a_histogram_add_up_to_all() -> None:
    figure = load_charts.histogram({"candidate": ONE_TO_HUNDRED, "live": ONE_TO_HUNDRED * 3}, NAMES, "latency", {}, theme.LIGHT, False)
    bars = [trace for trace in figure.data if trace.mode == "markers"]
    assert [sum(trace.y) for trace in bars] == pytest.approx([100, 100])


def test_a_curve_crosses_95_percent_at_its_p95() -> None:
    figure = load_charts.cumulative({"candidate": ONE_TO_HUNDRED}, NAMES, "latency", {}, theme.LIGHT, False)
    curve = figure.data[0]
    assert float(numpy.interp(95, curve.y, curve.x)) == pytest.approx(95)
    assert any(shape.y0 == 95 for shape in figure.layout.shapes)


def test_labels_stand_at_their_lines_on_a_logarithmic_axis() -> None:
    figure = load_charts.histogram({"candidate": ONE_TO_HUNDRED}, NAMES, "latency", {"limit": 100.0}, theme.LIGHT, True)
    assert figure.layout.xaxis.type == "log"
    label = next(note for note in figure.layout.annotations if note.text.startswith("limit"))
    assert label.x == pytest.approx(2.0)


def test_checks_are_drawn_in_their_own_panels_with_intervals_and_limits() -> None:
    verdict = console_load_tests.passed().verdict
    figure = check_charts.checks(verdict, theme.LIGHT)
    titles = [figure.layout[name].title.text for name in ("xaxis", "xaxis2", "xaxis3")]
    assert titles == ["value as a share of its limit (%)", "candidate / baseline (1: equal)", "candidate minus baseline (pp)"]
    ticks = [trace.x[0] for trace in figure.data if trace.marker.symbol == "line-ns" and trace.x[0] is not None]
    assert ticks == pytest.approx([100, 100, 100, 100, 1.15, 1.15, 0.85, -2.0])
    bars = [trace.x for trace in figure.data if trace.mode == "lines"]
    assert len(bars) == len(verdict.checks)
    ratio = verdict.checks[4]
    assert ratio.interval is not None
    assert bars[4] == (ratio.interval.low, ratio.interval.high)
    assert figure.layout.yaxis2.ticktext[0] == "P95 latency ≤ 1.15×"


def test_shares_far_apart_share_a_logarithmic_axis() -> None:
    verdict = console_load_tests.passed().verdict
    far = verdict.checks[0].model_copy(update={"value": 0.08, "interval": wire.Interval(low=0.07, high=0.09, level=0.95)})
    figure = check_charts.checks(verdict.model_copy(update={"checks": (far, verdict.checks[2])}), theme.LIGHT)
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.annotations[0].x == pytest.approx(0)
    ticks = dict(zip(figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext, strict=True))
    assert (ticks[20.0], ticks[0.05]) == ("20", "0.05")
    assert figure.data[1].x == (pytest.approx(1.0),)


def test_a_check_without_a_value_is_named_instead_of_drawn() -> None:
    verdict = console_load_tests.passed().verdict
    unknown = verdict.checks[0].model_copy(update={"value": None, "interval": None})
    assert load_words.undrawn(verdict.model_copy(update={"checks": (unknown, *verdict.checks[1:])})).endswith("measured: P95 latency.")
    assert load_words.undrawn(verdict) == ""


def test_a_check_of_an_older_version_needs_no_interval() -> None:
    figure = check_charts.checks(FakeClient().performance(MODEL, 6).verdict, theme.LIGHT)
    assert figure.data[0].x[0] == pytest.approx(100 * 3.12 / 8)
    assert figure.layout.yaxis.ticktext[0] == "P95 latency < 8 s"


@pytest.mark.parametrize(("outcome", "symbol"), [("pass", "circle"), ("fail", "x"), ("inconclusive", "circle-open")])
def test_an_outcome_is_a_symbol_too(outcome: str, symbol: str) -> None:
    check = console_load_tests.passed().verdict.checks[0].model_copy(update={"outcome": outcome})
    verdict = console_load_tests.passed().verdict.model_copy(update={"checks": (check,)})
    assert check_charts.checks(verdict, theme.LIGHT).data[1].marker.symbol == symbol


def test_failed_requests_are_crosses_and_warm_ups_are_grey() -> None:
    test = console_load_tests.inconclusive()
    failed = sum(bool(sample.error) for sample in test.samples)
    assert failed
    figure = load_charts.timeline(test, NAMES, theme.LIGHT)
    crosses = _trace(figure, "candidate v6 failed")
    assert (crosses.marker.symbol, len(crosses.x)) == ("x", failed)
    assert _trace(figure, "not counted").marker.color == theme.LIGHT.muted


def test_turns_are_shaded_in_their_side_s_colour() -> None:
    test = console_load_tests.passed()
    figure = load_charts.timeline(test, NAMES, theme.LIGHT)
    names = {trace.name for trace in figure.data}
    assert {"candidate's turn", "live's turn", "warm-up and ramp"} <= names
    starts = {shape.x0 for shape in figure.layout.shapes}
    assert {stretch.begin for stretch in load_series.stretches(test)} == starts
    older = load_charts.timeline(console_load_tests.stored(), NAMES, theme.LIGHT)
    assert not older.layout.shapes


def test_late_sending_has_a_panel_when_there_is_any() -> None:
    assert "yaxis3" not in load_charts.timeline(console_load_tests.passed(), NAMES, theme.LIGHT).layout.to_plotly_json()
    late = load_charts.timeline(console_load_tests.swept(), NAMES, theme.LIGHT)
    assert late.layout.yaxis3.title.text == "sent late (s)"
    assert max(late.data[-1].y) == pytest.approx(max(one.delay_seconds for one in console_load_tests.swept().samples))


def test_twenty_thousand_requests_are_drawn_by_a_few_and_computed_from_all() -> None:
    one = console_load_tests.passed().samples[0]
    many = tuple(one.model_copy(update={"at_seconds": n / 50, "total_seconds": 1 + n % 7, "is_counted": True}) for n in range(20_000))
    test = console_load_tests.stored().model_copy(update={"samples": many, "baseline_samples": (), "baseline": "none"})
    figure = load_charts.timeline(test, NAMES, theme.LIGHT)
    assert sum(len(trace.x) for trace in figure.data if trace.x is not None) < 5000
    assert set(_trace(figure, "P95 candidate v6").y) == {7.0}
    assert "893 of 20,000 requests are drawn" in load_words.timeline(test)


LIMITS = {"p95_latency_seconds": 8.0, "p95_ttft_seconds": 2.0, "success_rate": 0.99}


@pytest.mark.parametrize(("axis", "title", "place"), [("load", "requests in flight", 8.0), ("throughput", "throughput (answers/s)", 6.628)])
def test_the_highest_load_within_the_limits_is_marked(axis: str, title: str, place: float) -> None:
    points = console_load_tests.swept().sweep
    figure = server_charts.saturation(points, LIMITS, axis, "requests in flight", theme.LIGHT, "candidate v6")
    assert figure.layout.xaxis.title.text == title
    assert {round(shape.x0, 3) for shape in figure.layout.shapes if shape.x0 == shape.x1 and shape.x0 > 1} == {place}
    assert {shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1} == {8.0, 2.0}
    assert _trace(figure, "goodput (right)").y[-1] == pytest.approx(20)


def test_the_witness_s_bounds_stand_beside_the_exact_value() -> None:
    test = console_load_tests.passed()
    assert test.witness is not None
    exact = load_words.exact(test)
    figure = server_charts.witness(test.witness, exact, theme.LIGHT)
    assert figure.data[1].x == (2.5, 5.0)
    assert _trace(figure, "histogram_quantile's guess").x[1] == 4.21
    assert _trace(figure, "exact, from the samples").x[1] == exact["p95_latency_seconds"]
    assert _trace(figure, "exact, from the samples").y[1] == "P95 latency"


def test_an_open_bucket_is_said_to_be_open() -> None:
    seen = wire.Witness(
        source="", agreement="agrees", sent=1, finished=1, values={},
        quantiles={"p95_latency_seconds": wire.QuantileBounds(low=10, high=None, interpolated=10)},
    )  # fmt: skip
    figure = server_charts.witness(seen, {"p95_latency_seconds": 12.0}, theme.LIGHT)
    assert figure.data[0].hovertemplate.startswith("10 s and more")
    assert figure.data[0].x[1] > 12


@pytest.mark.parametrize(
    "draw",
    [
        lambda: check_charts.checks(wire.Verdict(gate="performance", rules="point", outcome="error", reason="", checks=()), theme.LIGHT),
        lambda: load_charts.histogram({"candidate": load_series.NONE}, NAMES, "latency", {"limit": 8.0}, theme.LIGHT, False),
        lambda: load_charts.cumulative({}, NAMES, "latency", {"limit": 8.0}, theme.LIGHT, False),
        lambda: load_charts.timeline(
            console_load_tests.passed().model_copy(update={"samples": (), "baseline_samples": ()}), NAMES, theme.LIGHT
        ),
        lambda: server_charts.saturation([], LIMITS, "load", "", theme.LIGHT, ""),
    ],
)
def test_an_empty_figure_says_so(draw: Callable[[], go.Figure]) -> None:
    figure = draw()
    assert not figure.layout.xaxis.visible
    assert figure.layout.annotations[-1].text == "Nothing was measured."
