"""CSV that a spreadsheet cannot be made to run."""

from __future__ import annotations

import pytest

from controlplane.core import spreadsheets


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        (-1, -1),
        (None, None),
        ("", ""),
    ],
)
def test_formulas_become_text(value: object, expected: object) -> None:
    assert spreadsheets.cell(value) == expected


def test_columns_in_order_and_gaps_left_empty() -> None:
    rows = [{"b": "x, y", "a": 1}, {"a": "=f"}]
    assert spreadsheets.to_csv(["a", "b"], rows) == 'a,b\n1,"x, y"\n\'=f,\n'
