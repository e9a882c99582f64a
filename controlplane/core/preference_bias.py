"""How far a judge's preferences between two answers can be believed: what order and length did to them. Pure; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.core import intervals, pairwise, statistics

# Below this the order of the two answers says too much of what the judge says.
MIN_CONSISTENCY = 0.8


@dataclass(frozen=True)
class Lengths:
    """Of the rows that somebody won. `uneven`: winner and loser differ in length; `longer_won`: of those, the longer one won.

    `winner_excess`: the mean length of winners less that of losers, characters; None where nobody won.
    """

    uneven: int
    longer_won: int
    winner_excess: float | None


def lengths(rows: Sequence[pairwise.ComparedRow]) -> Lengths:
    excesses = [_winner_excess(row) for row in rows if row.winner in ("candidate", "live")]
    return Lengths(sum(one != 0 for one in excesses), sum(one > 0 for one in excesses), statistics.mean(excesses))


def prefers_longer(found: Lengths) -> bool:
    """More often than chance: Wilson's interval of how often the longer answer won lies above a half as a whole."""
    interval = intervals.rate(found.longer_won, found.uneven)
    return interval is not None and interval.low > 0.5


def cautions(scores: pairwise.Scores, found: Lengths) -> tuple[str, ...]:
    """What a reader of these preferences should bear in mind, a sentence each."""
    said = []
    if scores.consistency is not None and scores.consistency < MIN_CONSISTENCY:
        said.append(f"The judge changed its mind with the order on {1 - scores.consistency:.0%} of rows: read those it was torn on.")
    if prefers_longer(found):
        said.append(f"The longer answer won {found.longer_won} of {found.uneven} rows: check that it was better, not just longer.")
    return tuple(said)


def _winner_excess(row: pairwise.ComparedRow) -> float:
    candidate_excess = float(row.candidate_length - row.live_length)
    return candidate_excess if row.winner == "candidate" else -candidate_excess
