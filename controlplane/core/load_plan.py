"""What a load test is: whom it asks, how hard, in which blocks, and when it has seen enough. It sends nothing and reads no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy import stats

from controlplane.core import errors, latency, statistics

# Why a test ended (`LoadTest.stopped_by`).
COUNT, TIME, PRECISION, FAILURES = "count", "time", "precision", "failures"
FEWEST_FAILURES_IN_A_ROW = 20
CONFIDENCE = 0.95


class Endpoint(StrEnum):
    CHAT = "chat"
    COMPLETIONS = "completions"


class Arrivals(StrEnum):
    POISSON = "poisson"
    CONSTANT = "constant"


@dataclass(frozen=True)
class ClosedLoop:
    """`concurrency` clients; each sends its next request when its last one ended. A slow server is asked less often."""

    concurrency: int = 10


@dataclass(frozen=True)
class OpenLoop:
    """Requests come at their times, however slow the answers are: users do not wait for each other.

    Above `max_in_flight` a request waits for its turn; its latency counts from when it was due.
    """

    requests_per_second: float
    arrivals: Arrivals = Arrivals.POISSON
    max_in_flight: int = 1000


@dataclass(frozen=True)
class Slot:
    """`name` is what requests call the model; `role` is whose numbers these are: candidate or live."""

    role: str
    name: str


@dataclass(frozen=True)
class Plan:
    """Slots take turns, block by block: A-B-A-B. The load drains between blocks.

    Exactly one of `requests_per_block` (counted requests) and `seconds_per_block` ends a block.

    Args:
        slots: the first has the first block.
        ramp_seconds: at the start of each block, in which the load grows; what is due in it does not count.
        warmup_requests: of each slot, before its first block; they do not count.
        deadline_seconds: longest time of one request, from when it was due.
        max_seconds: no request of the test begins later; 0 for no limit.
        precision: the test ends after the round of blocks in which each slot's P95 end-to-end is known this well (half of its interval's
            width over its value, such as 0.1); 0 for never.

    Raises:
        InvalidInput: a value that makes no test; it is named.
    """

    slots: tuple[Slot, ...]
    loop: ClosedLoop | OpenLoop
    max_tokens: int
    requests_per_block: int = 0
    seconds_per_block: float = 0.0
    blocks_per_slot: int = 2
    endpoint: Endpoint = Endpoint.CHAT
    ramp_seconds: float = 0.0
    warmup_requests: int = 0
    deadline_seconds: float = 120.0
    max_seconds: float = 0.0
    precision: float = 0.0

    def __post_init__(self) -> None:
        for is_right, fault, hint in _checks(self):
            if not is_right:
                raise errors.InvalidInput(f"A load test cannot have {fault}.", hint=hint)

    def is_too_late(self, seconds: float) -> bool:
        """For a request to begin, so long after the test's start."""
        return 0 < self.max_seconds <= seconds

    @property
    def most_in_flight(self) -> int:
        return self.loop.concurrency if isinstance(self.loop, ClosedLoop) else self.loop.max_in_flight

    @property
    def most_failures_in_a_row(self) -> int:
        """After so many the test ends: two rounds of all clients, or two seconds of arrivals, and not one answer."""
        load = self.loop.concurrency if isinstance(self.loop, ClosedLoop) else math.ceil(self.loop.requests_per_second)
        return max(FEWEST_FAILURES_IN_A_ROW, 2 * load)

    @property
    def counted_requests(self) -> int | None:
        """Of the whole test; None where time decides."""
        return len(self.slots) * self.blocks_per_slot * self.requests_per_block or None


@dataclass(frozen=True)
class PlannedBlock:
    number: int
    slot: Slot
    warmup_requests: int
    begins_round: bool
    ends_round: bool


def blocks(plan: Plan) -> list[PlannedBlock]:
    """In order. A round is one block of each slot."""
    last = len(plan.slots) - 1
    return [
        PlannedBlock(len(plan.slots) * turn + place, slot, 0 if turn else plan.warmup_requests, place == 0, place == last)
        for turn in range(plan.blocks_per_slot)
        for place, slot in enumerate(plan.slots)
    ]


def is_precise(plan: Plan, samples: Sequence[latency.Sample]) -> bool:
    """Whether the counted successes of each slot pin its P95 end-to-end down as well as the plan asks."""
    if not plan.precision:
        return False
    good = [sample for sample in samples if sample.is_counted and not sample.error]
    widths = [relative_half_width([sample.total_seconds for sample in good if sample.role == slot.role]) for slot in plan.slots]
    return all(width is not None and width <= plan.precision for width in widths)


def relative_half_width(seconds: Sequence[float], percent: float = 95) -> float | None:
    """Half the width of the percentile's distribution-free interval, over the percentile. None with too few values for an interval.

    The interval is Conover's, from order statistics (Practical Nonparametric Statistics, 3rd ed., 1999, section 3.2), as scipy has it.
    """
    if not seconds:
        return None
    bounds = stats.quantile_test(list(seconds), p=percent / 100).confidence_interval(CONFIDENCE)
    value = statistics.percentile(seconds, percent)
    if not value or not math.isfinite(bounds.high - bounds.low):
        return None
    return float(bounds.high - bounds.low) / 2 / value


def _checks(plan: Plan) -> list[tuple[bool, str, str]]:
    """(whether it is right, what is wrong otherwise, what to do)."""
    names, roles = ([getattr(slot, field) for slot in plan.slots] for field in ("name", "role"))
    amounts = (plan.requests_per_block, plan.seconds_per_block)
    return [
        (bool(names) and all(names), "no slot, or one without a name", "Name the slots to ask."),
        (len({*roles}) == len(roles), f"two slots of one role ({', '.join(roles)})", "Give each slot its own role."),
        *_loop_checks(plan.loop),
        (plan.max_tokens >= 1, f"a limit of {plan.max_tokens} tokens", "The limit must be at least 1."),
        (_is_one(*amounts), f"blocks of {amounts[0]} requests or {amounts[1]} s", "Give one of the two."),
        (plan.blocks_per_slot >= 1, f"{plan.blocks_per_slot} blocks for each slot", "Each slot needs at least 1."),
        (_is_time(plan.ramp_seconds), f"a ramp of {plan.ramp_seconds} s", "It must be 0 or more."),
        (plan.warmup_requests >= 0, f"{plan.warmup_requests} warm-up requests", "There must be 0 or more."),
        (_is_positive(plan.deadline_seconds), f"a deadline of {plan.deadline_seconds} s", "It must be more than 0."),
        (_is_time(plan.max_seconds), f"an end after {plan.max_seconds} s", "It must be 0 (none) or more."),
        (0 <= plan.precision < 1, f"a precision of {plan.precision}", "It must be at least 0 and less than 1, such as 0.1."),
    ]


def _loop_checks(loop: ClosedLoop | OpenLoop) -> list[tuple[bool, str, str]]:
    if isinstance(loop, ClosedLoop):
        return [(loop.concurrency >= 1, f"{loop.concurrency} clients", "The concurrency must be at least 1.")]
    rate, most = loop.requests_per_second, loop.max_in_flight
    return [
        (_is_positive(rate), f"a rate of {rate} requests/s", "It must be more than 0."),
        (most >= 1, f"at most {most} requests in flight", "It must be at least 1."),
    ]


def _is_time(*seconds: float) -> bool:
    return all(0 <= value < math.inf for value in seconds)


def _is_one(count: int, seconds: float) -> bool:
    return _is_time(count, seconds) and bool(count) != bool(seconds)


def _is_positive(value: float) -> bool:
    return 0 < value < math.inf
