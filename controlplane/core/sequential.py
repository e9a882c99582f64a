"""Gate 1 in several looks: may the verdict stand before every answer was judged? Draws no sample and asks no judge.

Judging costs, answering does not: refusals are known for every row before the first grade. So the checks of refusals stand on all rows at
their full level at each look, and only those of grades (A and C) stand on the rows judged so far. Looking more than once gives chance more
than one try, so the intervals of a look must have a higher level than the one promised; by how much follows from how the error is spent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
import scipy

from controlplane.core import errors, evidence, gates, interval_gate, judging, row_order

# The reason of a row that no judge has seen because the verdict stood before its turn. Such a row counts in no rate of grades.
NOT_JUDGED = "Not judged: the verdict stood before."
MOST_LOOKS = 10

# Beyond six standard errors nothing is decided by the normal approximation, nor does a level written as a float tell one from the next.
_SMALLEST_TAIL = 5e-10
_NODES = 200
_LOWEST_DEVIATION = -9.0


@dataclass(frozen=True)
class Look:
    """What look `number` of `of` says. `rows`: judged rows of each role that it stands on."""

    number: int
    of: int
    rows: int
    verdict: evidence.Verdict

    @property
    def is_decided(self) -> bool:
        """An unreadable judge decides nothing early: a tenth of few rows is soon unscored by chance."""
        return self.verdict.outcome in (evidence.Outcome.PASS, evidence.Outcome.FAIL)

    @property
    def is_last(self) -> bool:
        return self.is_decided or self.number == self.of


def decide(
    candidate: Sequence[judging.GradedRow], live: Sequence[judging.GradedRow] | None, thresholds: gates.AnswerThresholds, looks: int
) -> Look:
    """The first look that decides, else the last one whose rows are all judged; look 0 stands on refusals alone.

    Args:
        candidate, live: every row of the eval set as answered; those the judge has not seen carry the reason `NOT_JUDGED`.
    """
    reached = 0
    unseen = {row.id for row in (*candidate, *(live or ())) if row.reason == NOT_JUDGED}
    ordered = row_order.order({row.id for row in candidate})
    for number, size in enumerate(look_sizes(len(ordered), looks), start=1):
        if not unseen.isdisjoint(ordered[:size]):
            break
        look, reached = take(candidate, live, thresholds, looks, number), number
        if look.is_decided:
            return look
    return take(candidate, live, thresholds, looks, reached)


def take(
    candidate: Sequence[judging.GradedRow],
    live: Sequence[judging.GradedRow] | None,
    thresholds: gates.AnswerThresholds,
    looks: int,
    number: int,
) -> Look:
    """Look `number` by itself, whatever the looks before it said."""
    ordered = row_order.order({row.id for row in candidate})
    size = look_sizes(len(ordered), looks)[number - 1] if number else 0
    level = levels(looks, thresholds.level)[max(number, 1) - 1]
    verdict = interval_gate.evaluate(candidate, live, thresholds, interval_gate.Judged(frozenset(ordered[:size]), level))
    if looks > 1:
        place = f"Look {number} of {looks}: {size} of {len(ordered)} rows judged"
        verdict = _noted(verdict, place, level, thresholds.level)
    return Look(number, looks, size, verdict)


def _noted(verdict: evidence.Verdict, place: str, level: float, promised: float) -> evidence.Verdict:
    note = f"{place}; intervals of A and C at {100 * level:.6g}%, so that all looks together keep {100 * promised:.4g}%."
    return replace(verdict, notes=(*verdict.notes, note))


def look_sizes(rows: int, looks: int) -> tuple[int, ...]:
    """How many rows each look stands on: equal steps, rounded up; the last is all of them."""
    _check(looks)
    return tuple(math.ceil(rows * number / looks) for number in range(1, looks + 1))


@functools.cache
def levels(looks: int, level: float) -> tuple[float, ...]:
    """The level of the interval at each of `looks` equally spaced looks, so that with `level` all of them hold the truth together.

    They are repeated confidence intervals (Jennison and Turnbull 1989, J. R. Stat. Soc. B 51:305). Each side's error, (1 - level) / 2, is
    spent as `spent` says, and the bounds follow by the recursive integration of Armitage, McPherson and Rowe 1969, J. R. Stat. Soc. A
    132:235. Each side is kept by itself, so that the chance of both together is never above 1 - level.

    The bounds assume that the k-th look holds k/looks of the information. Rows without a grade shift that a little; however far it
    shifted, the error of a side stays below the sum of the looks' own tails: 2.9% for three looks at 95%, 3.6% for five.
    """
    _check(looks)
    density, crossed, found = _Density.first(), 0.0, []
    for number in range(1, looks + 1):
        due = spent(number / looks, (1 - level) / 2) - crossed
        bound = _bound(density, number, due)
        crossed += density.above(bound * math.sqrt(number))
        density = density.next(bound * math.sqrt(number))
        found.append(1 - 2 * float(scipy.stats.norm.sf(bound)))
    return tuple(found)


def spent(fraction: float, alpha: float) -> float:
    """How much of a one-sided error `alpha` may be spent by a fraction of the information: little early, nearly all at the end.

    O'Brien and Fleming's type of spending, 2 - 2 Phi(z_{alpha/2} / sqrt(fraction)) (Lan and DeMets 1983, Biometrika 70:659).
    """
    return float(2 * scipy.stats.norm.sf(scipy.stats.norm.isf(alpha / 2) / math.sqrt(fraction)))


@dataclass(frozen=True)
class _Density:
    """Of the sum of standard normal steps at one look, for those that crossed no bound before: Gauss-Legendre nodes and masses of the sum
    one step earlier. No step before the first: all mass at zero."""

    nodes: numpy.ndarray
    masses: numpy.ndarray
    looks: int

    @classmethod
    def first(cls) -> _Density:
        return cls(numpy.zeros(1), numpy.ones(1), 1)

    def above(self, limit: float) -> float:
        return float(self.masses @ scipy.stats.norm.sf(limit - self.nodes))

    def next(self, limit: float) -> _Density:
        """One step on, for those that stayed below the limit."""
        lowest = _LOWEST_DEVIATION * math.sqrt(self.looks)
        half = (limit - lowest) / 2
        places, weights = _gauss_legendre()
        nodes = lowest + half * (places + 1)
        at_nodes = scipy.stats.norm.pdf(nodes[:, None] - self.nodes) @ self.masses
        return _Density(nodes, half * weights * at_nodes, self.looks + 1)


@functools.cache
def _gauss_legendre() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Nodes and weights between -1 and 1."""
    places, weights = numpy.polynomial.legendre.leggauss(_NODES)
    return places, weights


def _bound(density: _Density, number: int, due: float) -> float:
    """The standard deviation above which `due` of the mass lies."""
    highest = float(scipy.stats.norm.isf(_SMALLEST_TAIL))

    def excess(bound: float) -> float:
        return density.above(bound * math.sqrt(number)) - due

    return highest if excess(highest) >= 0 else float(scipy.optimize.brentq(excess, 0.0, highest, xtol=1e-12))


def _check(looks: int) -> None:
    if not 1 <= looks <= MOST_LOOKS:
        raise errors.InvalidInput(f"looks={looks} is out of range.", hint=f"Take between 1 and {MOST_LOOKS} looks.")
