"""Plotly figures of what the server bears and what it counted itself: a sweep over loads, the second witness. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import plotly.subplots

from console import figures, load_series, readable, tables, theme
from controlplane import wire


def saturation(
    points: Sequence[wire.LoadPoint], limits: Mapping[str, float], axis: str, unit: str, colours: theme.Palette, name: str
) -> go.Figure:
    """P95 latency and TTFT against load or throughput, beside goodput; limits are lines, the highest load within them is marked."""
    shown = [point for point in sorted(points, key=lambda point: point.load) if _place(point, axis) is not None]
    panels = plotly.subplots.make_subplots(rows=1, cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.09)
    figure = figures.bare(colours, height=330, figure=panels)
    if not shown:
        return figures.or_empty(figures.bare(colours), [], colours)
    inks = (("P95 latency", "p95_latency_seconds", colours.candidate, "solid"), ("P95 TTFT", "p95_ttft_seconds", colours.accent, "dot"))
    for words, field, ink, dash in inks:
        _sweep_line(figure, 1, shown, axis, unit, f"{name} {words}", [getattr(point, field) for point in shown], ink, dash, "s")
        if field in limits:
            line = {"color": ink, "width": 2, "dash": "dash"}
            label = f"limit {words} {readable.seconds(limits[field])}"
            figure.add_hline(
                y=limits[field], line=line, row=1, col=1, annotation_text=label, annotation_position="top left", annotation_font_color=ink
            )
    best = load_series.highest_load(shown, limits)
    if best is not None:
        figure.add_vline(x=_place(best, axis), line={"color": colours.good, "width": 2}, row="all", col="all")
        figure.add_annotation(
            x=_place(best, axis),
            y=1,
            yref="y domain",
            text="highest load within the limits",
            showarrow=False,
            xanchor="right",
            xshift=-5,
            font={"color": colours.good, "size": 12},
            bgcolor=colours.background,
        )
    shares = (("goodput (right)", "goodput", colours.candidate, "solid"), ("success rate (right)", "success_rate", colours.good, "dot"))
    for words, field, ink, dash in shares:
        values = [getattr(point, field) for point in shown]
        _sweep_line(figure, 2, shown, axis, unit, words, [None if v is None else 100 * v for v in values], ink, dash, "%")
    figure.update_yaxes(title_text="P95 (s)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="share of requests (%)", range=[0, 104], row=1, col=2)
    return figure.update_xaxes(title_text=unit if axis == "load" else "throughput (answers/s)", rangemode="tozero")


def witness(seen: wire.Witness, exact: Mapping[str, float | None], colours: theme.Palette) -> go.Figure:
    """Each quantile as the histogram bounds it, as Prometheus interpolates it, and as the raw samples have it."""
    shown = [(name, bounds, exact[name]) for name, bounds in seen.quantiles.items() if exact.get(name) is not None]
    rows = [tables.measure_title(name) for name, _, _ in shown]
    figure = figures.bare(colours, height=96 + 44 * max(1, len(shown)))
    reach = 1.25 * max((value or 0.0 for _, bounds, own in shown for value in (bounds.low, bounds.interpolated, own)), default=1.0)
    for row, (_, bounds, _) in zip(rows, shown, strict=True):
        high = reach * 1.1 if bounds.high is None else bounds.high
        open_end = " and more" if bounds.high is None else f" to {readable.seconds(bounds.high)}"
        figure.add_scatter(
            x=[bounds.low, high],
            y=[row, row],
            mode="lines",
            line={"color": colours.border, "width": 12},
            name="surely within",
            legendgroup="bounds",
            showlegend=row == rows[0],
            hovertemplate=f"{readable.seconds(bounds.low)}{open_end}<extra></extra>",
        )
    marks = (
        ("histogram_quantile's guess", [bounds.interpolated for _, bounds, _ in shown], "diamond-open", colours.unsure),
        ("exact, from the samples", [own for _, _, own in shown], "circle", colours.text),
    )
    for words, values, symbol, ink in marks:
        figure.add_scatter(
            x=values,
            y=rows,
            mode="markers",
            name=words,
            marker={"symbol": symbol, "size": 11, "color": ink, "line": {"width": 2}},
            hovertemplate=f"{words}: %{{x:.3g}} s<extra></extra>",
        )
    figure.update_xaxes(title_text="seconds", rangemode="tozero", zeroline=False)
    figure.update_yaxes(autorange="reversed", gridcolor="rgba(0,0,0,0)", ticksuffix="  ")
    return figures.or_empty(figure, shown, colours, "The server's histograms have nothing of this time.")


def _load_in_words(point: wire.LoadPoint, unit: str) -> str:
    requests = readable.count(point.requests, "request")
    return f"{readable.number(point.load)} {unit}, {readable.number(point.throughput)} answers/s, {requests}"


def _place(point: wire.LoadPoint, axis: str) -> float | None:
    return point.load if axis == "load" else point.throughput


def _sweep_line(
    figure: go.Figure,
    column: int,
    points: Sequence[wire.LoadPoint],
    axis: str,
    unit: str,
    name: str,
    values: Sequence[float | None],
    ink: str,
    dash: str,
    value_unit: str,
) -> None:
    figure.add_scatter(
        x=[_place(point, axis) for point in points],
        y=list(values),
        mode="lines+markers",
        name=name,
        line={"color": ink, "width": 2.5, "dash": dash},
        customdata=[_load_in_words(point, unit) for point in points],
        hovertemplate=f"{name} %{{y:.3g}} {value_unit} at %{{customdata}}<extra></extra>",
        row=1,
        col=column,
    )
