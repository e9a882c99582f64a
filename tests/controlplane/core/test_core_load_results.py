"""A load test survives its two files, and its sweep becomes points."""

from __future__ import annotations

import made_load_tests
import pytest

from controlplane.core import errors, gates, load_results, sample_table, saturation

WHOLE = made_load_tests.made([1.0, 2.0, 3.0], [1.5, 2.5], sweep=[1, 4], faults=("a fault",))


def test_a_load_test_comes_back_as_it_was() -> None:
    samples = sample_table.from_parquet(sample_table.to_parquet(WHOLE.samples))
    assert load_results.from_json(load_results.to_json(WHOLE), samples) == WHOLE


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"slots": {}, "settings": {}}', '{"started_at": "yesterday"}'])
def test_what_is_no_load_test_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not the result of a load test"):
        load_results.from_json(text, ())


def test_a_sweep_shows_where_the_server_is_full() -> None:
    points = saturation.points(made_load_tests.made([1.0], sweep=[8, 2, 4]).sweep, gates.LoadThresholds(max_p95_latency_seconds=0.5))
    assert [(point.load, point.p95_latency_seconds, point.goodput) for point in points] == [(2, 0.2, 1.0), (4, 0.4, 1.0), (8, 0.8, 0.0)]
    assert points[0].throughput == pytest.approx(20 / 4, rel=0.06)
