"""HTML of how sure a verdict is: what would decide it, how far its judge can be trusted, what other rules say, what it stands on.

Pure: values in, markup out, all text escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from console import markup, readable, tables, theme
from controlplane import wire

_READINGS = {"pointwise": "grades", "pairwise": "pairs"}
_DECIDED_BY = ("reading", "rules", "margin", "level", "looks", "min_kappa", "min_a_rate", "max_c_rate", "min_refusal_rate")
_RULES = {"point": "values", "interval": "intervals"}


def beside(cards: Sequence[str]) -> str:
    """Cards in a row, equally high."""
    return f'<div class="gw-cards">{"".join(cards)}</div>'


def card(title: str, body: str) -> str:
    """A block with a heading; `body` is ready-made."""
    return f'<section class="gw-card"><h4>{markup.text(title)}</h4>{body}</section>'


def what_it_takes(evaluation: wire.Evaluation) -> str:
    """What would decide an inconclusive verdict: a judge to trust, or a line for each open check."""
    trust = evaluation.trust
    if trust is not None and trust.refusal:
        said = "".join(f"<li>{markup.text(line)}</li>" for line in (trust.refusal, *_mending(trust)))
    else:
        said = open_checks(evaluation.verdict.reason)
    return card("What it would take to be sure", f'<ul class="gw-lines">{said}</ul>')


def open_checks(reason: str) -> str:
    """A line for each open check of an inconclusive verdict, with what would close it."""
    return "".join(_open(one) for one in readable.sentences(reason))


def judge_trust(evaluation: wire.Evaluation) -> str:
    """Kappa against what is required of it, several judges' agreement, and what order and length did to preferences."""
    lines = [*_kappa(evaluation.trust), *_agreement(evaluation.agreement), *_order_and_length(evaluation.pairwise)]
    return card("Judge trust", f'<ul class="gw-lines">{"".join(f"<li>{line}</li>" for line in lines)}</ul>')


def by_rules(evaluation: wire.Evaluation) -> str:
    """Each reading by each set of rules, the one that decides first."""
    verdict = evaluation.verdict
    rows = [_rule(evaluation.reading, verdict.rules, verdict.outcome, "This one decides.")]
    rows += [_rule(one.reading, one.rules, one.outcome, readable.sentence(one.reason)) for one in evaluation.others]
    return card("By other readings and rules", markup.table(("Read and ruled by", "Says"), rows))


def pairwise_line(found: wire.Pairwise) -> str:
    """All comparisons together, in words; `orders` tells of one."""
    unread = f", {found.unread} unread" if found.unread else ""
    wins = f"candidate preferred on {readable.count(found.wins, 'row')}, live on {found.losses}, {found.ties} ties{unread}"
    interval = found.interval
    if found.net is None or interval is None:
        return wins
    low, high = (readable.signed(bound, "%") for bound in (interval.low, interval.high))
    return f"{wins}; net {readable.signed(found.net, '%')} ({interval.level:.0%} interval {low} … {high})"


def orders(compared: wire.ComparedRow) -> str:
    """Which of the two answers to one row was preferred, in each order, and why."""
    said = (("candidate first", compared.candidate_first), ("live first", compared.live_first))
    each = " · ".join(f"{place}: {_side(name)}" for place, name in said)
    verdict = "could not be read" if not compared.winner else "tie: the judge changed its mind" if tables.is_torn(compared) else ""
    winner = f"<span class='gw-muted'>{verdict}</span>" if verdict else f"preferred: {_side(compared.winner)}"
    return f"<strong>Which is better?</strong> {winner} <span class='gw-muted'>({each})</span><br>{markup.text(compared.reason)}"


def records(evaluation: wire.Evaluation) -> list[tuple[str, str]]:
    """Names and ready-made values of what the verdict stands on."""
    data, given = evaluation.dataset, evaluation.parameters
    pairs = []
    if data is not None:
        columns = ", ".join(f"{name} ({kind})" for name, kind in data.columns.items())
        pairs = [
            ("Eval set", f"{markup.text(data.name)}, {readable.count(data.rows, 'row')}"),
            ("Source", markup.text(data.source)),
            ("Digest", markup.identifier(data.digest, 12)),
            ("Columns", markup.text(columns)),
        ]
    pairs += [
        ("Judge", markup.text(evaluation.judge)),
        ("Judge's identity", markup.text(evaluation.judge_identity or readable.NOTHING)),
        ("Judge's wording", markup.identifier(evaluation.judge_prompt_digest, 12)),
        ("MLflow run", markup.identifier(evaluation.mlflow_run)),
    ]
    return pairs + [(name.replace("_", " "), markup.text(given[name])) for name in _DECIDED_BY if name in given]


def scale(value: float, interval: tuple[float, float], limit: float, tone: str) -> str:
    """A bar from 0 to 1 with an interval on it, the value, and a tick at the limit."""
    low, high, at, tick = (100 * max(0.0, min(1.0, one)) for one in (*interval, value, limit))
    words = f"{value:.2f} between {interval[0]:.2f} and {interval[1]:.2f}; {limit:.2f} is required"
    return (
        f'<div class="gw-scale gw-ink-{tone}" role="img" aria-label="{words}" title="{words}">'
        f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i><b style="left:{at:.1f}%"></b><u style="left:{tick:.1f}%"></u></div>'
    )


def _mending(trust: wire.JudgeTrust) -> tuple[str, ...]:
    if trust.kappa is None or trust.kappa >= trust.min_kappa:
        return ("Add trusted grades, then launch the evaluation again: people's grades below become some.",)
    return ("Judge with another model, or mend what this one gets wrong: the Judge page shows each answer it misjudged.",)


def _open(sentence: str) -> str:
    """What is open and what would close it; where its interval lies stands in the verdict, and here on hover."""
    name, found, rest = sentence.partition(" lies between ")
    needed = rest.partition("; ")[2]
    name = f"{tables.bare_name(name)} {tables.of_both(name)}".strip()
    said = f"{markup.text(name)}: <strong>{markup.text(needed)}</strong>" if found and needed else markup.text(sentence)
    return f'<li title="{markup.text(sentence)}">{said}</li>'


def _kappa(trust: wire.JudgeTrust | None) -> list[str]:
    if trust is None:
        return [f"{_mark('unsure')} Not measured in this evaluation: how often the judge is right is not known."]
    word = markup.badge("✕", "not trusted", "bad") if trust.refusal else markup.badge("✓", "trusted", "good")
    interval = trust.interval
    if trust.kappa is None or interval is None:
        return [f"{word} {markup.text(trust.refusal)}"]
    within = f"{interval.level:.0%} interval {interval.low:.2f} … {interval.high:.2f}"
    said = f"{word} kappa <strong>{trust.kappa:.2f}</strong> ({within}), at least {trust.min_kappa:.2f} is required"
    bar = scale(trust.kappa, (interval.low, interval.high), trust.min_kappa, "bad" if trust.refusal else "good")
    return [said + bar, *(f"{_mark('unsure')} {markup.text(warning)}" for warning in trust.warnings)]


def _agreement(found: wire.JudgesAgreement | None) -> list[str]:
    if found is None:
        return []
    beyond = "" if found.kappa is None else f", Fleiss' kappa {found.kappa:.2f}"
    return [f"{found.judges} judges, majority: <strong>{found.observed:.0%}</strong> of pairs of them give the same grade{beyond}"]


def _order_and_length(found: wire.Pairwise | None) -> list[str]:
    if found is None or found.consistency is None:
        return []
    order = f"Asked about {readable.count(found.asked, 'row')} in both orders, it says the same on <strong>{found.consistency:.0%}</strong>"
    torn = "" if found.first_share is None else f"; torn, it took the first answer in {found.first_share:.0%}"
    length = f"Candidate's answers are {readable.characters(found.mean_length_difference)} than live's"
    winners = "" if found.winner_excess is None else f", those that won {readable.characters(found.winner_excess)} than those that lost"
    return [order + torn, length + winners, *(f"{_mark('unsure')} {markup.text(caution)}" for caution in found.cautions)]


def _rule(reading: str, rules: str, outcome: str, reason: str) -> tuple[str, str]:
    name = f"{_READINGS.get(reading, reading)}, {_RULES.get(rules, rules)}"
    known = markup.outcome(outcome) if outcome in theme.OUTCOME_TONES else markup.text(outcome)
    return (
        f'<span class="gw-who">{markup.text(name)}</span>',
        f'<span class="gw-clamp" title="{markup.text(reason)}">{known}{markup.text(reason)}</span>',
    )


def _mark(tone: str) -> str:
    return f'<span class="gw-ink-{tone}" role="img" aria-label="caution">⚠</span>'


def _side(name: str) -> str:
    return markup.role(name) if name in ("candidate", "live") else markup.text(name or "unread")
