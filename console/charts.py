"""Plotly figures: values in, a figure out. Candidate and live keep their colours everywhere; each axis says its unit. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from console import figures, readable, tables, theme
from controlplane import wire


def checks(verdict: wire.Verdict, colours: theme.Palette) -> go.Figure:
    """Each check's value relative to its limit (100 % is the limit), so that checks of different units share one axis."""
    shown = [check for check in verdict.checks if check.value is not None and check.limit]
    tones = {"pass": colours.good, "fail": colours.bad}
    figure = figures.bare(colours, height=110 + 46 * max(1, len(shown)))
    figure.add_scatter(
        y=[_named(check) for check in shown],
        x=[100 * _ratio(check.value, check.limit) for check in shown],
        text=[readable.number(check.value, check.unit) for check in shown],
        textposition="top center",
        mode="markers+text",
        marker={
            "color": [tones.get(check.outcome, colours.unsure) for check in shown],
            "symbol": [{"pass": "circle", "fail": "x"}.get(check.outcome, "circle-open") for check in shown],
            "size": 12,
        },
        customdata=[check.outcome for check in shown],
        hovertemplate="%{y}<br>measured %{text}: %{customdata}<extra></extra>",
        error_x=_error_bars(shown, colours),
        showlegend=False,
        cliponaxis=False,
    )
    figure.add_vline(x=100, line={"color": colours.text, "width": 2, "dash": "dash"}, annotation_text="limit", annotation_position="top")
    figure.update_xaxes(title_text="value as a share of its limit (%)", rangemode="tozero")
    figure.update_yaxes(range=[len(shown) - 0.5, -0.8], ticksuffix="  ")
    return figures.or_empty(figure, shown, colours)


def differences(found: Sequence[wire.Difference], colours: theme.Palette) -> go.Figure:
    """Candidate minus live with its confidence interval, in percentage points, against how much worse still counts as no worse.

    Each reading is a group of its own; what does not decide is muted.
    """
    shown = [(one, one.check, one.check.interval) for one in found if one.check.interval is not None]
    names = [_difference_name(one) for one, _, _ in shown]
    figure = figures.bare(colours, height=96 + 46 * max(1, len(shown)))
    for name, (one, check, interval) in zip(names, shown, strict=True):
        tone, symbol = _difference_look(one, colours)
        ends = [100 * interval.low, 100 * interval.high]
        line = {"color": tone, "width": 5 if one.decides else 3}
        figure.add_scatter(y=[name] * 2, x=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
        value, within = 100 * (check.value or 0.0), f"{ends[0]:+.1f} … {ends[1]:+.1f}"
        said = check.outcome if one.decides else f"would be {check.outcome}, does not decide"
        figure.add_scatter(
            y=[name],
            x=[value],
            mode="markers",
            marker={"color": tone, "symbol": symbol, "size": 12},
            customdata=[said],
            hovertemplate=f"{check.name}<br>%{{x:+.1f}} points, {interval.level:.0%} interval {within}: %{{customdata}}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )
        ink = colours.text if one.decides else colours.muted
        # On a ground of its own: the ticks of near margins would run through the numbers.
        figure.add_annotation(
            x=value, y=name, text=within, yshift=17, showarrow=False, bgcolor=colours.background, borderpad=1, font={"color": ink}
        )
    limits = {"symbol": "line-ns", "size": 22, "line": {"color": colours.text, "width": 2}}
    figure.add_scatter(y=names, x=[100 * check.limit for _, check, _ in shown], mode="markers", marker=limits, name="margin")
    if not all(one.decides for one, _, _ in shown):
        marker = {"symbol": "diamond-open", "size": 10, "color": colours.muted}
        figure.add_scatter(y=[None], x=[None], mode="markers", marker=marker, name="does not decide")
    figure.add_vline(x=0, line={"color": colours.muted, "width": 1, "dash": "dot"})
    first = sum(one.reading == "pointwise" for one, _, _ in shown)
    if 0 < first < len(shown):
        figure.add_hline(y=first - 0.5, line={"color": colours.border, "width": 1})
    figure.update_layout(margin={"t": 26, "b": 6})
    figure.update_xaxes(title_text="candidate minus live (percentage points)", zeroline=False, range=_reach(shown))
    figure.update_yaxes(range=[len(shown) - 0.5, -0.8], ticksuffix="  ")
    return figures.or_empty(figure, shown, colours)


def preferences(found: wire.Pairwise, colours: theme.Palette) -> go.Figure:
    """One stacked bar of who was preferred, in percent of the rows compared."""
    figure = figures.bare(colours, height=150)
    parts = (
        ("candidate", found.wins, colours.candidate, ""),
        ("tie", found.ties, colours.border, ""),
        ("live", found.losses, colours.live, "/"),
        ("unread", found.unread, colours.broken, "."),
    )
    for name, count, colour, pattern in parts:
        share = 100 * count / max(1, found.rows)
        if count:
            figure.add_bar(
                name=name,
                y=["preferred"],
                x=[share],
                orientation="h",
                marker={
                    "color": colour,
                    "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": colours.background, "solidity": 0.12},
                },
                text=[str(count) if share >= 4 else ""],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont_color=colours.text if name == "tie" else colours.background,
                customdata=[count],
                hovertemplate=f"{name}: %{{customdata}} rows (%{{x:.1f}} %)<extra></extra>",
                width=0.6,
            )
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(title_text="share of rows (%)", range=[0, 100])
    figure.update_yaxes(gridcolor="rgba(0,0,0,0)", ticksuffix="  ")
    return figures.or_empty(figure, found.rows, colours)


def grades(counts: Mapping[str, Mapping[str, int]], colours: theme.Palette) -> go.Figure:
    """Stacked bars of grades, one bar a side, in percent of its rows."""
    figure = figures.bare(colours, height=200)
    roles = [role for role in ("live", "candidate") if role in counts]
    styles = {"A": (colours.good, ""), "B": (colours.unsure, "/"), "C": (colours.bad, "x"), "unscored": (colours.broken, ".")}
    for grade, (colour, pattern) in styles.items():
        shares = [100 * counts[role].get(grade, 0) / max(1, sum(counts[role].values())) for role in roles]
        if any(shares):
            figure.add_bar(
                name={"A": "A correct", "B": "B partly", "C": "C wrong"}.get(grade, grade),
                y=roles,
                x=shares,
                orientation="h",
                marker={
                    "color": colour,
                    "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": colours.background, "solidity": 0.12},
                },
                text=[f"{share:.0f} %" if share >= 8 else "" for share in shares],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont_color=colours.background,
                hovertemplate="%{y}: %{x:.1f} % %{fullData.name}<extra></extra>",
                width=0.6,
            )
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(title_text="share of rows (%)", range=[0, 100])
    figure.update_yaxes(gridcolor="rgba(0,0,0,0)", ticksuffix="  ")
    return figures.or_empty(figure, roles, colours)


def kappas(calibrations: Sequence[wire.Calibration], colours: theme.Palette) -> go.Figure:
    """Each judge's kappa with its interval beside the kappa that is required of it."""
    shown = [(one, one.kappa, one.interval) for one in calibrations if one.kappa is not None and one.interval is not None]
    names = [one.judge for one, _, _ in shown]
    figure = figures.bare(colours, height=130 + 52 * max(1, len(shown)))
    for name, (one, value, interval) in zip(names, shown, strict=True):
        tone, ends = colours.bad if one.refusal else colours.good, [interval.low, interval.high]
        figure.add_scatter(y=[name] * 2, x=ends, mode="lines", line={"color": tone, "width": 5}, hoverinfo="skip", showlegend=False)
        figure.add_scatter(
            y=[name],
            x=[value],
            text=[f"{value:.2f} ({interval.low:.2f} … {interval.high:.2f})"],
            textposition="top center",
            mode="markers+text",
            marker={"color": tone, "symbol": "x" if one.refusal else "circle", "size": 12},
            hovertemplate=f"kappa %{{text}}, {interval.level:.0%} interval<extra></extra>",
            showlegend=False,
        )
    limits = {"symbol": "line-ns", "size": 26, "line": {"color": colours.text, "width": 2}}
    figure.add_scatter(y=names, x=[one.min_kappa for one, _, _ in shown], mode="markers", marker=limits, name="required")
    figure.update_xaxes(
        title_text="Cohen's kappa (1: always the trusted grade, 0: as by chance)", range=_kappa_range(shown), zeroline=False
    )
    figure.update_yaxes(range=[len(shown) - 0.5, -0.8], ticksuffix="  ")
    return figures.or_empty(figure, shown, colours)


def confusion(calibration: wire.Calibration, colours: theme.Palette) -> go.Figure:
    """Trusted grade against the judge's: counts in the cells, shaded by their share of the row."""
    trusted = list(calibration.confusion)
    given = list(dict.fromkeys(letter for counts in calibration.confusion.values() for letter in counts))
    counts = [[calibration.confusion[row].get(column, 0) for column in given] for row in trusted]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    figure = figures.bare(colours, height=300)
    figure.add_heatmap(
        x=given,
        y=trusted,
        z=shares,
        customdata=counts,
        zmin=0,
        zmax=1,
        colorscale=[[0, colours.surface], [1, colours.accent]],
        showscale=False,
        xgap=3,
        ygap=3,
        hovertemplate="trusted %{y}, judge %{x}: %{customdata} rows (%{z:.0%} of trusted %{y})<extra></extra>",
    )
    for y, (row, share) in enumerate(zip(counts, shares, strict=True)):
        for x, count in enumerate(row):
            ink = colours.background if share[x] > 0.5 else colours.text
            figure.add_annotation(x=x, y=y, text=str(count), showarrow=False, font={"color": ink, "size": 16})
    figure.update_xaxes(title_text="judge's grade", type="category", side="bottom", showgrid=False)
    figure.update_yaxes(title_text="trusted grade", type="category", autorange="reversed", showgrid=False, ticksuffix="  ")
    return figures.or_empty(figure, trusted, colours)


def kinds(calibration: wire.Calibration, colours: theme.Palette) -> go.Figure:
    """The share of each kind of answer that the judge graded as it should."""
    shown = [kind for kind in calibration.kinds if kind.rows]
    shares = [100 * kind.agreed / kind.rows for kind in shown]
    figure = figures.bare(colours, height=110 + 30 * max(1, len(shown)))
    figure.add_bar(
        y=[kind.kind for kind in shown],
        x=shares,
        orientation="h",
        marker={"color": colours.accent},
        text=[f"{kind.agreed} of {kind.rows}" for kind in shown],
        textposition=["inside" if share > 30 else "outside" for share in shares],
        insidetextfont={"color": colours.background},
        outsidetextfont={"color": colours.text},
        textangle=0,
        hovertemplate="%{y}: %{text} graded right<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text="graded right (%)", range=[0, 100])
    figure.update_yaxes(autorange="reversed", gridcolor="rgba(0,0,0,0)", ticksuffix="  ")
    return figures.or_empty(figure, shown, colours)


def curve(points: Mapping[str, Sequence[tuple[int, float]]], title: str, colours: theme.Palette) -> go.Figure:
    """Metrics of a training run over its optimizer steps."""
    figure = figures.bare(colours, height=240)
    inks = (colours.accent, colours.candidate, colours.live, colours.unsure)
    for (name, values), ink in zip(points.items(), inks, strict=False):
        figure.add_scatter(
            x=[step for step, _ in values],
            y=[value for _, value in values],
            name=name,
            mode="lines+markers" if len(values) < 25 else "lines",
            line={"color": ink, "width": 2},
            hovertemplate=f"{name} at step %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    figure.update_xaxes(title_text="optimizer step")
    figure.update_yaxes(title_text=title)
    return figures.or_empty(figure, [values for values in points.values() if values], colours)


def _kappa_range(shown: Sequence[tuple[wire.Calibration, float, wire.Interval]]) -> tuple[float, float]:
    """From 0, or from below the lowest interval, to a little past 1."""
    return min([0.0, *(interval.low - 0.05 for _, _, interval in shown)]), 1.05


def _reach(shown: Sequence[tuple[wire.Difference, wire.Check, wire.Interval]]) -> tuple[float, float]:
    """From the lowest bound or margin to the highest, in percentage points, with room at both ends."""
    ends = [100 * end for _, check, interval in shown for end in (interval.low, interval.high, check.limit)]
    room = 0.08 * (max(ends, default=1.0) - min(ends, default=0.0)) + 0.5
    return min(ends, default=0.0) - room, max(ends, default=1.0) + room


def _difference_name(one: wire.Difference) -> str:
    check = one.check
    return f"{check.name.removesuffix(tables.DIFFERENCE)} ({tables.comparison(check.comparison)} {100 * check.limit:+.1f})"


def _difference_look(one: wire.Difference, colours: theme.Palette) -> tuple[str, str]:
    """Colour and symbol."""
    if not one.decides:
        return colours.muted, "diamond-open"
    tone = {"pass": colours.good, "fail": colours.bad}.get(one.check.outcome, colours.unsure)
    return tone, {"pass": "circle", "fail": "x"}.get(one.check.outcome, "circle-open")


def _named(check: wire.Check) -> str:
    source = "" if check.against == "floor" else f" ({check.against})"
    return f"{check.name} {tables.comparison(check.comparison)} {readable.number(check.limit, check.unit)}{source}"


def _ratio(value: float | None, limit: float) -> float:
    return (value or 0.0) / limit


def _error_bars(shown: Sequence[wire.Check], colours: theme.Palette) -> dict[str, object] | None:
    if not any(check.interval for check in shown):
        return None
    highs = [100 * _ratio(check.interval.high - (check.value or 0), check.limit) if check.interval else 0 for check in shown]
    lows = [100 * _ratio((check.value or 0) - check.interval.low, check.limit) if check.interval else 0 for check in shown]
    return {"type": "data", "symmetric": False, "array": highs, "arrayminus": lows, "color": colours.muted, "thickness": 2}
