"""Which of people's grades nobody disputes."""

from __future__ import annotations

import pytest

from controlplane.core import corrections


def stated(text: str) -> list[corrections.Stated]:
    """`row role answer actor grade`, one a comma."""
    return [corrections.Stated(*one.split()) for one in text.split(",") if one.strip()]


@pytest.mark.parametrize(
    ("name", "given", "both_bad", "expected"),
    [
        ("nobody", "", "", []),
        ("one person", "r1 live 22 ada A", "", ["r1 live A ada"]),
        ("two agree", "r1 live 22 bob A, r1 live 22 ada A", "", ["r1 live A ada+bob"]),
        ("two differ", "r1 live 22 bob A, r1 live 22 ada B", "", []),
        ("equal answers are one", "r1 live 22 bob A, r1 candidate 22 ada A", "", ["r1 candidate A ada+bob"]),
        ("equal answers graded apart", "r1 live 22 ada A, r1 candidate 22 ada C", "", []),
        ("other answers stand alone", "r1 live 22 ada A, r1 candidate 80 ada C", "", ["r1 live A ada", "r1 candidate C ada"]),
        ("both bad", "", "r1 live 80 ada C, r1 live 80 bob C", ["r1 live C ada+bob"]),
        ("a stated grade wins over both bad", "r1 live 80 eve B", "r1 live 80 ada C, r1 live 80 bob C", ["r1 live B eve"]),
        ("a dispute is not settled by both bad", "r1 live 80 eve B, r1 live 80 ada C", "r1 live 80 ada C", []),
        ("rows in order", "r2 live 22 ada A, r1 live 22 ada B", "", ["r1 live B ada", "r2 live A ada"]),
    ],
)
def test_golden(name: str, given: str, both_bad: str, expected: list[str]) -> None:
    found = corrections.golden(stated(given), stated(both_bad))
    assert [f"{one.row} {one.role} {one.grade} {'+'.join(one.actors)}" for one in found] == expected


@pytest.mark.parametrize(
    ("choices", "expected"),
    [([], False), (["both-bad"], False), (["both-bad"] * 2, True), (["both-bad", "both-bad", "tie"], False)],
)
def test_both_bad_needs_two_and_no_other_voice(choices: list[str], expected: bool) -> None:
    assert corrections.is_agreed_bad(choices) is expected
