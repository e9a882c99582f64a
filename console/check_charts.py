"""Plotly figure of a load test's checks, each with its interval against its limit. Values in, a figure out; draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
import plotly.subplots

from console import figures, tables, theme
from controlplane import wire

_KINDS = {
    "floor": "value as a share of its limit (%)",
    "ratio": "candidate / baseline (1: equal)",
    "difference": "candidate minus baseline (pp)",
}
# Of the smallest share of a limit to the largest: beyond it the axis is logarithmic.
_WIDE = 30.0


def checks(verdict: wire.Verdict, colours: theme.Palette) -> go.Figure:
    """Each check with its interval against its limit, in panels: values as a share of their floors, ratios to the baseline, differences."""
    shown = [check for check in verdict.checks if check.value is not None and (check.limit or tables.is_difference(check.name))]
    groups = [(kind, [check for check in shown if _kind(check) == kind]) for kind in _KINDS]
    groups = [(kind, found) for kind, found in groups if found]
    if not groups:
        return figures.or_empty(figures.bare(colours, height=180), [], colours)
    rows = [len(found) for _, found in groups]
    panels = plotly.subplots.make_subplots(
        rows=len(groups), cols=1, row_heights=[n + 0.8 for n in rows], vertical_spacing=0.27 / len(groups)
    )
    figure = figures.bare(colours, height=44 + 36 * sum(rows) + 58 * len(groups), figure=panels)
    for row, (kind, found) in enumerate(groups, start=1):
        _panel(figure, row, kind, found, colours)
    limit = {"symbol": "line-ns", "size": 20, "line": {"color": colours.text, "width": 2}}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=limit, name="limit")
    return figure.update_layout(margin={"t": 26, "b": 6})


def _kind(check: wire.Check) -> str:
    if check.unit == "x":
        return "ratio"
    return "difference" if tables.is_difference(check.name) else "floor"


def _scaled(check: wire.Check, value: float) -> float:
    """On the axis of its panel."""
    return {"floor": 100 * value / (check.limit or 1.0), "ratio": value, "difference": 100 * value}[_kind(check)]


def _panel(figure: go.Figure, row: int, kind: str, found: Sequence[wire.Check], colours: theme.Palette) -> None:
    middle = {"ratio": 1.0, "difference": 0.0}.get(kind)
    ends = [end for check in found for end in _ends(check)] + ([] if middle is None else [middle])
    is_log = kind == "floor" and min(ends) > 0 and max(ends) > _WIDE * min(ends)
    for place, check in enumerate(found):
        _row(figure, row, place, check, is_log, colours)
    if middle is not None:
        figure.add_vline(x=middle, line={"color": colours.muted, "width": 1, "dash": "dot"}, row=row, col=1)
    names = [
        f"{tables.bare_name(check.name)} {tables.comparison(check.comparison)} {tables.of_check(check, check.limit)}" for check in found
    ]
    figure.update_yaxes(
        range=[len(found) - 0.5, -0.8], tickvals=list(range(len(found))), ticktext=names, ticksuffix="  ", zeroline=False, row=row, col=1
    )
    axis = figures.LOG_AXIS if is_log else {}
    figure.update_xaxes(title_text=_KINDS[kind], range=_reach(ends, kind, is_log), zeroline=False, title_standoff=4, row=row, col=1, **axis)


def _ends(check: wire.Check) -> list[float]:
    """Everything of a check that has a place on its axis."""
    bounds = [check.interval.low, check.interval.high] if check.interval else []
    return [_scaled(check, end) for end in (check.value or 0.0, check.limit, *bounds)]


def _reach(ends: Sequence[float], kind: str, is_log: bool) -> tuple[float, float]:
    if is_log:
        return math.log10(min(ends) * 0.7), math.log10(max(ends) * 1.6)
    room = 0.12 * (max(ends) - min(ends)) or 1.0
    return (0.0 if kind == "floor" else min(ends) - room), max(ends) + room


def _row(figure: go.Figure, row: int, place: int, check: wire.Check, is_log: bool, colours: theme.Palette) -> None:
    """The interval as a bar, the value on it, a tick at the limit, and the interval in words above."""
    tone = {"pass": colours.good, "fail": colours.bad}.get(check.outcome, colours.unsure)
    value, limit, *bounds = _ends(check)
    said = tables.span(check.interval, check) if check.interval else tables.of_check(check, check.value)
    level = f", {check.interval.level:.0%} interval {said}" if check.interval else ""
    hover = f"{check.name}: {tables.of_check(check, check.value)}{level}: {check.outcome}<extra></extra>"
    symbol = {"pass": "circle", "fail": "x"}.get(check.outcome, "circle-open")
    tick = {"symbol": "line-ns", "size": 22, "line": {"color": colours.text, "width": 2}}
    at = {"showlegend": False, "row": row, "col": 1}
    if bounds:
        figure.add_scatter(x=bounds, y=[place] * 2, mode="lines", line={"color": tone, "width": 5}, hoverinfo="skip", **at)
    marker = {"color": tone, "symbol": symbol, "size": 12}
    figure.add_scatter(x=[value], y=[place], mode="markers", marker=marker, cliponaxis=False, hovertemplate=hover, **at)
    told = f"limit {tables.of_check(check, check.limit)}<extra></extra>"
    figure.add_scatter(x=[limit], y=[place], mode="markers", marker=tick, hovertemplate=told, **at)
    # An annotation on a logarithmic axis stands at the logarithm.
    x = math.log10(value) if is_log else value
    figure.add_annotation(x=x, y=place, text=said, yshift=16, showarrow=False, bgcolor=colours.background, borderpad=1, row=row, col=1)
