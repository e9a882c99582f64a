"""What every metrics server does, fake or Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.core import errors


def test_it_is_healthy(measured) -> None:
    assert measured.metrics.is_healthy()


def test_a_range_has_points_in_time_order(measured) -> None:
    start = measured.now - timedelta(seconds=30)
    (series,) = measured.metrics.range("up", start, measured.now, 1)
    times = [time for time, _ in series.points]
    assert series.labels["job"] == "itself"
    assert times == sorted(times)
    assert start.timestamp() <= times[0] <= times[-1] <= measured.now.timestamp()
    assert series.points[-1][1] == 1.0


def test_an_instant_has_one_point(measured) -> None:
    (series,) = measured.metrics.instant("up", measured.now)
    assert [value for _, value in series.points] == [1.0]


def test_an_unknown_metric_has_no_series(measured) -> None:
    assert measured.metrics.range("no_such_metric", measured.now - timedelta(seconds=5), measured.now, 1) == []
    assert measured.metrics.instant("no_such_metric", measured.now) == []


def test_samples_are_those_that_were_scraped_also_up_to_a_moment_that_lies_ahead(measured) -> None:
    (series,) = measured.metrics.samples("up", measured.now - timedelta(seconds=30), measured.now + timedelta(seconds=30))
    times = [time for time, _ in series.points]
    assert series.name == "up"
    assert times == sorted(set(times))
    assert all(value in (0.0, 1.0) for _, value in series.points)
    (cut,) = measured.metrics.samples("up", datetime.fromtimestamp(times[-1], UTC), measured.now + timedelta(seconds=30))
    assert cut.points[0] == series.points[-1]


def test_an_unknown_metric_has_no_samples(measured) -> None:
    assert measured.metrics.samples("no_such_metric", measured.now - timedelta(seconds=5), measured.now) == []


def test_its_clock_is_no_earlier_than_what_it_scraped(measured) -> None:
    (series,) = measured.metrics.samples("up", measured.now - timedelta(seconds=30), measured.now)
    assert measured.metrics.now().timestamp() >= series.points[-1][0]


def test_a_query_it_cannot_read(measured) -> None:
    with pytest.raises(errors.OutsideError, match="Prometheus"):
        measured.metrics.instant("up{", measured.now)
    with pytest.raises(errors.OutsideError, match="Prometheus"):
        measured.metrics.samples("up{", measured.now, measured.now)
