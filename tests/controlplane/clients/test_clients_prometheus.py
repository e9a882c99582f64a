"""What only the Prometheus client has to get right: kinds of results and values that are no numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.clients import prometheus
from controlplane.core import errors

pytestmark = pytest.mark.real
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def client(prometheus_server: str):
    client = prometheus.Prometheus(f"{prometheus_server}/")
    yield client
    client.close()


def test_a_scalar_is_a_series_without_labels(client: prometheus.Prometheus) -> None:
    (series,) = client.instant("scalar(vector(2.5))", NOW)
    assert (series.labels, series.points) == ({}, ((NOW.timestamp(), 2.5),))


@pytest.mark.parametrize("query", ["vector(0) / 0", "vector(1) / 0", "-vector(1) / 0"])
def test_what_is_not_finite_is_left_out(client: prometheus.Prometheus, query: str) -> None:
    assert client.instant(query, NOW) == []
    assert client.range(query, NOW, NOW + timedelta(seconds=3), 1) == []


def test_finite_points_of_a_series_stay(client: prometheus.Prometheus) -> None:
    start = datetime.fromtimestamp(100, UTC)
    (series,) = client.range("1 / vector(time() - 101)", start, start + timedelta(seconds=3), 1)
    assert series.points == ((100.0, -1.0), (102.0, 1.0), (103.0, 0.5))


def test_text_is_no_series(client: prometheus.Prometheus) -> None:
    with pytest.raises(errors.OutsideError, match="string"):
        client.instant("'text'", NOW)


def test_an_error_carries_prometheus_words(client: prometheus.Prometheus) -> None:
    with pytest.raises(errors.OutsideError, match="unclosed left parenthesis"):
        client.range("rate(", NOW, NOW, 1)


def test_something_else_at_the_address(mlflow_server: str) -> None:
    client = prometheus.Prometheus(mlflow_server)
    with pytest.raises(errors.OutsideError, match="JSON"):
        client.instant("up", NOW)
    client.close()
