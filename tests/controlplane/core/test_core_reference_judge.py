"""The reference judge: grades and preferences by comparison with the reference answer."""

from __future__ import annotations

import pytest

from controlplane.core import datasets, reference_judge


def row(answer: str = "22", question: str = "Which port does ssh use?", *, answerable: bool = True) -> datasets.Row:
    return datasets.Row("r1", question, "The ssh service listens on port 22 over tcp.", answer, answerable)


@pytest.mark.parametrize(
    ("reference", "answer", "letter"),
    [
        ("22", "22", "A"),
        ("22", "Port 22.", "A"),
        ("22", "ssh uses port 22 over tcp.", "A"),
        ("Not Found", "not found", "A"),
        ("Not Found", "It means Not Found.", "A"),
        ("text/html", "The type is text/html.", "A"),
        ("SIGKILL", "The signal SIGKILL", "A"),
        ("No such file or directory", "no such file or directory", "A"),
        ("22", "221", "C"),
        ("22", "2", "C"),
        ("22", "22 or 80", "B"),
        ("22", "22, 80 and 443", "C"),
        ("22", "It is not 22", "C"),
        ("22", "Port 80", "C"),
        ("22", "Not in the context.", "B"),
        ("22", "", "C"),
        ("No such file or directory", "No such file", "B"),
        ("No such process", "Interrupted system call", "C"),
        ("text/html", "text/plain", "C"),
    ],
)
def test_reference_judge_on_answerable_rows(reference: str, answer: str, letter: str) -> None:
    assert reference_judge.grade_by_reference(row(reference), answer).letter == letter


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Not in the context.", "A"),
        ("The context does not say.", "A"),
        ("1995", "C"),
        ("", "C"),
        ("Not in the context, but it is 1995.", "C"),
    ],
)
def test_reference_judge_on_unanswerable_rows(answer: str, letter: str) -> None:
    assert reference_judge.grade_by_reference(row("Not in the context.", answerable=False), answer).letter == letter


def test_number_of_the_question_is_no_contradiction() -> None:
    asked = row("Not Found", "What does HTTP status 404 mean?")
    assert reference_judge.grade_by_reference(asked, "HTTP status 404 means Not Found").letter == "A"


@pytest.mark.parametrize(
    ("first", "second", "choice"),
    [("22", "80", "1"), ("80", "22", "2"), ("22", "Port 22", "TIE"), ("80", "443", "TIE"), ("Not in the context.", "80", "1")],
)
def test_the_better_grade_is_preferred(first: str, second: str, choice: str) -> None:
    assert reference_judge.ReferenceJudge().prefer(row("22"), first, second).choice == choice
