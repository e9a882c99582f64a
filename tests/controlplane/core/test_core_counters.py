"""Growth of counters between the scrapes around a window: what encloses it, restarts, servers that come and go."""

from __future__ import annotations

import math

import pytest

from controlplane.core import counters, series

WINDOW = counters.Window(10.0, 20.0)
DONE = "done_total"


def one(*points: tuple[float, float], name: str = DONE, **labels: str) -> series.Series:
    return series.Series({"__name__": name, **labels}, points)


# name: (series, growth, is whole, has restarted)
CASES = {
    "the scrapes next to the window count, not those inside or further out": (
        [one((4, 1), (9, 5), (12, 7), (18, 9), (21, 11), (25, 90))],
        6.0,
        True,
        False,
    ),
    "scrapes at the very edges": ([one((10, 5), (20, 9))], 4.0, True, False),
    "labels of one server are summed": ([one((9, 1), (21, 2), reason="stop"), one((9, 0), (21, 5), reason="abort")], 6.0, True, False),
    "servers are summed, each with its own scrapes": (
        [one((9, 1), (21, 2), instance="a"), one((8, 0), (22, 5), instance="b")],
        6.0,
        True,
        False,
    ),
    "a label that shows up later counts from zero": ([one((9, 1), (21, 2), reason="stop"), one((21, 5), reason="abort")], 6.0, True, False),
    "no scrape before the start": ([one((15, 5), (21, 9))], 4.0, False, False),
    "no scrape after the end": ([one((9, 5), (19, 9))], 4.0, False, False),
    "one of two servers was scraped only later": (
        [one((9, 1), (21, 2), instance="a"), one((15, 0), (22, 5), instance="b")],
        6.0,
        False,
        False,
    ),
    "a server that was gone before does not count": (
        [one((9, 1), (21, 2), instance="a"), one((2, 7), (8, 9), instance="b")],
        1.0,
        True,
        False,
    ),
    "a fall is a restart": ([one((9, 5), (15, 1), (21, 9))], None, True, True),
    "a fall before the window is none of ours": ([one((5, 50), (9, 5), (21, 9))], 4.0, True, False),
    "created anew though it has counted further since": (
        [one((9, 5), (21, 9)), one((9, 1000), (21, 1015), name="done_created")],
        None,
        True,
        True,
    ),
    "a gauge may fall": ([one((9, 5), (21, 9)), one((9, 5), (21, 2), name="running")], 4.0, True, False),
    "no number at the end": ([one((9, 5), (21, math.nan))], None, True, False),
    "no number at the start": ([one((9, math.nan), (21, 4))], None, True, False),
    "gone at the end though its server was scraped": (
        [one((9, 5), (15, 6), reason="x"), one((9, 0), (21, 1), reason="y")],
        None,
        True,
        False,
    ),
    "nothing": ([], None, False, False),
}


@pytest.mark.parametrize(("found", "expected", "is_whole", "has_restarted"), CASES.values(), ids=CASES)
def test_growth(found: list[series.Series], expected: float | None, is_whole: bool, has_restarted: bool) -> None:
    grown = counters.growth(found, WINDOW)
    assert (counters.total(grown, DONE), grown.is_whole, grown.has_restarted) == (expected, is_whole, has_restarted)


def test_a_total_can_be_asked_for_one_label() -> None:
    grown = counters.growth([one((9, 1), (21, 2), reason="stop"), one((9, 0), (21, 5), reason="abort")], WINDOW)
    assert counters.total(grown, DONE, reason="abort") == 5.0
    assert counters.total(grown, DONE, reason="error") is None


def test_the_interval_is_the_slowest_servers() -> None:
    fast, slow = one(*((t, 0) for t in range(10)), instance="a"), one((0, 0), (5, 0), (10, 0), (40, 0), instance="b")
    assert counters.interval_seconds([fast, slow]) == 5.0
    assert counters.interval_seconds([one((1, 1))]) is None


def test_scraped_since_means_every_server() -> None:
    early, late = one((9, 1), instance="a"), one((21, 1), instance="b")
    assert counters.is_scraped_since([late], 20)
    assert not counters.is_scraped_since([early, late], 20)
    assert not counters.is_scraped_since([], 20)
