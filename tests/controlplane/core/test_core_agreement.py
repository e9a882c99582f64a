"""Cohen's kappa against published values, and where it has no spread or no meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import pytest

from controlplane.core import agreement


@pytest.mark.parametrize(
    ("counts", "kappa", "low", "high"),
    [
        # Fleiss, Cohen and Everitt 1969, Psychol. Bull. 72:323: 200 diagnoses, kappa 0.429.
        ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.429, 0.323, 0.534),
        # Two graders who agree on 35 of 50, with 25 expected by chance.
        ([[20, 5], [10, 15]], 0.4, 0.151, 0.649),
    ],
)
def test_published_values(counts: Sequence[Sequence[int]], kappa: float, low: float, high: float) -> None:
    found = agreement.kappa(counts)
    assert found is not None
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx((kappa, low, high), abs=6e-4)


@pytest.mark.parametrize(
    ("name", "counts", "kappa"),
    [
        ("never a disagreement", [[10, 0, 0], [0, 10, 0], [0, 0, 10]], 1.0),
        ("always the same letter", [[10, 0, 0], [5, 0, 0], [15, 0, 0]], 0.0),
        ("never a trusted letter", [[0, 20], [0, 0]], 0.0),
        ("always the other letter", [[0, 5], [5, 0]], -1.0),
    ],
)
def test_no_spread_still_has_an_interval_of_some_width(name: str, counts: Sequence[Sequence[int]], kappa: float) -> None:
    found = agreement.kappa(counts)
    assert found is not None, name
    assert found.value == pytest.approx(kappa)
    assert -1 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1
    assert found.interval.high - found.interval.low > 0.1


@pytest.mark.parametrize("counts", [[[0, 0], [0, 0]], [[10, 0], [0, 0]]])
def test_one_category_alone_has_no_kappa(counts: Sequence[Sequence[int]]) -> None:
    assert agreement.kappa(counts) is None


def test_more_rows_and_a_lower_level_narrow_the_interval() -> None:
    few, many = agreement.kappa([[20, 5], [10, 15]]), agreement.kappa([[200, 50], [100, 150]])
    low_level = agreement.kappa([[20, 5], [10, 15]], level=0.8)
    assert few is not None
    assert many is not None
    assert low_level is not None
    assert many.interval.high - many.interval.low < low_level.interval.high - low_level.interval.low < few.interval.high - few.interval.low
    assert low_level.interval.level == 0.8


def test_the_interval_keeps_its_level() -> None:
    """2,000 tables drawn from a judge of known kappa: at least 93% of the 95% intervals hold it."""
    chances = numpy.array([[0.4, 0.04, 0.02], [0.03, 0.2, 0.05], [0.01, 0.05, 0.2]])
    true = (chances.trace() - chances.sum(0) @ chances.sum(1)) / (1 - chances.sum(0) @ chances.sum(1))
    draw = numpy.random.default_rng(7)
    tables = (draw.multinomial(144, chances.ravel()).reshape(3, 3) for _ in range(2000))
    found = [agreement.kappa(table.tolist()) for table in tables]
    held = sum(one is not None and one.interval.low <= true <= one.interval.high for one in found)
    assert held / len(found) > 0.93
