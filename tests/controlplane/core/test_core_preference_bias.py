"""What order and length did to a judge's preferences, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controlplane.core import pairwise, preference_bias

ONE, TWO, TIE, UNREAD = (pairwise.Preference(choice, "why") for choice in ("1", "2", "TIE", ""))
STEADY, TORN = (ONE, TWO), (ONE, ONE)


def won(
    count: int, candidate: str, live: str, said: tuple[pairwise.Preference, pairwise.Preference] = STEADY
) -> list[pairwise.ComparedRow]:
    """By the candidate, unless the judge is torn."""
    return [pairwise.settle(f"{candidate}-{live}-{n}", candidate, live, *said) for n in range(count)]


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("nothing", [], (0, 0, 0, 0, None)),
        ("equal answers ask nobody", [pairwise.same("1", "ab")], (0, 0, 0, 0, None)),
        ("an unread row was not told", [pairwise.settle("1", "a", "b", UNREAD, TWO)], (0, 0, 0, 0, None)),
        ("the longer one wins", won(1, "abcd", "ab"), (1, 0, 1, 1, 2.0)),
        ("the shorter one wins", won(1, "ab", "abcd"), (1, 0, 1, 0, -2.0)),
        ("live wins with the longer one", won(1, "ab", "abcd", (TWO, ONE)), (1, 0, 1, 1, 2.0)),
        ("equally long", won(1, "ab", "cd"), (1, 0, 0, 0, 0.0)),
        ("a torn row has no winner", won(2, "abcd", "ab", TORN), (2, 2, 0, 0, None)),
        ("a tie has no winner", won(1, "abcd", "ab", (TIE, TIE)), (1, 0, 0, 0, None)),
    ],
)
def test_bias(name: str, rows: Sequence[pairwise.ComparedRow], expected: tuple[object, ...]) -> None:
    found = preference_bias.measure(rows)
    assert (found.asked, found.torn, found.uneven, found.longer_won, found.winner_excess) == expected


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("nothing", [], []),
        ("8 of 10 agree", won(8, "ab", "cd") + won(2, "ab", "cd", TORN), []),
        ("7 of 10 agree", won(7, "ab", "cd") + won(3, "ab", "cd", TORN), ["on 3 of 10 rows"]),
        (
            "equal answers hide no torn judge",
            won(1, "ab", "cd", TORN) + [pairwise.same(str(n), "ab") for n in range(99)],
            ["on 1 of 1 rows"],
        ),
        ("longer wins 4 of 4", won(4, "abcd", "ab"), ["won 4 of 4 rows"]),
        ("longer wins 3 of 3: may be chance", won(3, "abcd", "ab"), []),
        ("longer wins 15 of 30", won(15, "abcd", "ab") + won(15, "ab", "abcd"), []),
        ("longer wins 22 of 30", won(22, "abcd", "ab") + won(8, "ab", "abcd"), ["won 22 of 30 rows"]),
    ],
)
def test_cautions(name: str, rows: Sequence[pairwise.ComparedRow], words: Sequence[str]) -> None:
    said = preference_bias.cautions(preference_bias.measure(rows))
    assert len(said) == len(words)
    assert all(word in one for word, one in zip(words, said, strict=True))
