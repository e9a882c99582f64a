"""The order of rows: the same for everybody, whatever the file's."""

from __future__ import annotations

from controlplane.core import row_order


def test_the_order_does_not_depend_on_the_file_and_mixes_it() -> None:
    ids = [f"row-{number}" for number in range(1000)]
    ordered = row_order.order(ids)
    assert ordered == row_order.order(reversed(ids))
    assert sorted(ordered) == sorted(ids)
    # Of the first 100 about 30 come from the file's first 300: a share outside 15 to 45 would be no random sample.
    assert 15 <= sum(int(one.removeprefix("row-")) < 300 for one in ordered[:100]) <= 45
    assert ordered[:3] == ["row-47", "row-169", "row-628"]
