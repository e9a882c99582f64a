"""A load test's samples as a Parquet table, and back. Bytes in memory only."""

from __future__ import annotations

import io
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from controlplane.core import errors, latency

_SECONDS_DIGITS = 6


def to_parquet(samples: Sequence[latency.Sample]) -> bytes:
    """One row a sample, one column a field; times to the microsecond."""
    arrow, parquet = _arrow()
    kinds = {
        float: arrow.float64(),
        int: arrow.int32(),
        str: arrow.string(),
        bool: arrow.bool_(),
        float | None: arrow.float64(),
        tuple[float, ...]: arrow.list_(arrow.float64()),
    }
    hints = typing.get_type_hints(latency.Sample)
    schema = arrow.schema([(field.name, kinds[hints[field.name]]) for field in fields(latency.Sample)])
    rows = [{name: _rounded(value) for name, value in asdict(sample).items()} for sample in samples]
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    return out.getvalue()


def from_parquet(content: bytes) -> tuple[latency.Sample, ...]:
    """What `to_parquet` wrote, perhaps by another version: unknown columns are left out.

    Raises:
        InvalidInput: it is no such table.
    """
    arrow, parquet = _arrow()
    known = {field.name for field in fields(latency.Sample)}
    try:
        rows = parquet.read_table(io.BytesIO(content)).to_pylist()
        return tuple(latency.Sample(**{name: _tupled(value) for name, value in row.items() if name in known}) for row in rows)
    except (arrow.ArrowException, TypeError) as fault:
        raise errors.InvalidInput(f"The samples cannot be read: {fault}.", hint="Run the load test again.") from fault


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _SECONDS_DIGITS)
    return [round(one, _SECONDS_DIGITS) for one in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _arrow() -> tuple[types.ModuleType, types.ModuleType]:
    """Loaded when a table is read or written: the API starts without it."""
    import pyarrow
    import pyarrow.parquet

    return pyarrow, pyarrow.parquet
