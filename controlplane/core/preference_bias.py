"""How far a judge's preferences between two answers can be believed: what order and length did to them. Pure; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.core import intervals, pairwise, statistics

# Below this the order of the two answers says too much of what the judge says.
MIN_CONSISTENCY = 0.8


@dataclass(frozen=True)
class Bias:
    """`asked`: rows that a judge could be read on; equal answers tie unasked. `torn`: of those, it changed its mind with the order.

    Of the rows that somebody won, `uneven`: winner and loser differ in length; `longer_won`: of those, the longer one won.
    `winner_excess`: the mean length of winners less that of losers, characters; None where nobody won.
    """

    asked: int
    torn: int
    uneven: int
    longer_won: int
    winner_excess: float | None

    @property
    def consistency(self) -> float | None:
        """How often both orders agreed, of the rows asked about (Zheng et al. 2023, "Judging LLM-as-a-Judge", 3.4)."""
        return statistics.rate(self.asked - self.torn, self.asked)

    @property
    def prefers_longer(self) -> bool:
        """More often than by chance: Wilson's interval of how often the longer answer won lies above a half as a whole."""
        interval = intervals.rate(self.longer_won, self.uneven)
        return interval is not None and interval.low > 0.5


def measure(rows: Sequence[pairwise.ComparedRow]) -> Bias:
    asked = [row for row in rows if row.winner and row.reason != pairwise.EQUAL]
    excesses = [_winner_excess(row) for row in asked if row.winner in ("candidate", "live")]
    return Bias(
        asked=len(asked),
        torn=sum(row.candidate_first != row.live_first for row in asked),
        uneven=sum(excess != 0 for excess in excesses),
        longer_won=sum(excess > 0 for excess in excesses),
        winner_excess=statistics.mean(excesses),
    )


def cautions(bias: Bias) -> tuple[str, ...]:
    """What a reader of these preferences should bear in mind, a sentence each."""
    said = []
    if bias.consistency is not None and bias.consistency < MIN_CONSISTENCY:
        said.append(f"The judge changed its mind with the order on {bias.torn} of {bias.asked} rows: read those yourself.")
    if bias.prefers_longer:
        said.append(f"The longer answer won {bias.longer_won} of {bias.uneven} rows: check that it was better, not just longer.")
    return tuple(said)


def _winner_excess(row: pairwise.ComparedRow) -> float:
    candidate_excess = float(row.candidate_length - row.live_length)
    return candidate_excess if row.winner == "candidate" else -candidate_excess
