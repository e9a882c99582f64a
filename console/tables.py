"""What the API answers as rows, cells and sentences of a page. Pure; reads no clock (`now` is handed in)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from console import readable
from controlplane import wire
from controlplane.core import spreadsheets

# How a gate names a check of a difference.
DIFFERENCE = ", candidate - live"
_OF_BOTH = re.compile(r", candidate ([-/]) (?:live|baseline)$")
METRICS = ("eval_loss", "perplexity", "a_rate", "c_rate", "refusal_rate", "p95_latency", "p95_ttft", "throughput")
_ALIASES_OF = {
    "eval_loss": ("final_eval_loss", "eval_loss"),
    "perplexity": ("perplexity",),
    "a_rate": ("candidate_a_rate", "a_rate"),
    "c_rate": ("candidate_c_rate", "c_rate"),
    "refusal_rate": ("candidate_refusal_rate", "refusal_rate"),
    "p95_latency": ("p95_latency_seconds", "p95_latency", "latency_p95"),
    "p95_ttft": ("p95_ttft_seconds", "p95_ttft", "ttft_p95"),
    "throughput": ("throughput", "throughput_rps"),
}
_TITLES = {
    "eval_loss": "Eval loss",
    "perplexity": "Perplexity",
    "a_rate": "A-rate",
    "c_rate": "C-rate",
    "refusal_rate": "Refusal",
    "p95_latency": "P95 latency",
    "p95_ttft": "P95 TTFT",
    "throughput": "Throughput",
}
_UNITS = {"a_rate": "%", "c_rate": "%", "refusal_rate": "%", "p95_latency": "s", "p95_ttft": "s", "throughput": "req/s"}


def metric(metrics: Mapping[str, float], name: str) -> float | None:
    """One of METRICS out of a version's metrics, under whichever name it was recorded."""
    return next((metrics[key] for key in _ALIASES_OF[name] if key in metrics), None)


def metric_title(name: str) -> str:
    return _TITLES[name]


def metric_text(metrics: Mapping[str, float], name: str) -> str:
    return readable.number(metric(metrics, name), _UNITS.get(name, ""))


def metric_unit(name: str) -> str:
    return _UNITS.get(name, "")


def duration(step: wire.Step | wire.Run, now: datetime) -> float | None:
    """Seconds a step or run has taken so far; None before it started."""
    begun = step.created_at if isinstance(step, wire.Run) else step.started_at
    return None if begun is None else ((step.ended_at or now) - begun).total_seconds()


def fraction(run: wire.Run) -> float:
    """Finished steps and the running one's share, over all steps."""
    if not run.steps:
        return 0.0
    return min(1.0, sum(_share(step) for step in run.steps) / len(run.steps))


def version_rows(versions: Sequence[wire.Version], now: datetime) -> list[dict[str, Any]]:
    """One row per version, the newest first, for the registry's table."""
    return [
        {
            "Version": f"v{version.number}",
            "Aliases": [alias_text(alias) for alias in version.aliases],
            **{metric_title(name): _scaled(version.metrics, name) for name in METRICS},
            "Data": version.tags.get("data-version", version.tags.get("data_version", readable.NOTHING)),
            "Created": readable.ago(version.created_at, now),
            "Digest": version.digest[:12],
        }
        for version in sorted(versions, key=lambda version: -version.number)
    ]


def alias_text(alias: str) -> str:
    """An alias in a table's cell; live and previous carry a lock."""
    return f"🔒 {alias}" if alias in ("live", "previous") else alias


def version_differences(first: wire.VersionDetail, second: wire.VersionDetail) -> list[tuple[str, str, str, bool]]:
    """(what, first's, second's, differs) over metrics and parameters of two versions."""
    pairs = [(metric_title(n), metric_text(first.version.metrics, n), metric_text(second.version.metrics, n)) for n in METRICS]
    names = sorted({*first.parameters, *second.parameters})
    pairs += [(name, first.parameters.get(name, readable.NOTHING), second.parameters.get(name, readable.NOTHING)) for name in names]
    return [(name, left, right, left != right) for name, left, right in pairs if (left, right) != (readable.NOTHING, readable.NOTHING)]


def is_regression(live_grade: str, candidate_grade: str) -> bool:
    """The candidate's grade is below live's."""
    order = {"A": 0, "B": 1, "C": 2}
    return live_grade in order and candidate_grade in order and order[candidate_grade] > order[live_grade]


def comparison(sign: str) -> str:
    """A comparison as it is printed."""
    return {"<=": "≤", ">=": "≥"}.get(sign, sign)


def bare_name(check_name: str) -> str:
    """Without what it says of both sides: a panel or column that shows ratios or differences says so itself."""
    return _OF_BOTH.sub("", check_name)


def of_both(check_name: str) -> str:
    """`ratio` or `difference` where a check compares two measured values, else empty."""
    found = _OF_BOTH.search(check_name)
    return {"-": "difference", "/": "ratio"}[found[1]] if found else ""


def is_difference(check_name: str) -> bool:
    return of_both(check_name) == "difference"


def of_check(check: wire.Check, value: float | None) -> str:
    """A value in the check's unit; a difference carries its sign."""
    return readable.signed(value, check.unit) if is_difference(check.name) else readable.number(value, check.unit)


def span(interval: wire.Interval, check: wire.Check) -> str:
    """`low … high` in the check's unit, said once."""
    low, high = of_check(check, interval.low), of_check(check, interval.high)
    unit = "×" if high.endswith("×") else f" {high.rpartition(' ')[2]}"
    return f"{low.removesuffix(unit)} … {high}"


def measure_title(name: str) -> str:
    """`p95_ttft_seconds` as `P95 TTFT`."""
    percent, _, stem = name.removesuffix("_seconds").partition("_")
    words = {"ttft": "TTFT", "token_gap": "between tokens", "inter_token": "between tokens"}.get(stem, stem.replace("_", " "))
    return f"{percent.upper()} {words}"


def tally(verdict: wire.Verdict) -> str:
    """How the checks went, in words; the reason itself when there are none."""
    unmet = [check for check in verdict.checks if check.outcome != "pass"]
    if not verdict.checks:
        return readable.sentence(verdict.reason)
    if not unmet:
        return f"all {readable.count(len(verdict.checks), 'check')} passed."
    names = ", ".join(dict.fromkeys(check.name.partition(",")[0] for check in unmet))
    return f"{len(unmet)} of {readable.count(len(verdict.checks), 'check')} did not pass ({names})."


def limit(verdict: wire.Verdict, words: str, against: str) -> float | None:
    """The limit in seconds of the P95 check on `latency` or `ttft`, from the floor or from the baseline."""
    return next(
        (check.limit for check in verdict.checks if words in check.name.lower() and check.against == against and check.unit == "s"), None
    )


def factor(verdict: wire.Verdict, words: str) -> float | None:
    """How many times the baseline's P95 of `latency` or `ttft` may be."""
    return next(
        (check.limit for check in verdict.checks if words in check.name.lower() and check.unit == "x" and "p95" in check.name.lower()), None
    )


def load_limits(verdict: wire.Verdict) -> dict[str, float]:
    """The floors that each step of a sweep is held against, by the field of `wire.LoadPoint`."""
    floors = {check.name.lower(): check.limit for check in verdict.checks if check.against == "floor"}
    names = {"p95 latency": "p95_latency_seconds", "p95 ttft": "p95_ttft_seconds", "success rate": "success_rate"}
    return {field: floors[name] for name, field in names.items() if name in floors}


def sample_cells(role: str, sample: wire.Sample) -> dict[str, object]:
    """One request in a table's row; times in seconds."""
    return {
        "Side": role,
        "Due at (s)": round(sample.at_seconds, 3),
        "Latency (s)": round(sample.total_seconds, 4),
        "First token (s)": sample.first_token_seconds,
        "Between tokens (s)": sample.gap_seconds,
        "Tokens": sample.answer_tokens,
        "Error": sample.error,
        "Sent late (s)": sample.delay_seconds,
        "Block": sample.block,
        "Counted": sample.is_counted,
        "Question": sample.row_id,
    }


def samples_csv(rows: Iterable[tuple[str, wire.Sample]]) -> str:
    """Requests as they were recorded, times in seconds."""
    return spreadsheets.to_csv(("role", *wire.Sample.model_fields), ({"role": role, **dict(sample)} for role, sample in rows))


def paired(rows: Iterable[wire.GradedAnswer], comparisons: Iterable[wire.ComparedRow] = ()) -> list[dict[str, Any]]:
    """Graded answers joined by row: one dict each with both sides' answer and grade, and which was preferred (None: not compared)."""
    by_id: dict[str, dict[str, wire.GradedAnswer]] = {}
    for row in rows:
        by_id.setdefault(row.id, {})[row.role] = row
    compared = {row.id: row for row in comparisons}
    return [_pair(identifier, sides, compared.get(identifier)) for identifier, sides in by_id.items()]


def votes_csv(votes: Iterable[wire.ExportedVote]) -> str:
    """Times in ISO 8601."""
    return spreadsheets.to_csv(list(wire.ExportedVote.model_fields), (vote.model_dump(mode="json") for vote in votes))


def jsonl(bodies: Iterable[wire.Body]) -> str:
    """A JSON object a line."""
    return "".join(body.model_dump_json() + "\n" for body in bodies)


def agreement(found: wire.Agreement, noun: str) -> str:
    """How far raters agree, in words."""
    if found.observed is None:
        return f"nothing rated twice yet (no {noun} with two ratings)"
    beyond = "beyond chance: not known, all ratings are the same" if found.alpha is None else f"Krippendorff's alpha {found.alpha:.2f}"
    return f"{found.observed:.0%} of pairs agree on {readable.count(found.items, noun)}; {beyond}"


def grade_counts(rows: Iterable[wire.GradedAnswer]) -> dict[str, dict[str, int]]:
    """Role -> grade (A, B, C, unscored) -> how many, of the rows that were judged."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        if not row.is_judged:
            continue
        grades = counts.setdefault(row.role, {"A": 0, "B": 0, "C": 0, "unscored": 0})
        grades[row.grade or "unscored"] += 1
    return counts


def graded(answer: wire.GradedAnswer | None) -> str:
    """A grade in a table's cell."""
    if answer is None:
        return readable.NOTHING
    return answer.grade or ("unscored" if answer.is_judged else "not judged")


def preferred(compared: wire.ComparedRow | None) -> str:
    """Who won a comparison, in a table's cell."""
    if compared is None:
        return readable.NOTHING
    return f"{compared.winner or 'unread'}{' (torn)' if is_torn(compared) else ''}"


def is_torn(compared: wire.ComparedRow | None) -> bool:
    """The judge said another thing when the answers changed places."""
    return compared is not None and bool(compared.winner) and compared.candidate_first != compared.live_first


def promotions_csv(promotions: Iterable[wire.Promotion]) -> str:
    """The timeline as CSV, times in ISO 8601."""
    names = ("id", "model", "version", "replaces", "is_rollback", "source_alias", "actor", "interface", "reason", "state")
    rows = (one.model_dump() | {name: readable.iso(getattr(one, name)) for name in ("started_at", "ended_at")} for one in promotions)
    return spreadsheets.to_csv((*names, "started_at", "ended_at", "digest", "error"), rows)


def command(workflow: str, values: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """The command line that launches the same run; defaults are left out."""
    given = [f"-p {name}={_quoted(value)}" for name, value in values.items() if value != defaults.get(name, "")]
    return " ".join([f"gatewright launch {workflow}", *given])


def estimate(workflow: wire.Workflow) -> float | None:
    """Seconds a run usually takes: the longest way through the steps; None while any step's time is unknown."""
    ends: dict[str, float] = {}
    for step in workflow.steps:
        if step.name not in workflow.typical_seconds:
            return None
        ends[step.name] = workflow.typical_seconds[step.name] + max((ends.get(need, 0.0) for need in step.needs), default=0.0)
    return max(ends.values(), default=None)


def level_at_least(level: str, least: str) -> bool:
    order = ("DEBUG", "INFO", "WARNING", "ERROR")
    return _rank(level, order) >= _rank(least, order)


def word_differences(first: str, second: str) -> list[tuple[str, bool]]:
    """The words of `first`, each with whether `second` lacks it (case and punctuation aside)."""
    other = {_bare(word) for word in second.split()}
    return [(word, _bare(word) not in other) for word in first.split()]


def _share(step: wire.Step) -> float:
    if step.state in ("succeeded", "stopped"):
        return 1.0
    if step.state == "running" and step.progress is not None and step.progress.total > 0:
        return min(1.0, step.progress.done / step.progress.total)
    return 0.0


def _scaled(metrics: Mapping[str, float], name: str) -> float | None:
    value = metric(metrics, name)
    return value * 100 if value is not None and _UNITS.get(name) == "%" else value


def _pair(identifier: str, sides: Mapping[str, wire.GradedAnswer], compared: wire.ComparedRow | None) -> dict[str, Any]:
    either = next(iter(sides.values()))
    candidate, live = sides.get("candidate"), sides.get("live")
    return {
        "id": identifier,
        "question": either.question,
        "context": either.context,
        "reference": either.reference,
        "answerable": either.answerable,
        "candidate": candidate,
        "live": live,
        "is_different": candidate is not None and live is not None and candidate.answer.strip() != live.answer.strip(),
        "compared": compared,
        "is_torn": is_torn(compared),
        "is_regression": is_regression(live.grade if live else "", candidate.grade if candidate else "")
        or (compared is not None and compared.winner == "live"),
    }


def _quoted(value: str) -> str:
    plain = value and all(letter.isalnum() or letter in "-_./:=,@%+" for letter in value)
    return value if plain else "'" + value.replace("'", "'\\''") + "'"


def _rank(level: str, order: tuple[str, ...]) -> int:
    name = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR"}.get(level.upper(), level.upper())
    return order.index(name) if name in order else 1


def _bare(word: str) -> str:
    return word.strip(".,;:!?\"'()").lower()
