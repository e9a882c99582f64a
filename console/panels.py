"""The server's live panels: which series, over which window, how often anew. Pure; it asks nobody and reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import plotly.graph_objects as go

from console import figures, theme
from controlplane import wire

_SPANS = {
    "5 min": timedelta(minutes=5),
    "15 min": timedelta(minutes=15),
    "60 min": timedelta(hours=1),
    "6 h": timedelta(hours=6),
}
TEST, CHOSEN = "the test", "chosen"
WINDOWS = (TEST, *_SPANS, CHOSEN)
REFRESHES = {"off": None, "5 s": 5.0, "30 s": 30.0}
_POINTS = 150
_LEAST_STEP_SECONDS = 5.0
# vLLM's labels name the base model, never the adapter: the panels show the server, whoever asked it.
KNOWN = "count(last_over_time(vllm:num_requests_running[1d]))"


@dataclass(frozen=True)
class Panel:
    """`query` is PromQL with `$rate` for the span that rates are taken over. An optional panel stays away where it has no series."""

    title: str
    unit: str
    query: str
    is_optional: bool = False


@dataclass(frozen=True)
class Window:
    """What is shown. `is_past`: it will not change any more."""

    start: datetime
    end: datetime
    step_seconds: float
    is_past: bool


def _named(**series: str) -> str:
    """Several series in one question, each with its name as the label `series`."""
    return " or ".join(f'label_replace({query}, "series", "{name.replace("_", " ")}", "", "")' for name, query in series.items())


def _p95(metric: str) -> str:
    return f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket[$rate])))"


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[$rate])) / sum(rate({metric}_count[$rate]))"


PANELS = (
    Panel("Requests", "requests", _named(running="sum(vllm:num_requests_running)", waiting="sum(vllm:num_requests_waiting)")),
    Panel("Finished, by reason", "requests/s", "sum by (finished_reason) (rate(vllm:request_success_total[$rate]))"),
    Panel(
        "P95 off the histograms",
        "s",
        _named(end_to_end=_p95("vllm:e2e_request_latency_seconds"), first_token=_p95("vllm:time_to_first_token_seconds")),
    ),
    Panel(
        "Time in the queue",
        "s",
        _named(mean=_mean("vllm:request_queue_time_seconds"), P95=_p95("vllm:request_queue_time_seconds")),
    ),
    Panel(
        "Tokens",
        "tokens/s",
        _named(prompt="sum(rate(vllm:prompt_tokens_total[$rate]))", answer="sum(rate(vllm:generation_tokens_total[$rate]))"),
    ),
    Panel("KV-cache use", "%", "100 * max(vllm:kv_cache_usage_perc)"),
    Panel(
        "Prefix-cache hits", "%", "100 * sum(rate(vllm:prefix_cache_hits_total[$rate])) / sum(rate(vllm:prefix_cache_queries_total[$rate]))"
    ),
    Panel("GPU utilisation", "%", "avg(DCGM_FI_DEV_GPU_UTIL) or 100 * avg(nvidia_smi_utilization_gpu_ratio)", is_optional=True),
)


def window(choice: str, now: datetime, tested: tuple[datetime, datetime], chosen: tuple[datetime, datetime] | None = None) -> Window:
    """The span that a choice means now. Its ends stand on whole steps, so that all who look ask the same question."""
    if choice in _SPANS:
        return _window(now - _SPANS[choice], now, now)
    start, end = chosen if choice == CHOSEN and chosen is not None else _around(tested)
    return _window(min(start, end), max(start, end), now)


def _around(tested: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    """The test with half a minute before and after it."""
    return tested[0] - timedelta(seconds=30), tested[1] + timedelta(seconds=30)


def _window(start: datetime, end: datetime, now: datetime) -> Window:
    step = max(_LEAST_STEP_SECONDS, round((end - start).total_seconds() / _POINTS))
    first, last = (step * (moment.timestamp() // step) for moment in (start, end))
    last = max(last, first + step)
    return Window(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC), step, end < now)


def query(panel: Panel, shown: Window) -> str:
    """The panel's question for a window: a rate spans at least a minute, and leaves no scrape between two points out."""
    return panel.query.replace("$rate", f"{max(60, round(shown.step_seconds * 2))}s")


def moment(text: str) -> datetime | None:
    """A time out of the page's address, in UTC unless it says otherwise; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def refresh_seconds(choice: str, shown: Window) -> float | None:
    """How often to ask anew; the past is asked once."""
    return None if shown.is_past else REFRESHES.get(choice)


def freshness(choice: str, shown: Window, now: datetime) -> str:
    """When this was last fresh, in words."""
    span = f"{shown.start:%Y-%m-%d %H:%M:%S} to {shown.end:%H:%M:%S} UTC"
    if shown.is_past:
        return f"{span}. This is over: refreshing is paused."
    every = REFRESHES.get(choice)
    return f"{span}, as of {now:%H:%M:%S} UTC, {f'refreshed every {every:.0f} s' if every else 'not refreshed by itself'}."


def figure(
    panel: Panel, items: Sequence[wire.Series], shown: Window, colours: theme.Palette, tested: tuple[datetime, datetime]
) -> go.Figure:
    """A panel over the whole window, points or not; the test's own time is shaded where the window reaches beyond it."""
    drawn = figures.bare(colours, height=205)
    inks = (colours.accent, colours.unsure, colours.bad, colours.good, colours.broken)
    found = [item for item in items if item.points]
    for place, item in enumerate(found):
        drawn.add_scatter(
            x=[datetime.fromtimestamp(at, UTC) for at, _ in item.points],
            y=[value for _, value in item.points],
            name=series_name(item),
            mode="lines+markers" if len(item.points) < 4 else "lines",
            line={"color": inks[place % len(inks)], "width": 2, "dash": ("solid", "dot", "dash")[place % 3]},
            hovertemplate=f"{series_name(item)}: %{{y:.3g}} {panel.unit} at %{{x|%H:%M:%S}}<extra></extra>",
        )
    for begin, end in ((max(tested[0], shown.start), min(tested[1], shown.end)),) if found else ():
        if begin < end:
            drawn.add_vrect(x0=begin, x1=end, fillcolor=colours.candidate, opacity=0.10, line_width=0, layer="below")
    drawn.update_layout(margin={"t": 30, "b": 4})
    drawn.update_xaxes(range=[shown.start, shown.end], title_text="time (UTC)")
    drawn.update_yaxes(title_text=panel.unit, title_standoff=8, rangemode="tozero")
    return figures.or_empty(drawn, found, colours, "No points in this window.")


def series_name(item: wire.Series) -> str:
    """What tells a series from the others of its panel."""
    return ", ".join(str(value) for name, value in item.labels.items() if name != "__name__")[:40] or "all servers"
