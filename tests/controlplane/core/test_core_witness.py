"""When the server's count agrees with the test's own, which of two witnesses is believed, and how one is kept."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from controlplane.core import witness

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGREES, CONTAMINATED, MISSING, UNKNOWN = witness.Agreement


@pytest.mark.parametrize(
    ("sent", "succeeded", "count", "expected"),
    [
        pytest.param(100, 100, witness.Count(100), AGREES, id="all of them"),
        pytest.param(100, 100, witness.Count(101), CONTAMINATED, id="one more than sent"),
        pytest.param(100, 100, witness.Count(99), MISSING, id="one fewer than succeeded"),
        pytest.param(100, 90, witness.Count(90), AGREES, id="none of those that failed: they were refused"),
        pytest.param(100, 90, witness.Count(100), AGREES, id="all of those that failed: they were aborted"),
        pytest.param(100, 90, witness.Count(89), MISSING, id="fewer than succeeded"),
        pytest.param(100, 0, witness.Count(0), AGREES, id="nothing succeeded and nothing was counted"),
        pytest.param(100, 100, witness.Count(None), UNKNOWN, id="no count"),
        pytest.param(100, 100, witness.Count(None, 50), MISSING, id="a count of part of the time"),
        pytest.param(100, 100, witness.Count(None, 100), MISSING, id="a count of part of the time that would fit"),
        pytest.param(100, 100, witness.Count(None, 101), CONTAMINATED, id="too many in part of the time already"),
        pytest.param(100, 100, witness.Count(100, 100, 11), CONTAMINATED, id="more at once than the test had"),
        pytest.param(100, 100, witness.Count(None, None, 11), CONTAMINATED, id="more at once, without a count"),
        pytest.param(100, 100, witness.Count(100, 100, 10), AGREES, id="as many at once as the test had"),
        pytest.param(100, 99, witness.Count(100, 100, 11), AGREES, id="more at once, but the test gave one up"),
    ],
)
def test_agreement(sent: int, succeeded: int, count: witness.Count, expected: witness.Agreement) -> None:
    assert witness.agreement(witness.Claim(NOW, NOW, sent, succeeded, 10), count) is expected


def test_an_open_loop_has_no_most_in_flight() -> None:
    assert witness.agreement(witness.Claim(NOW, NOW, 5, 5), witness.Count(5, 5, 50)) is AGREES


def seen(source: str, agreement: witness.Agreement) -> witness.Witness:
    return witness.Witness(source, agreement, 1.0, {}, {source: 1.0}, (f"note of {source}",))


@pytest.mark.parametrize(
    ("scraped", "read", "believed"),
    [
        *((one, one, "scraped") for one in witness.Agreement),
        (AGREES, CONTAMINATED, "read"),
        (CONTAMINATED, AGREES, "read"),
        (MISSING, AGREES, "read"),
        (MISSING, CONTAMINATED, "read"),
        (UNKNOWN, AGREES, "read"),
        (UNKNOWN, MISSING, "read"),
        (AGREES, MISSING, "scraped"),
        (AGREES, UNKNOWN, "scraped"),
        (CONTAMINATED, MISSING, "scraped"),
        (CONTAMINATED, UNKNOWN, "scraped"),
        (MISSING, UNKNOWN, "scraped"),
    ],
)
def test_which_one_is_believed(scraped: witness.Agreement, read: witness.Agreement, believed: str) -> None:
    chosen = witness.choose(seen("scraped", scraped), seen("read", read))
    assert chosen.source == believed
    if believed == "read":
        assert chosen.agreement is read
        assert chosen.values == {"scraped": 1.0, "read": 1.0}
        assert [note.partition(" saw otherwise")[0] for note in chosen.notes] == ["scraped", "note of scraped", "note of read"]


def test_a_record_is_json_and_comes_back_the_same() -> None:
    one = witness.Witness(
        "x", AGREES, None, {"p95_latency_seconds": witness.Quantile(5.0, math.inf, 5.0)}, {"preemptions": 0.0}, ("a note",)
    )
    assert witness.from_record(json.loads(json.dumps(witness.to_record(one), allow_nan=False))) == one
