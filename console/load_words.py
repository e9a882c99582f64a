"""Words and HTML about a load test: answer, baseline, what would decide, second witness. Pure; all text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console import load_series, markup, readable, surety, tables, theme
from controlplane import wire

_OUTCOMES = {
    "pass": "is fast enough",
    "fail": "is not fast enough",
    "inconclusive": "cannot be judged yet",
    "error": "was not measured: the tool broke",
}
_RULES = {"point": "by values alone (point)", "interval": "by intervals"}
_AGREEMENTS = {
    "agrees": ("✓", "agrees", "good", "The server finished as many requests as the test sent: the load was the test's alone."),
    "contaminated": (
        "✕",
        "other traffic",
        "bad",
        "The server finished requests that the test did not send: somebody else loaded it.",
    ),
    "missing": (
        "⚠",
        "saw too little",
        "unsure",
        "The server's count lacks requests of the test. See that Prometheus scrapes this very server, every few seconds.",
    ),
    "unknown": (
        "○",
        "no count",
        "broken",
        "Nobody else counted the requests. Give the workflow the address of a Prometheus that scrapes the server.",
    ),
}
_ALONE = "Stop what else uses the server, or test on one of its own, then launch the load test again."
_SHARES = ("_share", "_ratio", "_rate")


def answer(performance: wire.Performance) -> str:
    """The page's answer in words, with what it was measured on."""
    name = f"{performance.model} v{performance.version}"
    return f"{name} {_OUTCOMES[performance.verdict.outcome]}: {_why(performance.verdict)} {_basis(performance)}"


def _why(verdict: wire.Verdict) -> str:
    """How the checks went; the reason itself where they are not it."""
    if verdict.outcome != "pass" and all(check.outcome == "pass" for check in verdict.checks):
        return readable.sentence(verdict.reason)
    return tables.tally(verdict)


def _basis(performance: wire.Performance) -> str:
    sent = readable.count(sum(sample.is_counted for sample in performance.samples), "request")
    beside = f" beside v{performance.baseline_version}" if performance.baseline_version else ", with no baseline"
    turns = {"alternated": ", turn by turn in one test", "stored": ", which an earlier test had loaded"}.get(performance.baseline, "")
    how = ", with confidence intervals" if performance.verdict.rules == "interval" else ""
    return f"Measured with {sent}{beside}{turns}{how}."


def undrawn(verdict: wire.Verdict) -> str:
    """Which checks have no value that a figure could show; empty when all have one."""
    names = [check.name for check in verdict.checks if check.value is None]
    return f"Not in the figure, because nothing finite was measured: {', '.join(names)}." if names else ""


def is_open(verdict: wire.Verdict) -> bool:
    return verdict.outcome == "inconclusive"


def what_it_takes(performance: wire.Performance) -> str:
    """What would decide an inconclusive verdict: an idle server, or so many more requests for each open check."""
    lines = f"<li>{_ALONE}</li>" if is_contaminated(performance) else surety.open_checks(performance.verdict.reason)
    if not is_contaminated(performance) and performance.verdict.checks:
        known = (performance.parameters.get(name, "") for name in ("max-samples", "max_samples"))
        now = next((f", now {value}" for value in known if value), "")
        lines += f"<li>Launch it with more requests: parameter <code>max-samples</code>{markup.text(now)}.</li>"
    return surety.card("What it would take to be sure", f'<ul class="gw-lines">{lines}</ul>')


def is_contaminated(performance: wire.Performance) -> bool:
    return performance.witness is not None and performance.witness.agreement == "contaminated"


def made(performance: wire.Performance) -> str:
    """How the baseline was made and what the load was."""
    lines = [_baseline(performance), _load(performance), *_environment(performance.environment)]
    return surety.card("Baseline and load", f'<ul class="gw-lines">{"".join(f"<li>{line}</li>" for line in lines)}</ul>')


def _baseline(performance: wire.Performance) -> str:
    version = performance.baseline_version
    run = f" (MLflow run {markup.identifier(performance.baseline_run)})" if performance.baseline_run else ""
    if performance.baseline == "alternated":
        turns = len(performance.blocks)
        blocks = f", {readable.count(turns, 'block')}" if turns else ""
        return f"{markup.role('live', version)} alternated with the candidate in this very test{blocks}: both met the same server."
    if performance.baseline == "stored":
        link = f'<a href="performance?model={markup.text(performance.model)}&version={version}" target="_self">Gate 2 of v{version}</a>'
        return (
            f"{markup.role('live', version)} as an earlier test measured it: {link}{run}. Same settings and server; its clock is its own."
        )
    if version:
        return f"{markup.role('live', version)} from its own test{run}."
    return "No baseline: nothing was live, so the floors alone decide."


def _load(performance: wire.Performance) -> str:
    given = performance.load or _older_load(performance.parameters)
    uncounted = sum(not sample.is_counted for sample in (*performance.samples, *performance.baseline_samples))
    warm = f"; {readable.count(uncounted, 'warm-up request')} not counted" if uncounted else ""
    took = readable.seconds((performance.ended_at - performance.at).total_seconds())
    return f"<strong>{markup.text(given or 'load not recorded')}</strong>, in {took}{warm}"


def _older_load(parameters: Mapping[str, str]) -> str:
    concurrency = parameters.get("concurrency", "")
    return f"{concurrency} requests in flight" if concurrency else ""


def _environment(found: Mapping[str, str]) -> list[str]:
    if not found:
        return []
    said = " · ".join(f"{markup.text(name.replace('_', ' '))} {markup.text(value)}" for name, value in found.items())
    return [f'<span class="gw-clamp gw-muted" title="{markup.text(", ".join(f"{n} {v}" for n, v in found.items()))}">{said}</span>']


def by_rules(performance: wire.Performance) -> str:
    """The deciding rules first, then what the others would say."""
    verdict = performance.verdict
    rows = [_rule(verdict.rules, verdict.outcome, "This one decides.")]
    rows += [_rule(one.rules, one.outcome, readable.sentence(one.reason)) for one in performance.others]
    return surety.card("By other rules", markup.table(("Ruled", "Says"), rows))


def _rule(rules: str, outcome: str, reason: str) -> tuple[str, str]:
    known = markup.outcome(outcome) if outcome in theme.OUTCOME_TONES else markup.text(outcome)
    return (
        f'<span class="gw-who">{markup.text(_RULES.get(rules, rules))}</span>',
        f'<span class="gw-clamp" title="{markup.text(reason)}">{known}{markup.text(reason)}</span>',
    )


def witness(seen: wire.Witness | None) -> str:
    """Does the server's own count agree, and what to do where it does not."""
    icon, word, tone, advice = _AGREEMENTS.get(seen.agreement if seen else "unknown", _AGREEMENTS["unknown"])
    counts = "" if seen is None else _counts(seen)
    lines = [f"{markup.badge(icon, word, tone)} {counts}", markup.text(advice)]
    lines += [markup.text(note) for note in (seen.notes if seen else ())]
    return surety.card("Second witness", f'<ul class="gw-lines">{"".join(f"<li>{line}</li>" for line in lines)}</ul>')


def _counts(seen: wire.Witness) -> str:
    finished = "an unknown number" if seen.finished is None else f"{seen.finished:,.0f}"
    return f"<strong>{seen.sent:,}</strong> sent, <strong>{finished}</strong> finished, says {markup.text(seen.source)}"


def witness_values(seen: wire.Witness) -> list[tuple[str, str]]:
    """Everything else that the server told, in words and with units."""
    return [(_value_title(name), _value(name, value)) for name, value in seen.values.items()]


def _value_title(name: str) -> str:
    words = name
    for end in ("_seconds", "_bytes", "_watts", *_SHARES):
        words = words.removesuffix(end)
    words = words.replace("_", " ").replace("kv cache", "KV-cache use").replace("ttft", "TTFT").replace("gpu", "GPU")
    words = words.replace("prefix cache hit", "prefix-cache hits").replace("inter token", "time between tokens")
    words = words.replace("mean queue", "mean queue time")
    return words[:1].upper() + words[1:]


def _value(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        return readable.seconds(value)
    if name.endswith(_SHARES):
        return readable.number(value, "%")
    if name.endswith("_bytes"):
        return readable.size(round(value))
    return readable.number(value, "W" if name.endswith("_watts") else "")


def measures(
    performance: wire.Performance, measured: load_series.Measured, sides: Mapping[str, load_series.Values], names: Mapping[str, str]
) -> str:
    """P50, P95 and P99 of a time, throughput, success, goodput and whatever else was measured, of each side with its interval.

    An older test recorded no intervals: its percentiles come from the samples, alone. Empty when there is nothing.
    """
    found = {(one.name, one.role): one for one in performance.measures}
    percentiles = [f"p{percent}_{measured.stem}_seconds" for percent in (50, 95, 99)]
    shown = [side for side in ("candidate", "live") if len(sides.get(side, ())) or any(role == side for _, role in found)]
    rest = list(dict.fromkeys(name for name, _ in found if not name.startswith(("p50_", "p95_", "p99_"))))
    computed = {
        (name, side): _computed(name, side, load_series.quantile(sides.get(side, load_series.NONE), share))
        for name, share in zip(percentiles, (0.50, 0.95, 0.99), strict=True)
        for side in shown
    }
    rows = [
        (_measure_title(name), *(_measure(found.get((name, side)) or computed.get((name, side))) for side in shown))
        for name in (*percentiles, *rest)
    ]
    body = markup.table(("", *(names[side] for side in shown)), rows, numeric=range(1, len(shown) + 1))
    return f'<div class="gw-compact">{body}</div>' if shown else ""


def _computed(name: str, side: str, value: float | None) -> wire.Measure:
    return wire.Measure(name=name, role=side, unit="s", value=value)


def _measure_title(name: str) -> str:
    if name.startswith(("p50_", "p95_", "p99_")):
        return name[:3].upper()
    # Beside the goodput in requests a second.
    return "Goodput share" if name == "goodput_share" else markup.text(_value_title(name))


def _measure(found: wire.Measure | None) -> str:
    """Times below a second in milliseconds, value and interval alike."""
    if found is None:
        return readable.NOTHING
    is_short = found.unit == "s" and found.value is not None and found.value < 1
    scale, unit = (1000.0, "ms") if is_short else (1.0, found.unit)
    value = f"<strong>{markup.text(_scaled(found.value, scale, unit))}</strong>"
    if found.interval is None:
        return value
    low, high = _scaled(found.interval.low, scale, unit), _scaled(found.interval.high, scale, unit)
    within = f"{low.removesuffix(f' {unit}')} … {high}"
    return f'{value}<br><span class="gw-muted" title="{found.interval.level:.0%} interval">{markup.text(within)}</span>'


def _scaled(value: float | None, scale: float, unit: str) -> str:
    return readable.number(None if value is None else value * scale, unit)


def limits(verdict: wire.Verdict, measured: load_series.Measured, sides: Mapping[str, load_series.Values]) -> dict[str, float]:
    """The P95's limits in seconds by what they are called: the floor, and what the baseline allows."""
    found = {
        "limit": tables.limit(verdict, measured.words, "floor"),
        "limit from baseline": tables.limit(verdict, measured.words, "baseline"),
    }
    factor, live = tables.factor(verdict, measured.words), load_series.quantile(sides.get("live", load_series.NONE), 0.95)
    if factor is not None and live is not None:
        found[f"{readable.number(factor, 'x')} live's P95"] = factor * live
    return {name: limit for name, limit in found.items() if limit is not None}


def load_unit(performance: wire.Performance) -> str:
    """What a sweep's loads are."""
    return "requests a second" if "/s" in performance.load or "a second" in performance.load else "requests in flight"


def saturation(points: Sequence[wire.LoadPoint], limits: Mapping[str, float], unit: str) -> str:
    """The highest load within the limits, in words."""
    best = load_series.highest_load(points, limits)
    top = max(points, key=lambda point: point.load)
    if best is None:
        lowest = min(points, key=lambda point: point.load)
        return f"Not even {readable.number(lowest.load)} {unit} stay within the limits."
    more = f" At {readable.number(_next(points, best).load)} it no longer does." if best.load < top.load else " No higher load was tried."
    rate = f", {readable.number(best.throughput)} answers/s" if best.throughput is not None else ""
    return f"Up to {readable.number(best.load)} {unit} ({readable.seconds(best.p95_latency_seconds)} P95{rate}) the limits are met.{more}"


def _next(points: Sequence[wire.LoadPoint], best: wire.LoadPoint) -> wire.LoadPoint:
    return min((point for point in points if point.load > best.load), key=lambda point: point.load)


def timeline(performance: wire.Performance) -> str:
    """What the timeline shows, what it leaves out, and what went wrong in it."""
    sides = {"Candidate": performance.samples, "Live": performance.baseline_samples}
    failed = [f"{side}: {_failed(samples)}." for side, samples in sides.items() if samples]
    own = "Live's requests come from its own earlier test; both clocks start at zero." if _has_own_clock(performance) else ""
    drawn = sum(len(points) for samples in sides.values() for points in load_series.drawn(samples).values())
    every = sum(map(len, sides.values()))
    thinned = f"{drawn:,} of {every:,} requests are drawn, the slowest among them; lines and rates are of all." if drawn < every else ""
    late = max((sample.delay_seconds for samples in sides.values() for sample in samples), default=0.0)
    delayed = f"Requests left up to {readable.seconds(late)} late: the sender fell behind, and latency counts that." if late > 0.01 else ""
    lines = "Lines: P95 (solid) and P50 (dotted) over about 40 requests."
    return " ".join(part for part in (lines, *failed, delayed, own, thinned) if part)


def _failed(samples: Sequence[wire.Sample]) -> str:
    count = sum(bool(sample.error) for sample in samples)
    return f"{readable.count(count, 'request')} failed" if count else "every request succeeded"


def _has_own_clock(performance: wire.Performance) -> bool:
    return bool(performance.baseline_samples) and performance.baseline != "alternated"


def failed(classes: Mapping[str, Mapping[str, int]], names: Mapping[str, str]) -> str:
    """Failures of each side by class, with counts."""
    lines = [
        f"{names[side]}: {', '.join(f'{name} × {count}' for name, count in found.items())}" for side, found in classes.items() if found
    ]
    return f"Failed. {'; '.join(lines)}." if lines else "No request failed."


def exact(performance: wire.Performance) -> dict[str, float | None]:
    """What the raw samples say of each quantile that the server has a histogram of."""
    measured = {one.stem: one for one in load_series.MEASURES.values()}
    parts = {name: name.removesuffix("_seconds").partition("_") for name in (performance.witness.quantiles if performance.witness else ())}
    known = {
        name: (int(percent[1:]) / 100, stem) for name, (percent, _, stem) in parts.items() if stem in measured and percent[1:].isdecimal()
    }
    ordered = {stem: load_series.on_the_wire(performance, measured[stem]) for _, stem in known.values()}
    return {name: load_series.quantile(ordered[stem], share) for name, (share, stem) in known.items()}
