"""Blind sides, which vote counts, majorities and what they add up to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core import evidence, preferences, raters

ROWS = [f"q-{number:03}" for number in range(1000)]


@pytest.mark.parametrize("actor", ["ada", "bob", "Zoë"])
def test_sides_are_remembered_and_about_even(actor: str) -> None:
    left = [preferences.left_role("ops-qa", 2, row, actor) for row in ROWS]
    assert left == [preferences.left_role("ops-qa", 2, row, actor) for row in ROWS]
    assert 420 < left.count("candidate") < 580, "five standard deviations around the half"


@pytest.mark.parametrize(
    ("name", "other"),
    [("model", ("other", 2, "ada")), ("version", ("ops-qa", 3, "ada")), ("person", ("ops-qa", 2, "bob"))],
)
def test_sides_and_order_are_anew_for_another(name: str, other: tuple[str, int, str]) -> None:
    model, version, actor = other
    same = sum(preferences.left_role("ops-qa", 2, row, "ada") == preferences.left_role(model, version, row, actor) for row in ROWS)
    assert 420 < same < 580
    assert preferences.shuffled("ops-qa", 2, ROWS, "ada") != preferences.shuffled(model, version, ROWS, actor)


@given(st.lists(st.text(), unique=True), st.text())
def test_the_order_is_the_same_however_the_rows_come(rows: list[str], actor: str) -> None:
    shuffled = preferences.shuffled("ops-qa", 2, rows, actor)
    assert shuffled == preferences.shuffled("ops-qa", 2, rows[::-1], actor)
    assert sorted(shuffled) == sorted(rows)


@pytest.mark.parametrize(
    ("after", "done", "expected"),
    [
        ("", "", "a"),
        ("a", "", "b"),
        ("a", "b", "c"),
        ("c", "", "a"),
        ("c", "ab", None),
        ("b", "ac", None),
        ("", "abc", None),
        ("gone", "a", "b"),
    ],
)
def test_the_next_row_that_waits(after: str, done: str, expected: str | None) -> None:
    assert preferences.following(["a", "b", "c"], after, set(done)) == expected


def test_the_last_of_equal_keys_is_kept() -> None:
    assert preferences.latest(["a1", "b1", "a2"], lambda item: item[0]) == ["a2", "b1"]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (["candidate"], "candidate"),
        (["live", "live", "candidate"], "live"),
        (["both-bad", "both-bad", "tie"], "both-bad"),
        (["candidate", "live"], "tie"),
        (["candidate", "candidate", "live", "live"], "tie"),
        (["candidate", "tie", "both-bad"], "tie"),
        (["candidate", "candidate", "tie", "both-bad"], "tie"),
    ],
)
def test_a_majority_is_more_than_half(choices: list[str], expected: str) -> None:
    assert preferences.majority(choices) == expected


@pytest.mark.parametrize(
    ("candidate", "live", "expected"),
    [
        ("A", "C", "candidate"),
        ("B", "A", "live"),
        ("A", "A", "tie"),
        ("B", "B", "tie"),
        ("C", "C", "both-bad"),
        ("", "A", ""),
        ("A", "", ""),
    ],
)
def test_two_grades_amount_to_a_choice(candidate: str, live: str, expected: str) -> None:
    assert preferences.implied(candidate, live) == expected


@pytest.mark.parametrize(
    ("candidate", "live", "tie", "expected"),
    [
        (30, 2, 10, evidence.Outcome.PASS),
        (2, 30, 10, evidence.Outcome.FAIL),
        (3, 2, 1, evidence.Outcome.INCONCLUSIVE),
        (0, 0, 500, evidence.Outcome.PASS),
        (0, 0, 5, evidence.Outcome.INCONCLUSIVE),
        (0, 0, 0, evidence.Outcome.INCONCLUSIVE),
    ],
)
def test_outcome_of_the_net_preference(candidate: int, live: int, tie: int, expected: evidence.Outcome) -> None:
    chosen = ["candidate"] * candidate + ["live"] * live + ["tie"] * tie
    assert preferences.outcome(preferences.preference({str(n): [choice] for n, choice in enumerate(chosen)})) is expected


def test_each_row_counts_once() -> None:
    found = preferences.preference({"r1": ["candidate"] * 9, "r2": ["live"], "r3": ["both-bad"], "r4": []})
    assert (found.rows, found.candidate, found.live, found.tie, found.both_bad) == (3, 1, 1, 0, 1)
    assert found.net == 0


def test_the_sentence_is_that_of_the_checklist() -> None:
    found = preferences.Preference(41, 18, 9, 12, 2, None)
    told = preferences.sentence(3, found, raters.Agreement(20, 0.8, 0.714))
    assert told == "3 reviewers, 41 rows: candidate preferred 18, live 9, tie 12, both bad 2; agreement 0.71."
