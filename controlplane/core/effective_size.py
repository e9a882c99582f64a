"""How many independent values a correlated series is worth. Pure; a series is one block's values in the order in which they were due.

Requests of a load test share their server's moments: neighbours are quick or slow together. An interval that takes them for independent is
too narrow: of 1,000 requests that share 60% of their variance with those about ten away, a 95% interval of the P95 held the truth in 64% of
simulated tests, and with what is counted here in 98% (`benchmarks/gate_two_error_rates.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

Series = Sequence[numpy.ndarray]

# By simulation: with twice as many, intervals hold the truth too rarely; with ten times as many, they are needlessly wide.
TIMES_AS_MANY = 4


def of_percentile(blocks: Series, percent: float) -> float:
    """For the percentile of all blocks' values together: the effective size of "is above it" (Vehtari et al. 2021, Bayesian Analysis
    16:667, section 4.3), or that of "is above" a less extreme one where this is smaller.

    Of few requests too few lie above the P95 to see how they cluster; above the P80 there are four times as many.
    """
    values = numpy.concatenate(blocks)
    limits = numpy.percentile(values, [percent, max(50.0, 100 - TIMES_AS_MANY * (100 - percent))], method="lower")
    return min(of_mean([(block > limit).astype(float) for block in blocks]) for limit in limits)


def of_mean(blocks: Series) -> float:
    """For the mean: the number of values over the sum of their autocorrelations, between 1 and the number itself.

    The sum ends where a pair of neighbouring lags is no longer positive and never rises (Geyer 1992, Stat. Sci. 7:473, initial monotone
    sequence). Deviations are from the mean of all blocks, so that blocks which differ as a whole count as correlated within.
    """
    count = sum(len(block) for block in blocks)
    covariances = _autocovariances(blocks)
    if count < 2 or covariances[0] <= 1e-12 * count:
        return float(count)
    correlations = covariances / covariances[0]
    pairs = correlations[: len(correlations) // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = numpy.flatnonzero(pairs <= 0)
    pairs = numpy.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    return float(count / max(1.0, 2 * float(pairs.sum()) - 1))


def _autocovariances(blocks: Series) -> numpy.ndarray:
    """Sums of products by lag, over all blocks, by the fast Fourier transform."""
    mean = numpy.concatenate(blocks).mean()
    lags = max(len(block) for block in blocks)
    size = 2 ** int(numpy.ceil(numpy.log2(2 * lags)))
    spectrum = sum(numpy.abs(numpy.fft.rfft(block - mean, size)) ** 2 for block in blocks)
    return numpy.asarray(numpy.fft.irfft(spectrum, size)[:lags])
