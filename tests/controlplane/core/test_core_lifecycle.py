"""The alias rules: tables of plans and refusals, and properties that hold for every state of the aliases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import errors, lifecycle
from controlplane.core.lifecycle import Alias, AliasChange

ALIASES = st.dictionaries(st.sampled_from(list(Alias)), st.integers(1, 5))
SOURCES = st.sampled_from([*lifecycle.PROMOTABLE, Alias.PREVIOUS])


def applied(aliases: lifecycle.Aliases, changes: tuple[AliasChange, ...] | list[AliasChange]) -> dict[str, int]:
    result = dict(aliases)
    for change in changes:
        if change.version is None:
            result.pop(change.alias, None)
        else:
            result[change.alias] = change.version
    return result


@pytest.mark.parametrize(
    ("aliases", "source", "after"),
    [
        ({"perf-passed": 1}, Alias.PERF_PASSED, {"live": 1}),
        ({"perf-passed": 2, "live": 1}, Alias.PERF_PASSED, {"live": 2, "previous": 1}),
        ({"perf-passed": 3, "live": 2, "previous": 1}, Alias.PERF_PASSED, {"live": 3, "previous": 2}),
        (
            {"candidate": 2, "staged": 2, "eval-passed": 2, "perf-passed": 2, "perf-failed": 1, "live": 1},
            Alias.PERF_PASSED,
            {"live": 2, "previous": 1, "perf-failed": 1},
        ),
        ({"candidate": 3, "perf-passed": 2, "live": 1}, Alias.PERF_PASSED, {"candidate": 3, "live": 2, "previous": 1}),
        ({"live": 2, "previous": 1}, Alias.PREVIOUS, {"live": 1, "previous": 2}),
        ({"live": 2, "previous": 1, "candidate": 3}, Alias.PREVIOUS, {"live": 1, "previous": 2, "candidate": 3}),
    ],
)
def test_promotion_and_rollback(aliases: dict[str, int], source: Alias, after: dict[str, int]) -> None:
    assert applied(aliases, lifecycle.plan_promotion(aliases, source).changes) == after


@pytest.mark.parametrize(
    ("aliases", "source", "required", "says"),
    [
        ({}, Alias.PERF_PASSED, Alias.PERF_PASSED, "No version carries"),
        ({"live": 1, "perf-passed": 1}, Alias.PERF_PASSED, Alias.PERF_PASSED, "live already"),
        ({"staged": 1}, Alias.STAGED, Alias.PERF_PASSED, "policy asks for perf-passed"),
        ({"eval-passed": 1}, Alias.EVAL_PASSED, Alias.PERF_PASSED, "policy asks for perf-passed"),
        ({"candidate": 1}, Alias.CANDIDATE, Alias.STAGED, "cannot start from"),
        ({"perf-failed": 1}, Alias.PERF_FAILED, Alias.STAGED, "cannot start from"),
        ({"live": 1}, Alias.PREVIOUS, Alias.PERF_PASSED, "no previous version"),
        ({"previous": 1}, Alias.PREVIOUS, Alias.PERF_PASSED, "no live version"),
        ({"previous": 1, "live": 1}, Alias.PREVIOUS, Alias.PERF_PASSED, "no live version"),
    ],
)
def test_refusals_name_the_rule(aliases: dict[str, int], source: Alias, required: Alias, says: str) -> None:
    with pytest.raises(errors.Refused, match=says) as refusal:
        lifecycle.plan_promotion(aliases, source, required)
    assert refusal.value.hint


@pytest.mark.parametrize("source", [Alias.STAGED, Alias.EVAL_PASSED, Alias.PERF_PASSED])
def test_a_laxer_policy_allows_earlier_aliases(source: Alias) -> None:
    assert lifecycle.plan_promotion({source: 4}, source, Alias.STAGED).version == 4


@pytest.mark.parametrize(
    ("aliases", "alias", "changes"),
    [
        ({}, Alias.EVAL_PASSED, [AliasChange(Alias.EVAL_PASSED, 2)]),
        ({"eval-failed": 2}, Alias.EVAL_PASSED, [AliasChange(Alias.EVAL_FAILED, None), AliasChange(Alias.EVAL_PASSED, 2)]),
        ({"eval-failed": 1}, Alias.EVAL_PASSED, [AliasChange(Alias.EVAL_PASSED, 2)]),
        ({"perf-passed": 2}, Alias.PERF_FAILED, [AliasChange(Alias.PERF_PASSED, None), AliasChange(Alias.PERF_FAILED, 2)]),
        ({"live": 2}, Alias.STAGED, [AliasChange(Alias.STAGED, 2)]),
    ],
)
def test_an_alias_drives_its_rival_off_the_same_version(aliases: dict[str, int], alias: Alias, changes: list[AliasChange]) -> None:
    assert lifecycle.plan_alias(aliases, alias, 2) == changes


@given(ALIASES, st.sampled_from(list(lifecycle.RIVAL)), st.integers(1, 5))
def test_no_version_carries_both_of_two_rivals_after_a_plan(aliases: dict[str, int], alias: Alias, version: int) -> None:
    after = applied(aliases, lifecycle.plan_alias(aliases, alias, version))
    assert after[alias] == version
    assert after.get(lifecycle.RIVAL[alias]) != version


@given(ALIASES, SOURCES)
def test_a_promotion_keeps_its_promises_in_every_state(aliases: dict[str, int], source: Alias) -> None:
    try:
        plan = lifecycle.plan_promotion(aliases, source, Alias.STAGED)
    except errors.Refused:
        return
    after = applied(aliases, plan.changes)
    assert after["live"] == plan.version == aliases[source]
    assert plan.replaces == aliases.get("live")
    assert after.get("previous") == (plan.replaces or aliases.get("previous"))
    assert after["live"] != aliases.get("live")
    if not plan.is_rollback:
        assert not any(after.get(alias) == plan.version for alias in lifecycle.CLEANED_ON_PROMOTE)
    kept = {alias: version for alias, version in aliases.items() if version != plan.version and alias not in ("live", "previous")}
    assert kept.items() <= after.items()


@given(ALIASES, SOURCES)
def test_previous_moves_before_live_so_that_a_kill_between_loses_nothing(aliases: dict[str, int], source: Alias) -> None:
    try:
        plan = lifecycle.plan_promotion(aliases, source, Alias.STAGED)
    except errors.Refused:
        return
    order = [change.alias for change in plan.changes]
    if Alias.PREVIOUS in order:
        assert order.index(Alias.PREVIOUS) < order.index(Alias.LIVE)
    assert all(change.version is None for change in plan.changes[order.index(Alias.LIVE) + 1 :])


@given(ALIASES)
def test_rolling_back_twice_is_where_we_were(aliases: dict[str, int]) -> None:
    try:
        once = applied(aliases, lifecycle.plan_promotion(aliases, Alias.PREVIOUS).changes)
    except errors.Refused:
        return
    assert applied(once, lifecycle.plan_promotion(once, Alias.PREVIOUS).changes) == aliases
