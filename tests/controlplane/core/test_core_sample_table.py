"""Samples survive the way through Parquet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import errors, latency, sample_table

SECONDS = st.integers(0, 10**9).map(lambda microseconds: microseconds / 1_000_000)
SAMPLES = st.builds(
    latency.Sample,
    at_seconds=SECONDS,
    first_token_seconds=st.none() | SECONDS,
    total_seconds=SECONDS,
    answer_tokens=st.integers(0, 10_000),
    error=st.sampled_from(["", "timeout", "http 500"]),
    row_id=st.text(max_size=5),
    delay_seconds=SECONDS,
    token_gaps_seconds=st.lists(SECONDS, max_size=4).map(tuple),
    prompt_tokens=st.integers(0, 10_000),
    role=st.sampled_from([latency.CANDIDATE, latency.LIVE]),
    block=st.integers(0, 9),
    is_counted=st.booleans(),
)


@given(st.lists(SAMPLES, max_size=5))
def test_samples_come_back_as_they_were(samples: list[latency.Sample]) -> None:
    assert sample_table.from_parquet(sample_table.to_parquet(samples)) == tuple(samples)


def test_a_thousand_samples_take_little_room() -> None:
    samples = [latency.Sample(n / 7, n / 9, n / 8, 20, "stop", row_id=f"row-{n}", token_gaps_seconds=(0.01,) * 20) for n in range(1000)]
    assert len(sample_table.to_parquet(samples)) < 60_000


@pytest.mark.parametrize("content", [b"", b"PAR1", b'{"at_seconds": 1}'])
def test_what_is_no_table_of_samples_is_refused(content: bytes) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be read"):
        sample_table.from_parquet(content)
