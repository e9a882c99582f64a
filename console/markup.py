"""HTML of the console's own pieces: badges, track, step graph, verdict card, log, tables. Pure: values in, markup out, all text escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from console import readable, tables, theme
from controlplane import wire

_OUTCOMES = {
    "pass": ("✓", "Pass"),
    "fail": ("✕", "Fail"),
    "inconclusive": ("?", "Inconclusive"),
    "error": ("!", "Error"),
    "missing": ("○", "Not run"),
}
_STATES = {
    "waiting": "○",
    "running": "◐",
    "succeeded": "✓",
    "stopped": "■",
    "failed": "✕",
    "cancelled": "⊘",
    "done": "✓",
    "agrees": "✓",
    "drift": "✕",
    "idle": "○",
}
_ALIAS_ICONS = {
    "candidate": "◇",
    "staged": "◆",
    "eval-passed": "✓",
    "eval-failed": "✕",
    "perf-passed": "✓",
    "perf-failed": "✕",
    "live": "●",
    "previous": "↺",
}
TRACK = (("training", "Training"), ("staged", "Staged"), ("eval", "Gate 1"), ("perf", "Gate 2"), ("live", "Live"))
_REACHED = {"candidate": 1, "staged": 2, "eval-passed": 3, "eval-failed": 3, "perf-passed": 4, "perf-failed": 4, "live": 5, "previous": 5}


def text(value: object) -> str:
    return html.escape(str(value))


def badge(icon: str, word: str, tone: str, title: str = "") -> str:
    hover = f' title="{text(title)}"' if title else ""
    return f'<span class="gw-badge gw-{tone}"{hover}><span aria-hidden="true">{icon}</span> {text(word)}</span>'


def alias(name: str) -> str:
    """An alias's badge; live and previous carry a lock: they are protected."""
    lock = " 🔒" if name in ("live", "previous") else ""
    hover = "Protected: moved by promotion and rollback only." if lock else f"Alias {name}"
    return badge(_ALIAS_ICONS.get(name, "·"), name + lock, theme.ALIAS_TONES.get(name, "broken"), hover)


def aliases(names: Iterable[str]) -> str:
    return "".join(alias(name) for name in names) or '<span class="gw-muted">no alias</span>'


def outcome(name: str) -> str:
    icon, word = _OUTCOMES[name]
    return badge(icon, word, theme.OUTCOME_TONES[name])


def state(name: str) -> str:
    return badge(_STATES.get(name, "·"), name, theme.STATE_TONES.get(name, "broken"))


def role(name: str, version: int | None = None) -> str:
    """The badge of a side, candidate or live, in its one colour."""
    return badge(_ALIAS_ICONS[name], name if version is None else f"{name} v{version}", name)


def when(at: datetime | None, now: datetime) -> str:
    """A relative time with the exact one on hover."""
    stamp = f' datetime="{at.isoformat()}"' if at else ""
    return f'<time{stamp} title="{text(readable.exact(at))}">{text(readable.ago(at, now))}</time>'


def who(actor: str, interface: str) -> str:
    return f'<span class="gw-who">{text(actor or readable.NOTHING)} <span class="gw-muted">{text(interface)}</span></span>'


def identifier(value: str, length: int = 8) -> str:
    """A short id; a click copies the whole one."""
    if not value:
        return f'<span class="gw-muted">{readable.NOTHING}</span>'
    hover = f"{value} (click to copy)"
    return f'<code class="gw-id" data-copy="{text(value)}" title="{text(hover)}">{text(readable.short(value, length))}</code>'


def headline(question: str, answer: str, tone: str = "accent") -> str:
    """A page's question and its answer in words."""
    return (
        f'<div class="gw-headline gw-edge-{tone}"><div class="gw-question">{text(question)}</div>'
        f'<div class="gw-answer">{text(answer)}</div></div>'
    )


def track(version: wire.Version) -> str:
    """`training → staged → Gate 1 → Gate 2 → live` with the version's place on it."""
    names = set(version.aliases) | {version.stage}
    reached = max((_REACHED.get(name, 0) for name in names), default=0)
    places = "".join(_place(key, title, position, reached, names) for position, (key, title) in enumerate(TRACK, start=1))
    return f'<ol class="gw-track" aria-label="Place on the track">{places}</ol>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """A table of ready-made cells (already escaped); columns in `numeric` stand to the right."""
    right = set(numeric)
    head = "".join(f"<th{_right(i in right)}>{text(title)}</th>" for i, title in enumerate(headers))
    body = "".join("<tr>" + "".join(f"<td{_right(i in right)}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="gw-scroll"><table class="gw-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]], *, is_wide: bool = False) -> str:
    """Names and ready-made values, side by side; wide for sentences."""
    return (
        f'<dl class="gw-facts{" gw-wide" if is_wide else ""}">'
        + "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
        + "</dl>"
    )


def empty(title: str, advice: str, icon: str = "◌") -> str:
    return (
        f'<div class="gw-empty"><div class="gw-empty-icon" aria-hidden="true">{icon}</div>'
        f"<div><strong>{text(title)}</strong><br><span>{text(advice)}</span></div></div>"
    )


def fault(title: str, detail: str, hint: str, request_id: str) -> str:
    """What went wrong, what to do next, and the id to give to whoever runs the server."""
    advice = hint or "Try again; if it stays, look at the Health page."
    trace = f'<div class="gw-muted">Request id {identifier(request_id, 36)}</div>' if request_id else ""
    return (
        f'<div class="gw-fault" role="alert">{badge("!", title, "bad")}<p>{text(detail)}</p>'
        f'<p class="gw-next"><strong>What to do next.</strong> {_with_code(advice)}</p>{trace}</div>'
    )


def verdict(verdict: wire.Verdict, title: str, footer: Sequence[str] = (), *, is_compact: bool = False) -> str:
    """The verdict card: outcome, one sentence why, the checks as rows, notes, and ready-made `footer` items (evidence, who, when).

    A compact one stands beside a chart.
    """
    icon, word = _OUTCOMES[verdict.outcome]
    tone = theme.OUTCOME_TONES[verdict.outcome]
    notes = "".join(f'<li title="{text(note)}">{text(note)}</li>' for note in verdict.notes)
    kind = "gw-verdict gw-compact" if is_compact else "gw-verdict"
    return (
        f'<section class="{kind} gw-edge-{tone}"><header><span class="gw-mark gw-{tone}" aria-hidden="true">{icon}</span>'
        f'<div><div class="gw-question">{text(title)}</div><div class="gw-outcome gw-ink-{tone}">{word}</div></div>'
        f'<span class="gw-badge gw-broken" title="How the checks are decided">rules: {text(verdict.rules)}</span></header>'
        f'<p class="gw-why">{text(readable.sentence(verdict.reason))}</p>{_checks(verdict.checks)}'
        + (f'<ul class="gw-notes">{notes}</ul>' if notes else "")
        + (f"<footer>{' · '.join(footer)}</footer>" if footer else "")
        + "</section>"
    )


def checklist(items: Iterable[wire.Evidence], links: dict[str, str]) -> str:
    """The evidence for a promotion, each item with its outcome, reason and a link to what shows it."""
    return '<ul class="gw-checklist">' + "".join(_evidence(item, links.get(item.gate, "")) for item in items) + "</ul>"


def steps(run: wire.Run, now: datetime) -> str:
    """The run's steps as a graph from left to right: a column for each rank, live state and time in each node."""
    ranks: dict[int, list[wire.Step]] = {}
    depth: dict[str, int] = {}
    for step in run.steps:
        depth[step.name] = 1 + max((depth.get(need, 0) for need in step.needs), default=0)
        ranks.setdefault(depth[step.name], []).append(step)
    columns = [f'<div class="gw-rank">{"".join(_node(step, now) for step in column)}</div>' for _, column in sorted(ranks.items())]
    arrow = '<div class="gw-arrow" aria-hidden="true">→</div>'
    return f'<div class="gw-scroll"><div class="gw-steps">{arrow.join(columns)}</div></div>'


def progress(share: float, label: str, seconds_left: float | None = None) -> str:
    """A bar with percentage and time left where it is known."""
    left = f"about {readable.seconds(seconds_left)} left" if seconds_left is not None else ""
    width = f"{100 * max(0.0, min(1.0, share)):.0f}"
    return (
        f'<div class="gw-progress" role="progressbar" aria-valuenow="{width}" aria-valuemin="0" aria-valuemax="100">'
        f"<div><span>{text(label)}</span><span>{' · '.join(part for part in (width + ' %', left) if part)}</span></div>"
        f'<div class="gw-bar"><div style="width:{width}%"></div></div></div>'
    )


def log(lines: Sequence[wire.LogLine]) -> str:
    """Log lines, colour and word for each level; the newest at the end."""
    return f'<div class="gw-log" role="log">{"".join(_line(line) for line in lines)}</div>'


def differing(answer: str, other: str, side: str) -> str:
    """An answer with the words that the other side lacks marked."""
    words = (f'<mark class="gw-{side}">{text(w)}</mark>' if is_own else text(w) for w, is_own in tables.word_differences(answer, other))
    return " ".join(words)


def side(tone: str, head: str, body: str, footer: str) -> str:
    """One side's answer of a comparison; all parts ready-made."""
    answer = f'<div class="gw-side-text">{body}</div>'
    return f'<div class="gw-side gw-top-{tone}"><div>{head}</div>{answer}<div class="gw-muted">{footer}</div></div>'


def grade(letter: str, otherwise: str = "unscored") -> str:
    tone = {"A": "good", "B": "unsure", "C": "bad"}.get(letter, "broken")
    word = {"A": "A correct", "B": "B partly", "C": "C wrong"}.get(letter, otherwise)
    return badge({"A": "✓", "B": "~", "C": "✕"}.get(letter, "○"), word, tone)


def moves(items: Iterable[wire.AliasMove]) -> str:
    """Before and after of every alias; what changes is marked."""
    return table(("Alias", "Now", "", "Afterwards"), [_move(item) for item in items])


def _with_code(words: str) -> str:
    """Escaped text, its `commands` as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", text(words))


def _place(key: str, title: str, position: int, reached: int, names: set[str]) -> str:
    mark, kind = "", "todo"
    if f"{key}-failed" in names:
        mark, kind = "✕", "failed"
    elif position <= reached:
        mark, kind = "✓", "live" if key == "live" and "live" in names else "done"
    word = {"todo": "not yet", "failed": "did not pass", "done": "passed", "live": "here"}[kind]
    here = ' aria-current="step"' if position == reached else ""
    return f'<li class="gw-{kind}" title="{title}: {word}"{here}><span>{mark or position}</span>{title}</li>'


def _right(is_right: bool) -> str:
    return ' class="gw-right"' if is_right else ""


def _checks(checks: Sequence[wire.Check]) -> str:
    if not checks:
        return ""
    rows = [
        (
            outcome(check.outcome),
            _check_name(check),
            f"<strong>{tables.of_check(check, check.value)}</strong>",
            _interval(check),
            _limit(check),
            f'<span class="{"gw-ink-bad" if (check.margin or 0) < 0 else ""}">{readable.signed(check.margin, check.unit)}</span>',
        )
        for check in checks
    ]
    return table(("", "Check", "Value", "Interval", "Limit", "Margin"), rows, numeric=(2, 3, 4, 5))


def _check_name(check: wire.Check) -> str:
    kind = tables.of_both(check.name)
    sides = {"difference": "candidate minus live", "ratio": "candidate over baseline", "": ""}[kind]
    return f'{text(tables.bare_name(check.name))}<span class="gw-muted" title="{sides}">{kind and f" {kind}"}</span>'


def _limit(check: wire.Check) -> str:
    limit = tables.of_check(check, check.limit)
    return f"{tables.comparison(check.comparison)} {limit} <span class='gw-muted'>{text(check.against)}</span>"


def _interval(check: wire.Check) -> str:
    if check.interval is None:
        return '<span class="gw-muted" title="The point rules compare values alone; an open end is not shown">–</span>'
    return f'<span title="{check.interval.level:.0%} confidence">{tables.span(check.interval, check)}</span>'


def _evidence(item: wire.Evidence, link: str) -> str:
    icon, word = _OUTCOMES[item.outcome]
    tone = theme.OUTCOME_TONES[item.outcome]
    anchor = f'<a href="{text(link)}" target="_self">open the evidence</a>' if link else ""
    source = f"MLflow run {identifier(item.mlflow_run)}" if item.mlflow_run else ""
    trail = " · ".join(part for part in (source, anchor) if part)
    return (
        f'<li><span class="gw-mark gw-{tone}" aria-hidden="true">{icon}</span><div><strong>{text(item.title)}</strong> '
        f'<span class="gw-ink-{tone}">{word}</span><br>{text(readable.sentence(item.reason))}<div class="gw-muted">{trail}</div></div></li>'
    )


def _node(step: wire.Step, now: datetime) -> str:
    tone = theme.STATE_TONES.get(step.state, "broken") if step.retry_at is None else "unsure"
    taken = readable.seconds(tables.duration(step, now)) if step.started_at else "not started"
    attempt = f" · attempt {step.attempt}" if step.attempt > 1 or step.retry_at else ""
    bar = ""
    if step.state == "running" and step.progress is not None and step.progress.total > 0:
        bar = f'<div class="gw-bar"><div style="width:{100 * step.progress.done / step.progress.total:.0f}%"></div></div>'
    return (
        f'<div class="gw-node gw-edge-{tone} gw-state-{text(step.state)}" title="{text(step.help)}">'
        f'<div class="gw-node-name">{text(step.name)}</div><div class="gw-node-state gw-ink-{tone}">'
        f"{_STATES.get(step.state, '·')} {text(step.state)}</div><div class='gw-muted'>{taken}{attempt}</div>{bar}</div>"
    )


def _line(line: wire.LogLine) -> str:
    level = line.level.upper()
    tone = {"ERROR": "bad", "CRITICAL": "bad", "WARNING": "unsure", "WARN": "unsure", "DEBUG": "broken", "PROGRESS": "broken"}.get(
        level, "accent"
    )
    extra = " ".join(f"{name}={value}" for name, value in line.fields.items())
    return (
        f'<div title="{text(line.time)}"><span class="gw-log-time">{text(line.time[11:19])}</span>'
        f'<span class="gw-log-level gw-ink-{tone}">{text(level[:8])}</span><span class="gw-log-step">{text(line.step)}</span>'
        f'<span class="gw-log-text">{text(line.message)} <span class="gw-muted">{text(extra)}</span></span></div>'
    )


def _move(item: wire.AliasMove) -> tuple[str, str, str, str]:
    before, after = ("none" if number is None else f"v{number}" for number in (item.before, item.after))
    if before == after:
        return alias(item.alias), before, "=", f'<span class="gw-muted">{after}</span>'
    tone = "good" if item.after is not None else "broken"
    return alias(item.alias), f"<s>{before}</s>", "→", badge("+" if item.after is not None else "−", after, tone)
