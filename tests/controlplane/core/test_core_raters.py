"""Krippendorff's alpha against its author's worked examples, and what it does where nothing can be known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import raters


def items(*each_said: str) -> list[list[str]]:
    """One string a rater, one letter an item; a dot is no rating."""
    return [[letter for letter in letters if letter != "."] for letters in zip(*each_said, strict=True)]


@pytest.mark.parametrize(
    ("each_said", "alpha"),
    [
        # Krippendorff 2011, examples A (binary), B (nominal), C (nominal, four observers, missing data).
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_alpha_is_as_published(each_said: tuple[str, ...], alpha: float) -> None:
    assert raters.among(items(*each_said)).alpha == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "ratings", "expected"),
    [
        ("nobody", [], raters.Agreement(0, None, None)),
        ("one rater", [["a"], ["b"]], raters.Agreement(0, None, None)),
        ("all the same", [["a", "a"], ["a", "a"]], raters.Agreement(2, 1.0, None)),
        ("full agreement", [["a", "a"], ["b", "b"], ["c"]], raters.Agreement(2, 1.0, 1.0)),
        ("never", [["a", "b"], ["b", "a"]], raters.Agreement(2, 0.0, pytest.approx(-0.5))),
    ],
)
def test_edges(name: str, ratings: list[list[str]], expected: raters.Agreement) -> None:
    assert raters.among(ratings) == expected


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=20))
def test_it_lies_in_its_bounds_and_order_does_not_matter(ratings: list[list[str]]) -> None:
    found = raters.among(ratings)
    mirrored = raters.among([one[::-1] for one in ratings[::-1]])
    assert found.items == mirrored.items
    if found.observed is not None:
        assert -1e-9 <= found.observed <= 1
        assert found.observed == pytest.approx(mirrored.observed)
    if found.alpha is not None:
        assert found.alpha <= 1
