"""What is left to do of a promotion that was cut off between two aliases."""

from __future__ import annotations

import pytest

from controlplane.core import lifecycle
from controlplane.core.lifecycle import Alias


def applied(aliases, changes):
    result = dict(aliases)
    for change in changes:
        result.pop(change.alias, None)
        if change.version is not None:
            result[change.alias] = change.version
    return result


START = {
    "first": ({"perf-passed": 1, "staged": 1}, Alias.PERF_PASSED),
    "second": ({"perf-passed": 2, "live": 1}, Alias.PERF_PASSED),
    "third": ({"perf-passed": 3, "staged": 3, "live": 2, "previous": 1}, Alias.PERF_PASSED),
    "rollback": ({"live": 2, "previous": 1, "staged": 3}, Alias.PREVIOUS),
}


@pytest.mark.parametrize("name", START)
def test_wherever_it_was_cut_the_rest_leads_to_the_same_end(name):
    before, source = START[name]
    plan = lifecycle.plan_promotion(before, source)
    end = applied(before, plan.changes)
    for made in range(len(plan.changes) + 1):
        now = applied(before, plan.changes[:made])
        rest = lifecycle.rest(now, plan.version, plan.replaces)
        assert applied(now, rest) == end, made
