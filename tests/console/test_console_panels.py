"""The live panels: which span a choice means now, when it refreshes, what Prometheus is asked, what a panel shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console import panels, theme
from controlplane import wire

NOW = datetime(2026, 3, 2, 14, 30, 3, tzinfo=UTC)
TESTED = (datetime(2026, 3, 2, 14, 2, tzinfo=UTC), datetime(2026, 3, 2, 14, 5, tzinfo=UTC))
CHOSEN = (datetime(2026, 3, 2, 12, 0, tzinfo=UTC), datetime(2026, 3, 2, 13, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("choice", "start", "end", "step", "is_past"),
    [
        ("5 min", "14:25:00", "14:30:00", 5, False),
        ("15 min", "14:15:00", "14:30:00", 6, False),
        ("60 min", "13:30:00", "14:30:00", 24, False),
        ("6 h", "08:28:48", "14:28:48", 144, False),
        ("the test", "14:01:30", "14:05:30", 5, True),
        ("chosen", "12:00:00", "13:00:00", 24, True),
        ("nonsense", "14:01:30", "14:05:30", 5, True),
    ],
)
def test_a_choice_means_a_span(choice: str, start: str, end: str, step: float, is_past: bool) -> None:
    found = panels.window(choice, NOW, TESTED, CHOSEN)
    assert f"{found.start:%H:%M:%S}" == start
    assert f"{found.end:%H:%M:%S}" == end
    assert (found.step_seconds, found.is_past) == (step, is_past)


def test_a_test_that_goes_on_is_not_past() -> None:
    assert not panels.window("the test", TESTED[1], TESTED).is_past


def test_a_span_given_backwards_is_turned_round() -> None:
    found = panels.window("chosen", NOW, TESTED, (CHOSEN[1], CHOSEN[0]))
    assert (found.start, found.end) == CHOSEN


def test_an_empty_span_has_one_step() -> None:
    found = panels.window("chosen", NOW, TESTED, (CHOSEN[0], CHOSEN[0]))
    assert found.end - found.start == timedelta(seconds=5)


def test_two_who_look_within_a_step_ask_the_same() -> None:
    one, other = (panels.window("5 min", NOW + timedelta(seconds=delay), TESTED) for delay in (0, 1.5))
    assert one == other


@pytest.mark.parametrize(
    ("choice", "is_past", "seconds", "words"),
    [
        ("5 s", False, 5.0, "as of 14:30:03 UTC, refreshed every 5 s."),
        ("off", False, None, "as of 14:30:03 UTC, not refreshed by itself."),
        ("30 s", True, None, "This is over: refreshing is paused."),
    ],
)
def test_the_past_is_asked_once(choice: str, is_past: bool, seconds: float | None, words: str) -> None:
    shown = panels.window("the test" if is_past else "5 min", NOW, TESTED)
    assert panels.refresh_seconds(choice, shown) == seconds
    assert words in panels.freshness(choice, shown, NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T12:00:00", CHOSEN[0]),
        ("2026-03-02T13:00:00+01:00", CHOSEN[0]),
        ("", None),
        ("yesterday", None),
    ],
)
def test_times_in_the_address_are_utc(text: str, expected: datetime | None) -> None:
    assert panels.moment(text) == expected


def test_rates_span_what_lies_between_two_points() -> None:
    rates = next(panel for panel in panels.PANELS if panel.unit == "requests/s")
    assert "[60s]" in panels.query(rates, panels.window("5 min", NOW, TESTED))
    assert "[288s]" in panels.query(rates, panels.window("6 h", NOW, TESTED))


def test_every_panel_has_its_own_question() -> None:
    shown = panels.window("5 min", NOW, TESTED)
    questions = [panels.query(panel, shown) for panel in panels.PANELS]
    assert len(set(questions)) == len(questions)
    assert not any("$" in question for question in questions)
    assert all(question.count("(") == question.count(")") for question in questions)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_a_panel_spans_the_window_and_shades_the_test(colours: theme.Palette) -> None:
    shown = panels.window("60 min", NOW, TESTED)
    items = [wire.Series(labels={"series": name}, points=((TESTED[0].timestamp(), 3.0),)) for name in ("running", "waiting")]
    figure = panels.figure(panels.PANELS[0], items, shown, colours, TESTED)
    assert [trace.name for trace in figure.data] == ["running", "waiting"]
    assert figure.data[0].y == (3.0,)
    assert figure.layout.xaxis.range == (shown.start, shown.end)
    assert figure.layout.yaxis.title.text == "requests"
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == TESTED


def test_a_window_without_the_test_shades_nothing() -> None:
    items = [wire.Series(labels={}, points=((NOW.timestamp(), 3.0),))]
    figure = panels.figure(panels.PANELS[0], items, panels.window("5 min", NOW, TESTED), theme.LIGHT, TESTED)
    assert not figure.layout.shapes
    assert figure.data[0].name == "all servers"


def test_a_panel_without_points_says_so() -> None:
    figure = panels.figure(panels.PANELS[0], [], panels.window("5 min", NOW, TESTED), theme.LIGHT, TESTED)
    assert not figure.layout.xaxis.visible
    assert figure.layout.annotations[-1].text == "No points in this window."
