"""Requests a second that succeeded while the load was whole, with bounds by a block bootstrap. Pure; the generator is passed in."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import scipy

from controlplane.core import estimates, latency, statistics

RESAMPLES = 1000
MOST_RUNS = 5
# Of fewer slices nobody can see how they vary: these make four runs.
LEAST_SLICES = 11


@dataclass(frozen=True)
class Slices:
    """Of one block's steady window: answers in each slice, how long it is and the moment in its middle, in seconds."""

    counts: numpy.ndarray
    seconds: numpy.ndarray
    middles: numpy.ndarray


def estimate(
    samples: Sequence[latency.Sample], blocks: Sequence[latency.Block], level: float, generator: numpy.random.Generator
) -> estimates.Estimate | None:
    """Of one role's samples and blocks, counted as `latency.answered` does. None without a steady window."""
    slices = by_block(latency.answered(samples, blocks), blocks)
    return of_slices(slices, level, generator) if slices else None


def of_slices(slices: Sequence[Slices], level: float, generator: numpy.random.Generator) -> estimates.Estimate:
    count = int(sum(one.counts.sum() for one in slices))
    seconds = float(sum(one.seconds.sum() for one in slices))
    if not count:
        return estimates.Estimate(0.0, 0.0, math.inf, 0, 0)
    least = math.ceil(LEAST_SLICES * count / sum(len(one.counts) for one in slices))
    half = relative_half_width(slices, level, generator)
    # A count ends between two answers: one more or less is never told apart, however regular they come.
    low, high = max(0, count - 1) / seconds, (count + 1) / seconds
    value = count / seconds
    return estimates.Estimate(value, min(low, value * math.exp(-half)), max(high, value * math.exp(half)), count, count, least)


def relative_half_width(blocks: Sequence[Slices], level: float, generator: numpy.random.Generator) -> float:
    """Of the interval of the logarithm of the rate; infinite of too few slices.

    Circular block bootstrap (Künsch 1989, Ann. Stat. 17:1217; Politis and Romano 1992, Exploring the Limits of Bootstrap, 263): runs of
    neighbouring slices are drawn whole, so that what one slice tells of the next stays. Of n slices a run has at least n^(1/3) (Hall,
    Horowitz and Jing 1995, Biometrika 82:561), and at least a fifth: a slow change of the server outlasts n^(1/3) slices, and few long runs
    with Student's t bear it (Ibragimov and Müller 2010, J. Bus. Econ. Stat. 28:453). The variance of resampled rates is too small by
    (k-1)/k for k runs, which is put right (Hesterberg 2015, Am. Stat. 69:371).
    """
    counts, seconds = (numpy.concatenate([getattr(one, name) for one in blocks]) for name in ("counts", "seconds"))
    run = max(math.ceil(len(counts) ** (1 / 3) - 1e-9), math.ceil(len(counts) / MOST_RUNS))
    runs = round(len(counts) / run)
    if len(counts) < LEAST_SLICES or not counts.any():
        return math.inf
    starts = generator.integers(0, len(counts), (RESAMPLES, runs))
    rates = _of_runs(counts, run)[starts].sum(axis=1) / _of_runs(seconds, run)[starts].sum(axis=1)
    spread = float(rates.std()) / float(counts.sum() / seconds.sum()) * math.sqrt(runs / (runs - 1))
    return spread * _students(level, runs - 1)


def by_block(answered: Sequence[latency.Sample], blocks: Sequence[latency.Block]) -> list[Slices]:
    """The steady windows, cut as `cut` says."""
    length = statistics.mean([sample.total_seconds for sample in answered]) or math.inf
    ended = {block.number: [one.at_seconds + one.total_seconds for one in answered if one.block == block.number] for block in blocks}
    steady = [block for block in blocks if block.steady_until_seconds > block.steady_from_seconds]
    return [cut(numpy.array(ended[one.number]), one.steady_from_seconds, one.steady_until_seconds, length) for one in steady]


def cut(ended: numpy.ndarray, first: float, last: float, length_seconds: float) -> Slices:
    """Answers by when they came, in slices about as long as a mean request, at most one slice for each answer: in a closed loop what is
    answered late in one slice is missing in the next."""
    number = max(1, min(round((last - first) / length_seconds), len(ended)))
    counts, edges = numpy.histogram(ended, number, (first, last))
    return Slices(counts.astype(float), numpy.diff(edges), (edges[1:] + edges[:-1]) / 2)


@functools.cache
def _students(level: float, degrees: int) -> float:
    return float(scipy.stats.t.ppf(0.5 + level / 2, degrees))


def _of_runs(values: numpy.ndarray, run: int) -> numpy.ndarray:
    """The sum of the run that begins at each value, around the end."""
    sums = numpy.concatenate([[0.0], numpy.cumsum(numpy.concatenate([values, values[: run - 1]]))])
    return numpy.asarray(sums[run:] - sums[:-run])
