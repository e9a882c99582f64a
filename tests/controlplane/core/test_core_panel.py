"""What a panel of judges finds, and how far its judges agree."""

from __future__ import annotations

import pytest

from controlplane.core import panel


@pytest.mark.parametrize(
    ("found", "most"),
    [
        (("A",), "A"),
        (("A", "A", "C"), "A"),
        (("A", "C"), ""),
        (("A", "B", "C"), ""),
        (("A", "", "A"), "A"),
        (("A", ""), "A"),
        (("A", "C", ""), ""),
        (("", ""), ""),
        ((), ""),
        (("A", "A", "B", "B"), ""),
    ],
)
def test_more_than_half_of_the_readable_findings_bind(found: tuple[str, ...], most: str) -> None:
    assert panel.majority(found) == most


def test_votes_have_one_letter_a_judge() -> None:
    assert panel.votes(["A", "", "TIE"]) == "A-T"


def test_agreement_is_that_of_the_published_example() -> None:
    """Fleiss 1971 as worked in Wikipedia: 14 raters, ten subjects, five categories, kappa 0.210."""
    counts = [
        *((0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1)),
        *((7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)),
    ]
    rows = ["".join(letter * count for letter, count in zip("abcde", row, strict=True)) for row in counts]
    found = panel.agreement(rows)
    assert (found.judges, found.rows) == (14, 10)
    assert found.observed == pytest.approx(0.378, abs=0.001)
    assert found.kappa == pytest.approx(0.210, abs=0.001)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], panel.Agreement(0, 0, None, None)),
        (["A", "B"], panel.Agreement(1, 0, None, None)),
        (["AA", "AA"], panel.Agreement(2, 2, 1.0, None)),
        (["AA", "CC", "A-"], panel.Agreement(2, 2, 1.0, 1.0)),
        (["A-", "-C"], panel.Agreement(2, 0, None, None)),
    ],
)
def test_agreement_needs_rows_that_all_graded(rows: list[str], expected: panel.Agreement) -> None:
    assert panel.agreement(rows) == expected
