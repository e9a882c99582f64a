"""Plotly figures of a load test's requests: how long they took, and when. Values in, a figure out; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
import plotly.graph_objects as go
import plotly.subplots

from console import figures, load_series, readable, theme
from controlplane import wire

_SIDES = ("live", "candidate")


def histogram(
    sides: Mapping[str, load_series.Values],
    names: Mapping[str, str],
    what: str,
    limits: Mapping[str, float],
    colours: theme.Palette,
    is_log: bool,
) -> go.Figure:
    """Which share of each side's requests took how long; each side's P95 and the limits are lines."""
    figure = figures.bare(colours, height=330)
    known = _known(sides)
    bounds = load_series.edges(list(known.values()), is_log)
    for side, values in known.items():
        counts, _ = numpy.histogram(values, bounds)
        middles = numpy.sqrt(bounds[:-1] * bounds[1:]) if is_log else (bounds[:-1] + bounds[1:]) / 2
        colour, is_candidate = figures.side_colour(side, colours), side == "candidate"
        figure.add_scatter(
            x=_corners(bounds),
            y=_steps(100 * counts / len(values)),
            name=f"{names[side]} ({len(values):,} requests)",
            mode="lines",
            line={"color": colour, "width": 2, "dash": "solid" if is_candidate else "dot"},
            fill="tozeroy",
            fillcolor=_clear(colour, 0.26 if is_candidate else 0.10),
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=middles,
            y=100 * counts / len(values),
            customdata=list(zip(counts, bounds[:-1], bounds[1:], strict=True)),
            mode="markers",
            marker={"color": colour, "opacity": 0},
            hovertemplate=f"{names[side]}: %{{customdata[0]}} requests in %{{customdata[1]:.3g}} … %{{customdata[2]:.3g}} s<extra></extra>",
            showlegend=False,
        )
        _percentile_line(figure, side, values, names, colours, 0.97)
    _limit_lines(figure, known, limits, colours, is_log, 0.72)
    figure.update_yaxes(title_text="share of requests (%)", rangemode="tozero")
    return _over_time_axis(figure, known, what, is_log, colours)


def cumulative(
    sides: Mapping[str, load_series.Values],
    names: Mapping[str, str],
    what: str,
    limits: Mapping[str, float],
    colours: theme.Palette,
    is_log: bool,
) -> go.Figure:
    """Which share of each side's requests took at most so long; where a curve crosses 95 % stands its P95."""
    figure = figures.bare(colours, height=330)
    known = _known(sides)
    for side, values in known.items():
        taken, shares = load_series.cumulative(values)
        figure.add_scatter(
            x=taken,
            y=100 * shares,
            name=f"{names[side]} ({len(values):,} requests)",
            mode="lines",
            line={
                "color": figures.side_colour(side, colours),
                "width": 2.5,
                "shape": "hv",
                "dash": "solid" if side == "candidate" else "dot",
            },
            hovertemplate=f"{names[side]}: %{{y:.1f}} % took at most %{{x:.3g}} s<extra></extra>",
        )
        _percentile_line(figure, side, values, names, colours, 0.28)
    if known:
        figure.add_hline(
            y=95, line={"color": colours.muted, "width": 1, "dash": "dot"}, annotation_text="95 %", annotation_font_color=colours.muted
        )
    _limit_lines(figure, known, limits, colours, is_log, 0.58)
    figure.update_yaxes(title_text="share of requests (%)", range=[0, 103])
    return _over_time_axis(figure, known, what, is_log, colours)


def timeline(performance: wire.Performance, names: Mapping[str, str], colours: theme.Palette) -> go.Figure:
    """The test over its time: requests with rolling P50 and P95, throughput, and how late requests left when any did; blocks shaded."""
    sides = {"live": performance.baseline_samples, "candidate": performance.samples}
    sides = {side: samples for side, samples in sides.items() if samples}
    is_late = any(is_late_sender(samples) for samples in sides.values())
    heights = [0.58, 0.24, 0.18] if is_late else [0.66, 0.34]
    panels = plotly.subplots.make_subplots(rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.06)
    figure = figures.bare(colours, height=560 if is_late else 480, figure=panels)
    if not sides:
        return figures.or_empty(figures.bare(colours), [], colours)
    _shade(figure, load_series.stretches(performance), colours)
    for side, samples in sides.items():
        _requests(figure, samples, names[side], side, colours)
        _rolling_lines(figure, samples, names[side], side, colours)
        _throughput(figure, samples, names[side], side, colours)
        if is_late:
            _delays(figure, samples, names[side], side, colours)
    figure.update_yaxes(title_text="latency (s)", rangemode="tozero", row=1)
    figure.update_yaxes(title_text="answers/s", rangemode="tozero", row=2)
    if is_late:
        figure.update_yaxes(title_text="sent late (s)", rangemode="tozero", row=3)
    figure.update_xaxes(title_text="time since the test began (s)", row=len(heights))
    return figure.update_xaxes(rangemode="tozero", zeroline=False)


def is_late_sender(samples: Sequence[wire.Sample]) -> bool:
    """Some request left so long after it was due that a reader should know."""
    return max((sample.delay_seconds for sample in samples), default=0.0) > 0.01


def _known(sides: Mapping[str, load_series.Values]) -> dict[str, load_series.Values]:
    """Live below, the candidate above it."""
    return {side: sides[side] for side in _SIDES if side in sides and len(sides[side])}


def _percentile_line(
    figure: go.Figure, side: str, values: load_series.Values, names: Mapping[str, str], colours: theme.Palette, top: float
) -> None:
    is_candidate = side == "candidate"
    p95 = load_series.quantile(values, 0.95) or 0.0
    label = f"P95 {names[side]} {readable.seconds(p95)}"
    _line(
        figure, p95, label, figures.side_colour(side, colours), "solid" if is_candidate else "dot", top - 0.11 * (not is_candidate), colours
    )


def _limit_lines(
    figure: go.Figure,
    known: Mapping[str, load_series.Values],
    limits: Mapping[str, float],
    colours: theme.Palette,
    is_log: bool,
    top: float,
) -> None:
    """A limit far to the right is named at the edge: it shall not squeeze the data."""
    reach = max((float(values[-1]) for values in known.values()), default=0.0) * (4 if is_log else 1.5)
    for place, (name, limit) in enumerate(limits.items() if known else ()):
        height = top - 0.12 * place
        if limit <= reach:
            _line(figure, limit, f"{name} {readable.seconds(limit)}", colours.bad, "dash", height, colours)
        else:
            words = f"{name} {readable.seconds(limit)} →"
            figure.add_annotation(
                text=words, xref="paper", yref="paper", x=1, y=height, showarrow=False, xanchor="right", font={"color": colours.bad}
            )


def _line(figure: go.Figure, x: float, label: str, colour: str, dash: str, height: float, colours: theme.Palette) -> None:
    figure.add_vline(x=x, line={"color": colour, "width": 2, "dash": dash})
    # An annotation on a logarithmic axis stands at the logarithm.
    figure.add_annotation(
        text=label,
        x=x,
        xref="x",
        y=height,
        yref="paper",
        showarrow=False,
        xanchor="left",
        xshift=4,
        font={"color": colour, "size": 12},
        bgcolor=_clear(colours.background, 0.8),
        borderpad=1,
    )


def _over_time_axis(
    figure: go.Figure, known: Mapping[str, load_series.Values], what: str, is_log: bool, colours: theme.Palette
) -> go.Figure:
    if is_log:
        figure.update_xaxes(**figures.LOG_AXIS, title_text=f"{what} (s, logarithmic)")
        for note in figure.layout.annotations:
            if note.xref == "x" and note.x is not None and note.x > 0:
                note.x = float(numpy.log10(note.x))
    else:
        figure.update_xaxes(title_text=f"{what} (s)", rangemode="tozero")
    return figures.or_empty(figure, known, colours)


def _corners(bounds: load_series.Values) -> load_series.Values:
    return numpy.repeat(bounds, 2)


def _steps(heights: load_series.Values) -> load_series.Values:
    return numpy.concatenate([[0.0], numpy.repeat(heights, 2), [0.0]])


def _clear(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _shade(figure: go.Figure, found: Sequence[load_series.Stretch], colours: theme.Palette) -> None:
    """Each block in its side's colour; what came before its load was whole in grey."""
    turns = [_band(one.begin, one.end, _clear(figures.side_colour(one.role, colours), 0.10)) for one in found]
    warming = [_band(one.begin, one.steady_from, _clear(colours.muted, 0.22)) for one in found if one.steady_from > one.begin]
    # All at once: Plotly checks every shape anew for each one that is added.
    figure.update_layout(shapes=[*turns, *warming])
    for role in dict.fromkeys(one.role for one in found):
        _swatch(figure, f"{role}'s turn", _clear(figures.side_colour(role, colours), 0.3))
    if warming:
        _swatch(figure, "warm-up and ramp", _clear(colours.muted, 0.4))


def _band(start: float, end: float, colour: str) -> dict[str, object]:
    """Through all panels."""
    place = {"type": "rect", "xref": "x", "yref": "paper", "x0": start, "x1": end, "y0": 0, "y1": 1}
    return {**place, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}


def _swatch(figure: go.Figure, name: str, colour: str) -> None:
    figure.add_scatter(
        x=[None], y=[None], mode="markers", name=name, marker={"symbol": "square", "size": 12, "color": colour}, row=1, col=1
    )


def _requests(figure: go.Figure, samples: Sequence[wire.Sample], name: str, side: str, colours: theme.Palette) -> None:
    tone = figures.side_colour(side, colours)
    found = load_series.drawn(samples)
    looks = (
        (name, "counted", tone, "circle" if side == "candidate" else "diamond-open", 5),
        ("not counted", "not counted", colours.muted, "circle-open", 4),
        (f"{name} failed", "failed", colours.bad, "x", 9),
    )
    for words, kind, ink, symbol, size in looks:
        points = found[kind]
        if points:
            figure.add_scatter(
                x=[point.at_seconds for point in points],
                y=[point.total_seconds for point in points],
                mode="markers",
                name=words,
                legendgroup=words,
                showlegend=words not in {trace.name for trace in figure.data},
                marker={"color": ink, "symbol": symbol, "size": size, "opacity": 0.9 if kind == "failed" else 0.45},
                customdata=[point.error or f"{point.answer_tokens} tokens" for point in points],
                hovertemplate="due at %{x:.1f} s: %{y:.3g} s, %{customdata}<extra>%{fullData.name}</extra>",
                row=1,
                col=1,
            )


def _rolling_lines(figure: go.Figure, samples: Sequence[wire.Sample], name: str, side: str, colours: theme.Palette) -> None:
    counted = [sample for sample in samples if sample.is_counted]
    found = load_series.rolling(counted)
    for words, values, dash in (("P95", found.p95, "solid"), ("P50", found.p50, "dot")):
        if len(values):
            figure.add_scatter(
                x=found.at_seconds,
                y=values,
                mode="lines",
                name=f"{words} {name}",
                line={"color": figures.side_colour(side, colours), "width": 2.5, "dash": dash},
                hovertemplate=f"rolling {words} {name} at %{{x:.1f}} s: %{{y:.3g}} s<extra></extra>",
                row=1,
                col=1,
            )


def _throughput(figure: go.Figure, samples: Sequence[wire.Sample], name: str, side: str, colours: theme.Palette) -> None:
    found = load_series.rates(samples)
    figure.add_scatter(
        x=found.at_seconds,
        y=found.per_second,
        mode="lines",
        line={
            "color": figures.side_colour(side, colours),
            "width": 2,
            "shape": "hv",
            "dash": "solid" if side == "candidate" else "dot",
        },
        showlegend=False,
        hovertemplate=f"{name} from %{{x:.1f}} s: %{{y:.3g}} answers/s in {found.slice_seconds:g} s<extra></extra>",
        row=2,
        col=1,
    )


def _delays(figure: go.Figure, samples: Sequence[wire.Sample], name: str, side: str, colours: theme.Palette) -> None:
    late = [sample for sample in samples if sample.delay_seconds > 0]
    points = load_series.thinned(sorted(late, key=lambda sample: sample.at_seconds))
    figure.add_scatter(
        x=[point.at_seconds for point in points],
        y=[point.delay_seconds for point in points],
        mode="markers",
        marker={"color": figures.side_colour(side, colours), "size": 4, "symbol": "circle" if side == "candidate" else "diamond-open"},
        showlegend=False,
        hovertemplate=f"{name} due at %{{x:.1f}} s left %{{y:.3g}} s late<extra></extra>",
        row=3,
        col=1,
    )
