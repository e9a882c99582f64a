"""Reading /metrics texts into series."""

from __future__ import annotations

import contextlib
import math

import hypothesis
import pytest
from hypothesis import strategies

from controlplane.core import errors, exposition

TEXT = """# HELP done_total requests
# TYPE done_total counter
done_total{engine="0",reason="a \\"quoted\\" one"} 5.0
done_created{engine="0"} 1.7e+09
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 10.0
wait_seconds_bucket{le="+Inf"} 11.0
wait_seconds_sum NaN
"""


def test_every_sample_is_a_series_of_one_point() -> None:
    found = {(one.name, one.labels.get("le", "")): one for one in exposition.parse(TEXT, 7.0)}
    assert set(found) == {
        ("done_total", ""),
        ("done_created", ""),
        ("wait_seconds_bucket", "0.5"),
        ("wait_seconds_bucket", "+Inf"),
        ("wait_seconds_sum", ""),
    }
    assert found["done_total", ""].points == ((7.0, 5.0),)
    assert found["done_total", ""].labels["reason"] == 'a "quoted" one'
    assert math.isnan(found["wait_seconds_sum", ""].points[0][1])


def test_two_readings_are_joined_by_their_labels() -> None:
    before, after = exposition.parse('a{x="1"} 1', 10), exposition.parse('a{x="1"} 4\na{x="2"} 2', 20)
    found = {one.labels["x"]: one.points for one in exposition.joined(before, after)}
    assert found == {"1": ((10, 1), (20, 4)), "2": ((20, 2),)}


@pytest.mark.parametrize("text", ["<html><body>Sign in</body></html>", '{"status": "success"}', "a{x=1} 2", "a b c d", "a{"])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not Prometheus' text format"):
        exposition.parse(text, 0)


def test_an_empty_text_has_no_series() -> None:
    assert exposition.parse("", 0) == []


LINES = strategies.text(alphabet='abz_:{}="\\, \n#0.5eE+-InfNaN\t"TYPEcounterhistogram', max_size=80)


@hypothesis.given(strategies.text() | LINES)
def test_no_text_whatever_brings_another_error(text: str) -> None:
    with contextlib.suppress(errors.InvalidInput):
        exposition.parse(text, 0)
