"""The console's own pieces of HTML: everything from outside is escaped, colour never stands alone, the places of the track are right."""

from __future__ import annotations

import re

import pytest
from console_fakes import MODEL, NOW, FakeClient

from console import markup
from controlplane import wire

EVIL = "<img src=x onerror=alert(1)>"


def test_everything_from_outside_is_escaped() -> None:
    line = wire.LogLine(id="a:1", step=EVIL, number=1, time="2026-03-02T14:30:00Z", level="INFO", message=EVIL, fields={"k": EVIL})
    verdict = FakeClient().evaluation(MODEL, 6).verdict.model_copy(update={"reason": EVIL, "notes": (EVIL,)})
    run = FakeClient().run("5c1f0e9b7a42")
    evil_run = run.model_copy(update={"steps": (run.steps[0].model_copy(update={"name": EVIL, "help": EVIL}),)})
    evidence = wire.Evidence(gate="quality", title=EVIL, outcome="pass", reason=EVIL, mlflow_run=EVIL)
    whole = [
        markup.log([line]),
        markup.verdict(verdict, EVIL),
        markup.steps(evil_run, NOW),
        markup.checklist([evidence], {"quality": EVIL}),
        markup.fault(EVIL, EVIL, EVIL, EVIL),
        markup.headline(EVIL, EVIL),
        markup.empty(EVIL, EVIL),
        markup.identifier(EVIL),
        markup.differing(EVIL, "", "candidate"),
        markup.alias(EVIL),
        markup.who(EVIL, EVIL),
        markup.progress(0.5, EVIL),
    ]
    assert "<img" not in "".join(whole)


def _places(*aliases: str) -> list[str]:
    version = FakeClient().versions(MODEL)[-1].model_copy(update={"aliases": aliases, "stage": aliases[-1] if aliases else "registered"})
    return re.findall(r'<li class="gw-(\w+)"', markup.track(version))


@pytest.mark.parametrize(
    ("aliases", "places"),
    [
        ((), ["todo", "todo", "todo", "todo", "todo"]),
        (("candidate",), ["done", "todo", "todo", "todo", "todo"]),
        (("candidate", "staged"), ["done", "done", "todo", "todo", "todo"]),
        (("staged", "eval-passed"), ["done", "done", "done", "todo", "todo"]),
        (("staged", "eval-failed"), ["done", "done", "failed", "todo", "todo"]),
        (("staged", "eval-passed", "perf-failed"), ["done", "done", "done", "failed", "todo"]),
        (("live",), ["done", "done", "done", "done", "live"]),
        (("previous",), ["done", "done", "done", "done", "done"]),
    ],
)
def test_the_track_shows_how_far_a_version_came(aliases: tuple[str, ...], places: list[str]) -> None:
    assert _places(*aliases) == places


@pytest.mark.parametrize("name", ["live", "previous"])
def test_protected_aliases_carry_a_lock(name: str) -> None:
    assert "🔒" in markup.alias(name)
    assert "🔒" not in markup.alias("staged")


@pytest.mark.parametrize(
    ("outcome", "word"), [("pass", "Pass"), ("fail", "Fail"), ("inconclusive", "Inconclusive"), ("error", "Error"), ("missing", "Not run")]
)
def test_an_outcome_is_a_word_and_an_icon_besides_its_colour(outcome: str, word: str) -> None:
    assert re.search(rf'aria-hidden="true">.</span> {word}</span>', markup.outcome(outcome))


def test_a_verdict_card_has_value_interval_limit_and_margin() -> None:
    card = markup.verdict(FakeClient().evaluation(MODEL, 6).verdict, "Gate 1", ("judge: reference",))
    for piece in ("85.7 %", "79.0 … 91.0 %", "≥ 83.0 %", "+2.7 pp", "All 3 checks passed.", "reference judge", "judge: reference"):
        assert piece in card


def test_parallel_steps_share_a_rank() -> None:
    ranks = markup.steps(FakeClient().run("5c1f0e9b7a42"), NOW).split('<div class="gw-rank">')[1:]
    assert max(rank.count("gw-node-name") for rank in ranks) >= 2
    assert "inference-candidate" in ranks[1]
    assert "inference-live" in ranks[1]


def test_a_time_has_the_exact_one_on_hover() -> None:
    assert 'title="2026-03-02 14:30:00 UTC"' in markup.when(NOW, NOW)


def test_what_an_alias_loses_and_gains_is_shown() -> None:
    table = markup.moves([wire.AliasMove(alias="live", before=5, after=6), wire.AliasMove(alias="staged", before=6, after=None)])
    assert "<s>v5</s>" in table
    assert "v6" in table
    assert "none" in table


def test_an_unchanged_alias_is_not_struck_out() -> None:
    assert "<s>" not in markup.moves([wire.AliasMove(alias="live", before=5, after=5)])


def test_a_command_in_an_advice_is_code() -> None:
    assert "Start it with <code>gatewright up</code> &amp; wait." in markup.fault("T", "d", "Start it with `gatewright up` & wait.", "")
