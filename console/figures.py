"""The bare figure in the console's look: axes, legend, sides' colours, empty state. It draws no data."""

from __future__ import annotations

import plotly.graph_objects as go

from console import theme

_HEIGHT = 300
_LOG_TICKS = [digit * 10.0**power for power in range(-5, 7) for digit in (1, 2, 5)]
# Plotly's own ticks between powers of ten show the first digit alone.
LOG_AXIS = {"type": "log", "tickvals": _LOG_TICKS, "ticktext": [f"{tick:,.6g}" for tick in _LOG_TICKS]}


def bare(colours: theme.Palette, height: int = _HEIGHT, figure: go.Figure | None = None) -> go.Figure:
    """A new figure, or one of several panels given its look."""
    figure = go.Figure() if figure is None else figure
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 16, "t": 34, "b": 10},
        showlegend=True,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colours.text, "size": 13, "family": "Source Sans, sans-serif"},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "font": {"color": colours.text}},
        hoverlabel={"bgcolor": colours.surface, "font": {"color": colours.text}},
    )
    axis = {
        "gridcolor": colours.border,
        "zerolinecolor": colours.border,
        "automargin": True,
        "title_font": {"color": colours.muted, "size": 12},
    }
    figure.update_xaxes(**axis, tickfont={"color": colours.muted})
    figure.update_yaxes(**axis, tickfont={"color": colours.text})
    return figure


def or_empty(figure: go.Figure, content: object, colours: theme.Palette, words: str = "Nothing was measured.") -> go.Figure:
    if content:
        return figure
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=words, xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False, font={"color": colours.muted, "size": 14})
    return figure


def side_colour(side: str, colours: theme.Palette) -> str:
    return colours.candidate if side == "candidate" else colours.live


def version_names(candidate: int, live: int | None) -> dict[str, str]:
    """What a legend calls each side."""
    return {"candidate": f"candidate v{candidate}", "live": f"live v{live}" if live is not None else "live"}
