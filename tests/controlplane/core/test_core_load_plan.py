"""What makes a test plan, when it has seen enough, when requests are due and which question comes next."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import arrivals, errors, latency, load_plan, question_order

SLOTS = (load_plan.Slot("candidate", "c"), load_plan.Slot("live", "l"))


def plan(**changes: Any) -> load_plan.Plan:
    return load_plan.Plan(**{"slots": SLOTS, "loop": load_plan.ClosedLoop(10), "max_tokens": 5, "requests_per_block": 100, **changes})


WRONG = {
    "nobody to ask": {"slots": ()},
    "a slot without a name": {"slots": (load_plan.Slot("candidate", ""),)},
    "one role twice": {"slots": (SLOTS[0], load_plan.Slot("candidate", "x"))},
    "no client": {"loop": load_plan.ClosedLoop(0)},
    "no rate": {"loop": load_plan.OpenLoop(0.0)},
    "a rate that is no number": {"loop": load_plan.OpenLoop(math.nan)},
    "no end of a rate": {"loop": load_plan.OpenLoop(math.inf)},
    "no place": {"loop": load_plan.OpenLoop(1.0, max_in_flight=0)},
    "no tokens": {"max_tokens": 0},
    "blocks without end": {"requests_per_block": 0},
    "blocks with two ends": {"seconds_per_block": 1.0},
    "blocks of less than nothing": {"requests_per_block": -1},
    "blocks of no number": {"requests_per_block": 0, "seconds_per_block": math.nan},
    "no blocks": {"blocks_per_slot": 0},
    "a ramp backwards": {"ramp_seconds": -1.0},
    "fewer than no warm-up": {"warmup_requests": -1},
    "no time for an answer": {"deadline_seconds": 0.0},
    "all time for an answer": {"deadline_seconds": math.inf},
    "an end before the start": {"max_seconds": -1.0},
    "no precision": {"precision": 1.0},
    "a precision that is no number": {"precision": math.nan},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_plan_that_makes_no_test_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(errors.InvalidInput) as refusal:
        plan(**WRONG[name])
    assert refusal.value.hint


@given(slots=st.integers(1, 2), turns=st.integers(1, 6), warmups=st.integers(0, 5))
def test_blocks_alternate_and_are_balanced(slots: int, turns: int, warmups: int) -> None:
    found = load_plan.blocks(plan(slots=SLOTS[:slots], blocks_per_slot=turns, warmup_requests=warmups))
    assert [block.number for block in found] == list(range(slots * turns))
    assert [block.slot for block in found] == [*SLOTS[:slots]] * turns
    assert [block.warmup_requests for block in found] == [warmups] * slots + [0] * slots * (turns - 1)
    assert sum(block.begins_round for block in found) == sum(block.ends_round for block in found) == turns


def test_the_first_slot_named_begins() -> None:
    assert [block.slot.role for block in load_plan.blocks(plan(slots=SLOTS[::-1]))] == ["live", "candidate"] * 2


@pytest.mark.parametrize(
    ("loop", "most", "in_flight"),
    [
        (load_plan.ClosedLoop(1), 20, 1),
        (load_plan.ClosedLoop(50), 100, 50),
        (load_plan.OpenLoop(0.5), 20, 1000),
        (load_plan.OpenLoop(30.5, max_in_flight=7), 62, 7),
    ],
)
def test_failures_bear_two_rounds_of_the_load(loop: load_plan.ClosedLoop | load_plan.OpenLoop, most: int, in_flight: int) -> None:
    assert (plan(loop=loop).most_failures_in_a_row, plan(loop=loop).most_in_flight) == (most, in_flight)


@pytest.mark.parametrize(("changes", "count"), [({}, 400), ({"requests_per_block": 0, "seconds_per_block": 5.0}, None)])
def test_requests_of_the_whole_test_are_known_where_they_decide(changes: dict[str, Any], count: int | None) -> None:
    assert plan(**changes).counted_requests == count


def samples(role: str, seconds: list[float], **changes: Any) -> list[latency.Sample]:
    return [latency.Sample(0.0, 0.1, value, 5, role=role, **changes) for value in seconds]


EVEN = [1 + place / 1000 for place in range(1000)]
FEW, WIDE = EVEN[:70], [1 + place / 10 for place in range(1000)]
PRECISE = {
    "both pinned down": (samples("candidate", EVEN) + samples("live", EVEN), 0.05, True),
    "not asked for": (samples("candidate", EVEN) + samples("live", EVEN), 0.0, False),
    "one is wide": (samples("candidate", EVEN) + samples("live", WIDE), 0.01, False),
    "too few for an interval": (samples("candidate", EVEN) + samples("live", FEW), 0.9, False),
    "one has none": (samples("candidate", EVEN), 0.9, False),
    "warm-ups do not count": (samples("candidate", EVEN) + samples("live", EVEN, is_counted=False), 0.9, False),
    "failures do not count": (samples("candidate", EVEN) + samples("live", EVEN, error="http 500"), 0.9, False),
}


@pytest.mark.parametrize("name", PRECISE)
def test_precise_is_when_both_slots_are(name: str) -> None:
    found, precision, is_precise = PRECISE[name]
    assert load_plan.is_precise(plan(precision=precision), found) is is_precise


def test_the_width_is_that_of_the_order_statistics() -> None:
    width = load_plan.relative_half_width([float(value) for value in range(1, 1001)])
    assert width == pytest.approx((964 - 936) / 2 / 950, rel=0.05)
    assert load_plan.relative_half_width([]) is None
    assert load_plan.relative_half_width([0.0] * 1000) is None


@given(rate=st.floats(0.1, 1000), ramp=st.sampled_from([0.0, 0.5, 30.0]), kind=st.sampled_from(load_plan.Arrivals), seed=st.integers(0, 10))
def test_arrivals_rise_at_the_rate_after_the_ramp(rate: float, ramp: float, kind: load_plan.Arrivals, seed: int) -> None:
    loop = load_plan.OpenLoop(rate, kind)
    times = [*itertools.islice(arrivals.times(loop, ramp, numpy.random.default_rng(seed)), 2000)]
    assert times == sorted(times)
    assert times[0] > 0
    # 2,000 arrivals: the last is due after 2,000 mean gaps and half the ramp, give or take five standard deviations.
    spread = 5 * math.sqrt(2000) / rate if kind is load_plan.Arrivals.POISSON else 1e-6
    if 2000 / rate > ramp:
        assert times[-1] == pytest.approx(2000 / rate + ramp / 2, abs=spread)


def test_the_ramp_grows_evenly() -> None:
    loop = load_plan.OpenLoop(100.0, load_plan.Arrivals.CONSTANT)
    times = [*itertools.islice(arrivals.times(loop, 10.0, numpy.random.default_rng()), 1000)]
    a_second = [sum(second <= time < second + 1 for time in times) for second in range(12)]
    assert a_second == pytest.approx([5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100, 100], abs=1)


def test_an_even_stream_is_even() -> None:
    loop = load_plan.OpenLoop(4.0, load_plan.Arrivals.CONSTANT)
    assert [*itertools.islice(arrivals.times(loop, 0.0, numpy.random.default_rng()), 3)] == pytest.approx([0.25, 0.5, 0.75])


@given(count=st.integers(1, 20), asked=st.integers(1, 60), seed=st.integers(0, 5))
def test_every_question_comes_before_any_comes_again(count: int, asked: int, seed: int) -> None:
    order = question_order.QuestionOrder(count, ["a"], numpy.random.default_rng(seed))
    found = [order.next("a") for _ in range(asked)]
    for start in range(0, asked, count):
        chunk = found[start : start + count]
        assert len(set(chunk)) == len(chunk)
    assert count == 1 or all(before != after for before, after in itertools.pairwise(found))


def test_slots_get_the_same_questions_in_a_round_and_other_ones_in_the_next() -> None:
    order = question_order.QuestionOrder(100, ["a", "b"], numpy.random.default_rng(1))
    order.begin_round()
    first, second = ([order.next(role) for _ in range(count)] for role, count in (("a", 20), ("b", 30)))
    order.begin_round()
    third, fourth = ([order.next(role) for _ in range(20)] for role in "ab")
    assert first == second[:20]
    assert third == fourth
    assert not {*second} & {*third}
