"""What a figure shows: the right values, one colour for each side in both modes, units on the axes, an empty state in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_fakes import MODEL, FakeClient
from plotly import graph_objects as go

from console import charts, tables, theme
from controlplane import wire

MODES = (theme.LIGHT, theme.DARK)


def test_checks_of_any_unit_share_one_axis() -> None:
    figure = charts.checks(FakeClient().performance(MODEL, 6).verdict, theme.LIGHT)
    assert figure.data[0].x[0] == pytest.approx(100 * 3.12 / 8)
    assert figure.data[0].y[0] == "P95 latency < 8 s"
    assert figure.data[0].y[4] == "P95 latency vs baseline ≤ 3.45 s (baseline)"


def test_intervals_are_drawn_as_error_bars() -> None:
    verdict = FakeClient().evaluation(MODEL, 6).verdict
    bars = charts.checks(verdict, theme.LIGHT).data[0].error_x
    assert bars.array[0] == pytest.approx(100 * (0.91 - 0.857) / 0.83)
    assert bars.arrayminus[0] == pytest.approx(100 * (0.857 - 0.79) / 0.83)


def test_grades_of_a_side_add_up_to_all() -> None:
    figure = charts.grades(tables.grade_counts(FakeClient().evaluation(MODEL, 6).rows), theme.LIGHT)
    for position in range(2):
        assert sum(trace.x[position] for trace in figure.data) == pytest.approx(100)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.checks(wire.Verdict(gate="evaluation", rules="point", outcome="error", reason="", checks=()), theme.LIGHT),
        lambda: charts.grades({}, theme.LIGHT),
        lambda: charts.curve({}, "loss", theme.LIGHT),
        lambda: charts.kappas((), theme.LIGHT),
    ],
)
def test_an_empty_figure_says_so(draw: Callable[[], go.Figure]) -> None:
    figure = draw()
    assert not figure.layout.xaxis.visible
    assert figure.layout.annotations[-1].text == "Nothing was measured."


def test_differences_show_each_interval_beside_its_limit() -> None:
    interval = wire.Interval(low=-0.01, high=0.07, level=0.95)
    live = wire.Check(
        name="A-rate, candidate - live",
        value=0.03,
        comparison=">=",
        limit=-0.02,
        unit="%",
        outcome="pass",
        against="live",
        interval=interval,
    )
    other = live.model_copy(update={"name": "net preference, candidate - live"})
    found = [
        wire.Difference(check=live, reading="pointwise", decides=True),
        wire.Difference(check=other, reading="pairwise", decides=False),
    ]
    figure = charts.differences(found[:1], theme.LIGHT)
    assert [list(trace.x) for trace in figure.data] == [[-1.0, 7.000000000000001], [3.0], [-2.0]]
    assert figure.data[1].y == ("A-rate (≥ -2.0)",)
    assert [note.text for note in figure.layout.annotations] == ["-1.0 … +7.0"]
    assert figure.data[1].marker.color == theme.LIGHT.good
    muted = charts.differences(found, theme.LIGHT).data[3]
    assert (muted.y, muted.marker.symbol, muted.marker.color) == (("net preference (≥ -2.0)",), "diamond-open", theme.LIGHT.muted)


def test_a_judge_s_kappa_stands_beside_what_is_required() -> None:
    figure = charts.kappas(FakeClient().calibrations(), theme.LIGHT)
    trusted, doubted = figure.data[1], figure.data[3]
    assert (trusted.x, trusted.text, trusted.marker.symbol) == ((0.91,), ("0.91 (0.85 … 0.97)",), "circle")
    assert (doubted.marker.symbol, doubted.marker.color) == ("x", theme.LIGHT.bad)
    assert (figure.data[4].name, figure.data[4].x) == ("required", (0.6, 0.6))
    assert figure.layout.xaxis.range[0] == 0


@pytest.mark.parametrize("colours", MODES)
def test_confused_grades_are_counted_in_readable_cells(colours: theme.Palette) -> None:
    figure = charts.confusion(FakeClient().calibrations()[0], colours)
    assert list(figure.data[0].x) == ["A", "B", "C", "unscored"]
    cells = {(note.x, note.y): (note.text, note.font.color) for note in figure.layout.annotations}
    assert cells[0, 0] == ("58", colours.background)
    assert cells[2, 0] == ("6", colours.text)
    assert len(cells) == 12


def test_kinds_say_how_many_were_graded_right() -> None:
    bars = charts.kinds(FakeClient().calibrations()[0], theme.LIGHT).data[0]
    assert list(bars.y) == ["exact", "padded"]
    assert list(bars.text) == ["18 of 18", "12 of 18"]
    assert list(bars.x) == pytest.approx([100, 66.667], abs=0.001)
