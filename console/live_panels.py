"""Draws the server's panels for a window the reader chooses, refreshed by themselves while it is now. A part of the Performance page."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from console import components, panels, reads, session
from controlplane import wire
from controlplane.core import errors

_FAULTS = (errors.Unreachable, errors.OutsideError, errors.NotFound, errors.Refused, errors.InvalidInput)
Tested = tuple[datetime, datetime]


def draw(tested: Tested) -> None:
    """Choices, then the panels as a part that refreshes alone.

    Args:
        tested: when the load test began and ended.
    """
    choice, refresh = _choices()
    chosen = _chosen(tested) if choice == panels.CHOSEN else None
    first = panels.window(choice, session.now(), tested, chosen)

    def part() -> None:
        now = session.now()
        shown = panels.window(choice, now, tested, chosen)
        _panels(shown, tested)
        st.html(f'<div class="gw-fresh">{panels.freshness(refresh, shown, now)}</div>')

    st.fragment(part, run_every=panels.refresh_seconds(refresh, first))()


def _choices() -> tuple[str, str]:
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    session.chosen(panels.WINDOWS, "performance_window", "window")
    session.chosen(list(panels.REFRESHES), "performance_refresh", "refresh", "30 s")
    window = left.segmented_control(
        "Window",
        panels.WINDOWS,
        key="performance_window",
        required=True,
        on_change=session.remember,
        args=("performance_window", "window"),
    )
    refresh = right.segmented_control(
        "Refresh",
        list(panels.REFRESHES),
        key="performance_refresh",
        required=True,
        on_change=session.remember,
        args=("performance_refresh", "refresh"),
    )
    return window or panels.TEST, refresh or "off"


def _chosen(tested: Tested) -> Tested:
    """The reader's own start and end, the test's until there are any; times are UTC."""
    found = []
    for column, (label, name, default) in zip(
        st.columns([1, 1, 2]), (("From (UTC)", "from", tested[0]), ("Until (UTC)", "until", tested[1])), strict=False
    ):
        key = f"performance_{name}"
        st.session_state[key] = (panels.moment(session.parameter(name)) or default).astimezone(UTC).replace(tzinfo=None, microsecond=0)
        given = column.datetime_input(label, key=key, step=60, on_change=_remember, args=(key, name))
        found.append((given or default).replace(tzinfo=UTC))
    return found[0], found[1]


def _remember(key: str, name: str) -> None:
    given = st.session_state.get(key)
    if given is not None:
        st.query_params[name] = f"{given:%Y-%m-%dT%H:%M:%S}"


def _panels(shown: panels.Window, tested: Tested) -> None:
    try:
        found = [(panel, _series(panels.query(panel, shown), shown)) for panel in panels.PANELS]
        if not any(items for _, items in found):
            _nothing(shown)
            return
    except _FAULTS as error:
        components.empty("Prometheus cannot be asked.", str(error))
        return
    drawn = [(panel, items) for panel, items in found if items or not panel.is_optional]
    for place in range(0, len(drawn), 2):
        for column, (panel, items) in zip(st.columns(2, gap="large"), drawn[place : place + 2], strict=False):
            with column:
                st.caption(f"{panel.title} ({panel.unit})")
                figure = panels.figure(panel, items, shown, components.colours(), tested)
                st.plotly_chart(figure, key=f"performance_panel_{panel.title}", theme=None)


def _series(query: str, shown: panels.Window) -> list[wire.Series]:
    return reads.series(query, shown.start, shown.end, shown.step_seconds)


def _nothing(shown: panels.Window) -> None:
    """An empty window is one thing, a Prometheus that does not know the server another."""
    last = panels.window("5 min", session.now(), (shown.start, shown.end))
    if _series(panels.KNOWN, last):
        components.empty("No points in this window.", "Prometheus knows the server, but not at this time. Choose another window.")
    else:
        components.empty(
            "Prometheus has no series of vLLM.",
            "It answers, but scrapes no vLLM server (nothing in a day). Add the server's /metrics to its targets.",
        )
